// Tuning files: text with one NibTuning per line.
#include "kit/tuning.h"

#include "kit/file.h"

#include <algorithm>
#include <charconv>

namespace nib::kit {
namespace {

struct Name {
  NibTunable tunable;
  const char* text;
};
// Each new plan looks for its line among all.
constexpr size_t kMaxTunings = 10'000;
constexpr Name kNames[] = {{NIB_TUNABLE_MATVEC, "matvec"},
                           {NIB_TUNABLE_MATMUL, "matmul"},
                           {NIB_TUNABLE_INT8, "int8_gemm"},
                           {NIB_TUNABLE_DYNAMIC, "dynamic_gemm"}};

std::string allNames() {
  std::string text;
  for (const Name& name : kNames) text += (text.empty() ? "" : ", ") + std::string(name.text);
  return text;
}

bool isBlank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::vector<std::string> wordsOf(std::string_view line) {
  std::vector<std::string> words;
  for (size_t at = 0; at < line.size();) {
    if (isBlank(line[at])) {
      ++at;
      continue;
    }
    const size_t begin = at;
    while (at < line.size() && !isBlank(line[at])) ++at;
    words.emplace_back(line.substr(begin, at - begin));
  }
  return words;
}

// Digits alone: no sign, no 0x.
bool readNumber(const std::string& word, uint32_t& number) {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc() && end == word.data() + word.size();
}

NibTuning parseLine(std::string_view line, const std::string& where) {
  const auto refuse = [&] { throw Error(where + ": expected a line like \"matvec int4 from 1 tokens: 32 4 1 2\""); };
  // Every byte of a word is seen, or a NUL would end it early.
  if (!std::all_of(line.begin(), line.end(), [](char c) { return isBlank(c) || (c > ' ' && c < 0x7f); })) refuse();
  const std::vector<std::string> words = wordsOf(line);
  NibTuning t{};
  if (words.size() != 9 || words[2] != "from" || words[4] != "tokens:") refuse();
  if (!readNumber(words[3], t.tokens)) refuse();
  if (t.tokens == 0) throw Error(where + ": a choice is from 1 token at least");
  for (size_t i = 0; i < 4; ++i) {
    if (!readNumber(words[5 + i], t.value[i])) refuse();
  }
  for (const Name& name : kNames) {
    if (words[0] == name.text) t.tunable = uint32_t(name.tunable);
  }
  if (t.tunable == 0) throw Error(where + ": " + words[0] + " cannot be tuned; there is " + allNames());
  if (words[1] == "dense") return t;
  const NibFormatInfo* info = nibFormatByName(words[1].c_str());
  if (info == nullptr) throw Error(where + ": no format is called " + words[1]);
  t.format = info->format;
  return t;
}

}  // namespace

const char* tunableName(uint32_t tunable) {
  for (const Name& name : kNames) {
    if (uint32_t(name.tunable) == tunable) return name.text;
  }
  throw Error(std::to_string(tunable) + " is not a NibTunable; there is " + allNames());
}

void saveTuning(const std::vector<NibTuning>& tuning, const std::string& comment, const std::string& path) {
  std::string text = "# " + comment + "\n";
  for (const NibTuning& t : tuning) {
    const NibFormatInfo* info = nibFormatById(t.format);
    text += std::string(tunableName(t.tunable)) + " " + (info != nullptr ? info->name : "dense") + " from " +
            std::to_string(t.tokens) + " tokens:";
    for (const uint32_t value : t.value) text += " " + std::to_string(value);
    text += "\n";
  }
  detail::writeFile(path, std::as_bytes(std::span(text.data(), text.size())));
}

std::vector<NibTuning> loadTuning(const std::string& path) {
  const Bytes bytes = detail::readFile(path);
  if (bytes.empty()) throw Error(path + ": there is no such file, or nothing in it");
  return detail::parseTuning({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
}

std::vector<NibTuning> detail::parseTuning(std::string_view text, const std::string& where) {
  std::vector<NibTuning> tuning;
  size_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.empty() || line[0] == '#') continue;
    if (tuning.size() == kMaxTunings) throw Error(where + ": has more than " + std::to_string(kMaxTunings) + " lines");
    tuning.push_back(parseLine(line, where + ":" + std::to_string(number)));
  }
  return tuning;
}

}  // namespace nib::kit
