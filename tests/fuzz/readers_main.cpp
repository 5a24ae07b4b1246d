// A short run of every reader with damaged files:
//
//   nibble_fuzz_readers CORPUS SECONDS [READER]
//
// CORPUS has a folder of good files for each reader. It is not guided by coverage; the fuzzers that NIBBLE_FUZZ builds
// from the same functions are, see CMakeLists.txt. A failing input is left in the file fuzz-READER.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "readers.h"

namespace nib::fuzz {
namespace {

namespace fs = std::filesystem;

struct Reader {
  const char* name;
  void (*read)(Input input);
};
constexpr Reader kReaders[] = {
    {"calibration", calibration}, {"cells", cells}, {"child", child},   {"config", config},       {"gguf", gguf},
    {"journal", journal},         {"npy", npy},     {"packed", packed}, {"questions", questions}, {"result", result},
    {"tuning", tuning},
#if !defined(NIB_NO_VULKAN)
    {"verdicts", verdicts}
#endif
};

std::vector<std::string> filesOf(const fs::path& folder) {
  std::vector<fs::path> paths;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> files;
  for (const fs::path& path : paths) {
    std::ifstream file(path, std::ios::binary);
    files.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return files;
}

// One random damage: a bit, a piece removed, doubled or taken from another file, a number, a token.
void damage(std::string& text, const std::vector<std::string>& all, std::mt19937& random) {
  static const char* const kWords[] = {"-1",
                                       "0",
                                       "1e400",
                                       "18446744073709551616",
                                       "9223372036854775808",
                                       "0x10",
                                       "nan",
                                       "null",
                                       "true",
                                       "[[[[[[[[",
                                       "{\"a\":",
                                       "\"",
                                       "{",
                                       "}",
                                       "[",
                                       "]",
                                       ",",
                                       ":",
                                       "\\u0000",
                                       "\n",
                                       "'",
                                       "(",
                                       ")",
                                       "4294967296",
                                       "1e-320",
                                       "-0.0",
                                       "[]",
                                       "{}"};
  const auto pick = [&](size_t count) { return count == 0 ? 0 : random() % count; };
  const size_t at = pick(text.size() + 1), size = std::min(text.size() - at, pick(random() % 2 ? 8 : 400));
  switch (random() % 7) {
    case 0:
      if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << pick(8)));
      break;
    case 1: text.erase(at, size); break;
    case 2: text.insert(at, text.substr(pick(text.size() + 1), pick(200))); break;
    case 3: text.insert(at, std::string(text.substr(at, size))); break;
    case 4: {
      const std::string& other = all[pick(all.size())];
      text.replace(at, size, other.substr(pick(other.size() + 1), pick(300)));
      break;
    }
    case 5: text.insert(at, kWords[pick(std::size(kWords))]); break;
    default: {
      // A number or a word, replaced whole.
      const char* const word = kWords[pick(std::size(kWords))];
      const size_t begin = text.find_first_of("0123456789\"", at);
      if (begin == std::string::npos) break;
      size_t end = begin + 1;
      if (text[begin] == '"') {
        end = std::min(text.find('"', end), text.size() - 1) + 1;
      } else {
        while (end < text.size() && std::string_view("0123456789.eE+-").find(text[end]) != std::string_view::npos)
          ++end;
      }
      text.replace(begin, end - begin, word);
    }
  }
}

std::string g_input, g_name;

void keepInput(int) {
  std::ofstream("fuzz-" + g_name, std::ios::binary) << g_input;
  std::_Exit(1);
}

uint64_t run(const Reader& reader, const fs::path& corpus, double seconds) {
  const std::vector<std::string> files = filesOf(corpus / reader.name);
  g_name = reader.name;
  for (const std::string& file : files) reader.read(g_input = file);
  std::mt19937 random(1);
  uint64_t count = 0;
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < seconds) {
    g_input = files[random() % files.size()];
    for (size_t i = 0; i <= random() % 4; ++i) damage(g_input, files, random);
    reader.read(g_input);
    ++count;
  }
  return count;
}

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "nibble_fuzz_readers CORPUS SECONDS [READER]\n");
    return 2;
  }
  std::signal(SIGABRT, keepInput);
  std::signal(SIGSEGV, keepInput);
  std::set_terminate([] { std::abort(); });
  for (const Reader& reader : kReaders) {
    if (argc > 3 && std::string_view(argv[3]) != reader.name) continue;
    const uint64_t count = run(reader, argv[1], std::atof(argv[2]));
    std::printf("%s: %llu inputs\n", reader.name, static_cast<unsigned long long>(count));
    std::fflush(stdout);
    if (count < 20) return 1;
  }
  return 0;
}

}  // namespace
}  // namespace nib::fuzz

int main(int argc, char** argv) { return nib::fuzz::main(argc, argv); }
