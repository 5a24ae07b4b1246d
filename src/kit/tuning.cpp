// Tuning files: text with one NibTuning per line.
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <string>

#include "kit/file.h"

namespace nib::kit {
namespace {

struct Name {
  NibTunable tunable;
  const char* text;
};
constexpr Name kNames[] = {{NIB_TUNABLE_MATVEC, "matvec"},
                           {NIB_TUNABLE_MATMUL, "matmul"},
                           {NIB_TUNABLE_INT8, "int8_gemm"},
                           {NIB_TUNABLE_DYNAMIC, "dynamic_gemm"}};

std::string allNames() {
  std::string text;
  for (const Name& name : kNames) text += (text.empty() ? "" : ", ") + std::string(name.text);
  return text;
}

NibTuning parseLine(const std::string& line, const std::string& where) {
  char tunable[16], format[16], rest;
  NibTuning t{};
  const int fields =
      std::sscanf(line.c_str(), "%15s %15s from %" SCNu32 " tokens: %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32 " %c",
                  tunable, format, &t.tokens, &t.value[0], &t.value[1], &t.value[2], &t.value[3], &rest);
  if (fields != 7) throw Error(where + ": expected a line like \"matvec int4 from 1 tokens: 32 4 1 2\"");
  for (const Name& name : kNames) {
    if (std::strcmp(name.text, tunable) == 0) t.tunable = uint32_t(name.tunable);
  }
  if (t.tunable == 0) throw Error(where + ": " + tunable + " cannot be tuned; there is " + allNames());
  if (std::strcmp(format, "dense") == 0) return t;
  const NibFormatInfo* info = nibFormatByName(format);
  if (info == nullptr) throw Error(where + ": no format is called " + format);
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
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::vector<NibTuning> tuning;
  size_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.empty() || line[0] == '#') continue;
    tuning.push_back(parseLine(line, path + ":" + std::to_string(number)));
  }
  return tuning;
}

}  // namespace nib::kit
