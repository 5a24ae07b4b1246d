// Helpers for tests of model files. They build files from text, never with the code under test.
#ifndef NIB_TESTS_MODEL_TEST_H
#define NIB_TESTS_MODEL_TEST_H

#include "model/archive/error.h"
#include "model/archive/utf8.h"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model::test {

namespace fs = std::filesystem;

// Deleted with its contents at the end of a test.
class TempFolder {
 public:
  explicit TempFolder(const fs::path& parent = fs::temp_directory_path()) {
    std::random_device random;
    do {
      path_ = fs::canonical(parent) / ("nibble-test-" + std::to_string(random()));
    } while (!fs::create_directory(path_));
  }
  ~TempFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  fs::path operator/(const fs::path& name) const { return path_ / name; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

inline void writeText(const fs::path& path, std::string_view text) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file << text;
  REQUIRE(file.good());
}

inline std::string readText(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

// Every file of a folder, by name; subfolders as "NAME/".
inline std::map<std::string, std::string> readFolder(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().native();
    if (entry.is_directory()) {
      files[name + "/"];
    } else {
      files[name] = readText(entry.path());
    }
  }
  return files;
}

// A safetensors file: `json` as its header, then `data_bytes` bytes 0, 1, 2, ...
inline std::string fileOf(std::string_view json, size_t data_bytes = 0) {
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>(uint64_t{json.size()} >> (8 * i));
  file += json;
  for (size_t i = 0; i < data_bytes; ++i) file += static_cast<char>(i);
  return file;
}

inline std::span<const std::byte> bytesOf(std::string_view text) { return std::as_bytes(std::span(text)); }

inline bool isOneLine(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return !text.empty() && findInvalidUtf8(text) == text.npos;
}

// The message of the Error that `call` throws, "" if it throws none. Other exceptions fail the test.
template <class Call>
std::string errorOf(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    CHECK_MESSAGE(isOneLine(error.what()), error.what());
    return error.what();
  }
  return {};
}

inline bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

// CHECK that the call throws an Error whose message contains `part`.
#define NIB_CHECK_ERROR(part, ...)                                                                              \
  do {                                                                                                          \
    const std::string nib_text = nib::model::test::errorOf([&] { static_cast<void>(__VA_ARGS__); });            \
    CHECK_MESSAGE(nib::model::test::contains(nib_text, part), "\"", nib_text, "\" should hold \"", part, "\""); \
  } while (false)

}  // namespace nib::model::test
#endif
