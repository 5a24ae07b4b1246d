// Opening any file takes at most 64 MB plus twice the file's size.
#include "counting_new.h"
#include "model/archive/checkpoint.h"
#include "model_test.h"

namespace nib::model::test {
namespace {

constexpr size_t kBytes = 20'000'000;

// A short name for each number, all different.
std::string shortName(size_t i) {
  static const char kLetters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  std::string name;
  for (; i > 0; i /= 62) name += kLetters[i % 62];
  return name;
}

template <class Entry>
std::string fill(const Entry& entry, const std::string& start = "{", const std::string& end = "}") {
  std::string json = start;
  for (size_t i = 0; json.size() < kBytes; ++i) json += (i == 0 ? "" : ",") + entry(i);
  return json + end;
}

void checkMemory(const std::string& what, const std::string& file, bool is_good) {
  const TempFolder folder;
  writeText(folder / "model.safetensors", file);
  startCounting();
  std::string message;
  size_t tensors = 0;
  try {
    tensors = Checkpoint(folder / "model.safetensors").size();
  } catch (const Error& error) {
    message = error.what();
  }
  const size_t peak = peakBytes();
  MESSAGE(what, ": ", file.size(), " bytes, ", tensors, " tensors, peak ", peak, " bytes (",
          double(peak) / double(file.size()), ")");
  CHECK(message.empty() == is_good);
  CHECK(peak <= 2 * file.size() + 64'000'000);
  // The class promises less than twice the size of the text. The file's name and messages take little.
  CHECK(peak < 2 * file.size() + 4'000'000);
  CHECK(peak > 0);
}

TEST_CASE("a header with the largest number of tensors takes little more memory than its text") {
  const std::string tiny = fileOf(fill(
      [](size_t i) { return "\"" + shortName(i) + "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}"; }));
  checkMemory("tensors", tiny, true);
  checkMemory("tensors, cut short", tiny.substr(0, tiny.size() - 1), false);
}

TEST_CASE("headers that only seem to have many tensors take no more memory") {
  checkMemory("braces in a name", fileOf("{\"" + std::string(kBytes, '{') + "\":0}"), false);
  checkMemory("brackets", fileOf("{\"a\":" + std::string(kBytes, '[')), false);
  checkMemory("dimensions",
              fileOf("{\"a\":{\"shape\":[" +
                     [] {
                       std::string zeros = "0";
                       while (zeros.size() < kBytes) zeros += ",0";
                       return zeros;
                     }() +
                     "]}}"),
              false);
  checkMemory("escapes", fileOf(fill([](size_t i) {
                return "\"\\n" + shortName(i) + "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}";
              })),
              true);
  checkMemory("metadata",
              fileOf(fill([](size_t i) { return "\"" + shortName(i) + "\":\"\""; }, "{\"__metadata__\":{", "}}")),
              false);
  checkMemory("a size of 2^62", std::string("\0\0\0\0\0\0\0\x40", 8) + std::string(kBytes, '{'), false);
}

}  // namespace
}  // namespace nib::model::test
