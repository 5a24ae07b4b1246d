#include "numbers.h"

#include <charconv>
#include <cmath>

namespace nib::tool {
namespace {

// Throughout: "" = valid.
template <class T>
std::string wholeProblem(const std::string& text, const char* expected) {
  T value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  const std::string_view digits = std::string_view(text).substr(text.starts_with('-') ? 1 : 0);
  const bool octal = digits.size() > 1 && digits[0] == '0';
  return error == std::errc() && stop == end && !octal ? "" : text + ": expected " + expected;
}

std::string fractionProblem(const std::string& text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end && std::isfinite(value) ? "" : text + ": expected a number such as 0.5";
}

}  // namespace

void checkNumbers(CLI::App& app) {
  for (CLI::App* verb : app.get_subcommands({})) {
    for (CLI::Option* option : verb->get_options()) {
      // The parser's names of types; others are texts, or have a reader of their own.
      const std::string type = option->get_type_name();
      if (type.starts_with("UINT")) {
        option->check([](const std::string& text) {
          return wholeProblem<uint64_t>(text, "a whole number in digits, 0 or more");
        });
      } else if (type.starts_with("INT")) {
        option->check([](const std::string& text) { return wholeProblem<int64_t>(text, "a whole number in digits"); });
      } else if (type.starts_with("FLOAT")) {
        option->check(fractionProblem);
      }
    }
  }
}

}  // namespace nib::tool
