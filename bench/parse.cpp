#include "bench/parse.h"

#include <charconv>
#include <cmath>
#include <string>
#include <vector>

namespace nib::bench {

std::optional<double> parseSeconds(std::string_view text) {
  const size_t digits = text.find_first_not_of("0123456789.");
  const std::string number(text.substr(0, digits));
  const std::string_view unit = digits == std::string_view::npos ? std::string_view() : text.substr(digits);
  double scale = 0;
  if (unit.empty() || unit == "s") scale = 1;
  if (unit == "ms") scale = 1e-3;
  if (unit == "m" || unit == "min") scale = 60;
  if (unit == "h") scale = 3600;
  // strtod would accept "1e3", "inf" and a locale's comma.
  size_t points = 0;
  for (const char c : number) points += c == '.';
  if (scale == 0 || number.empty() || number == "." || points > 1) return std::nullopt;
  double value = 0, place = 1;
  bool fraction = false;
  for (const char c : number) {
    if (c == '.') {
      fraction = true;
      continue;
    }
    value = value * 10 + (c - '0');
    if (fraction) place *= 10;
  }
  const double seconds = value / place * scale;
  if (!(seconds > 0) || !std::isfinite(seconds)) return std::nullopt;
  return seconds;
}

std::optional<Shape> parseShape(std::string_view text) {
  std::vector<uint32_t> sizes;
  while (true) {
    uint32_t size = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (error != std::errc() || size == 0 || size > INT32_MAX || sizes.size() == 3) return std::nullopt;
    sizes.push_back(size);
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    if (text.empty()) break;
    if (text.front() != 'x' && text.front() != 'X') return std::nullopt;
    text.remove_prefix(1);
  }
  if (sizes.size() < 2) return std::nullopt;
  const Shape shape{sizes.front(), sizes.size() == 3 ? sizes[1] : 1u, sizes.back()};
  if (uint64_t{shape.m} * shape.k > UINT32_MAX) return std::nullopt;
  return shape;
}

}  // namespace nib::bench
