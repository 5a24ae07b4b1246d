#include "kit/file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <random>
#include <system_error>

#if defined(_WIN32)
#include <io.h>
#else
#include <unistd.h>
#endif

namespace nib::kit::detail {
namespace {

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

bool flushToDisk(std::FILE* file) {
  if (std::fflush(file) != 0) return false;
#if defined(_WIN32)
  return _commit(_fileno(file)) == 0;
#else
  return fsync(fileno(file)) == 0;
#endif
}

}  // namespace

void writeFile(const std::string& path, std::span<const std::byte> bytes) {
  // In the same folder, because a rename does not cross file systems; random, because two programs may write at once.
  const std::string temporary = path + ".tmp" + std::to_string(std::random_device()());
  const auto fail = [&](const char* what) {
    const int code = errno;
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    throw Error(path + ": " + what + ": " + std::strerror(code));
  };
  File file(std::fopen(temporary.c_str(), "wb"));
  if (!file) fail("cannot be created");
  if (std::fwrite(bytes.data(), 1, bytes.size(), file.get()) != bytes.size()) fail("cannot be written");
  if (!flushToDisk(file.get())) fail("cannot be written");
  file.reset();
  std::error_code error;
  std::filesystem::rename(temporary, path, error);
  if (error) {
    errno = error.value();
    fail("cannot be replaced");
  }
}

Bytes readFile(const std::string& path) {
  const File file(std::fopen(path.c_str(), "rb"));
  if (!file) {
    if (errno == ENOENT) return {};
    throw Error(path + ": cannot be opened: " + std::strerror(errno));
  }
  Bytes bytes;
  std::byte block[4096];
  for (size_t got; (got = std::fread(block, 1, sizeof block, file.get())) > 0;) {
    bytes.insert(bytes.end(), block, block + got);
  }
  if (std::ferror(file.get())) throw Error(path + ": cannot be read: " + std::strerror(errno));
  return bytes;
}

}  // namespace nib::kit::detail
