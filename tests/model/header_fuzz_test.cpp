// Damaged headers: each is refused with an Error, or read. tests/fuzz/safetensors_fuzz.cpp checks the result, and
// aborts the program if it is inconsistent.
#include "model/archive/safetensors_header.h"
#include "model_test.h"

#include <algorithm>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace nib::model::test {
namespace {

void feed(const std::string& file) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(file.data()), file.size());
}

std::vector<std::string> corpus() {
  std::vector<fs::path> paths;
  for (const fs::directory_entry& entry : fs::directory_iterator(NIB_FUZZ_CORPUS "/safetensors"))
    paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> files;
  for (const fs::path& path : paths) files.push_back(readText(path));
  return files;
}

bool isRead(const std::string& file) {
  return errorOf([&] { SafetensorsHeader::parse(bytesOf(file), "f"); }).empty();
}

// Most damage makes the length or the padding wrong, which hides later errors: the length is corrected three times out
// of four.
void correctLength(std::string& file, std::mt19937& random) {
  const size_t end = file.rfind('}');
  if (file.size() < 8 || end == file.npos || end < 8 || random() % 4 == 0) return;
  const uint64_t size = end + 1 - 8;
  for (size_t i = 0; i < 8; ++i) file[i] = static_cast<char>(size >> (8 * i));
}

void mutate(std::string& file, const std::vector<std::string>& all, std::mt19937& random) {
  static const char* const kNumbers[] = {"9223372036854775808",
                                         "18446744073709551615",
                                         "-1",
                                         "1e30",
                                         "0",
                                         "1",
                                         "4294967296",
                                         "9223372036854775807",
                                         "2305843009213693952",
                                         "0.5",
                                         "99999999999999999999999999"};
  static const char* const kTokens[] = {"{",
                                        "}",
                                        "[",
                                        "]",
                                        ",",
                                        ":",
                                        "\"",
                                        "\\",
                                        "\\u0000",
                                        "\\ud800",
                                        "null",
                                        "true",
                                        "\"__metadata__\":",
                                        "\"dtype\":",
                                        "\"shape\":[]",
                                        "\"data_offsets\":[0,0]",
                                        "\xff",
                                        " "};
  const auto place = [&] { return file.empty() ? 0 : random() % file.size(); };
  switch (random() % 7) {
    case 0:
      if (!file.empty()) file[place()] ^= static_cast<char>(1u << random() % 8);
      break;
    case 1: file.erase(place(), 1 + random() % 8); break;
    case 2: file.insert(place(), kTokens[random() % std::size(kTokens)]); break;
    case 3: {  // a piece of another file
      const std::string& other = all[random() % all.size()];
      const size_t from = random() % other.size();
      file.insert(place(), other.substr(from, 1 + random() % 60));
      break;
    }
    case 4: {  // a piece of the same file
      const size_t from = place();
      file.insert(place(), file.substr(from, 1 + random() % 60));
      break;
    }
    case 5: {  // a different number
      const size_t begin = file.find_first_of("0123456789", place());
      if (begin == file.npos) break;
      const size_t end = std::min(file.find_first_not_of("0123456789", begin), file.size());
      file.replace(begin, end - begin, kNumbers[random() % std::size(kNumbers)]);
      break;
    }
    case 6: file.resize(place()); break;
  }
  correctLength(file, random);
}

TEST_CASE("the corpus has valid and invalid files") {
  const std::vector<std::string> files = corpus();
  REQUIRE(files.size() >= 8);
  const auto read = std::count_if(files.begin(), files.end(), isRead);
  CHECK(read >= 4);
  CHECK(read < int(files.size()));
  for (const std::string& file : files) feed(file);
}

TEST_CASE("a file cut short at any byte is refused") {
  for (const std::string& file : corpus()) {
    if (!isRead(file)) continue;
    for (size_t size = 0; size < file.size(); ++size) {
      const std::string start = file.substr(0, size);
      feed(start);
      CHECK_MESSAGE(!isRead(start), size, " of ", file.size());
    }
    CHECK(!isRead(file + '\0'));
  }
}

TEST_CASE("150000 random mutations are refused or read") {
  const std::vector<std::string> files = corpus();
  std::mt19937 random(20261121);
  uint32_t read = 0;
  for (uint32_t i = 0; i < 150'000; ++i) {
    std::string file = files[random() % files.size()];
    for (uint32_t rounds = 1 + random() % 4; rounds > 0; --rounds) mutate(file, files, random);
    feed(file);
    if (i % 16 == 0) read += isRead(file) ? 1 : 0;
  }
  // If no mutation were valid, only the first rule would be tested.
  CHECK(read > 20);
}

}  // namespace
}  // namespace nib::model::test
