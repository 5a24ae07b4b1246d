#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "base/hash.h"
#include "model/archive/error.h"
#include "model/archive/journal.h"
#include "readers.h"

namespace nib::fuzz {
namespace {

namespace fs = std::filesystem;

struct Folder {
  fs::path path;
  Folder() {
    const fs::path memory = "/dev/shm";  // where it is, no disk is waited for
    const fs::path parent = fs::is_directory(memory) ? memory : fs::temp_directory_path();
    path = parent / ("nibble-fuzz-" + std::to_string(std::random_device()()));
    fs::create_directory(path);
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

// The same lines with the checks that belong to them.
std::string checked(Input input) {
  std::string text;
  uint64_t check = kFnv1aStart;
  for (size_t at = 0; at < input.size();) {
    const size_t end = std::min(input.find('\n', at), input.size());
    const Input line = input.substr(std::min(at + 17, end), end - std::min(at + 17, end));
    check = fnv1a64(line.data(), line.size(), check);
    char digits[18];
    std::snprintf(digits, sizeof digits, "%016llx ", static_cast<unsigned long long>(check));
    (text += digits).append(line) += '\n';
    at = end + 1;
  }
  return text;
}

// A journal that was truncated at its first wrong line reads back the same.
void load(Input input) {
  static const Folder folder;
  const fs::path path = folder.path / model::kJournalName;
  std::ofstream(path, std::ios::binary) << input;
  try {
    const auto load = [&] { return model::Journal(folder.path, "out").load(); };
    const model::Journal::Content first = load();
    require(fs::file_size(path) <= input.size(), "a journal that grew");
    const model::Journal::Content second = load();
    require(first.begun == second.begun && first.identity == second.identity && first.done == second.done &&
                first.publishing == second.publishing && first.replaced == second.replaced,
            "a journal that changes");
    require(first.begun || first.done.empty(), "items of no run");
  } catch (const model::Error& error) {
    requireLine(error.what());
  }
}

}  // namespace

void journal(Input input) {
  load(input);
  load(checked(input));
}

}  // namespace nib::fuzz
