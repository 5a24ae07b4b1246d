#include "kit/file.h"

#include "base/system_error.h"
#include "kit/destination.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <random>
#include <system_error>
#include <utility>

#if defined(_WIN32)
#include <io.h>
#else
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace nib::kit::detail {
namespace {

namespace fs = std::filesystem;

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

std::string systemText(int code) { return std::string(std::strerror(code)) + limitHint(code); }

bool flushToDisk(std::FILE* file) {
  if (std::fflush(file) != 0) return false;
#if defined(_WIN32)
  return _commit(_fileno(file)) == 0;
#else
  return fsync(fileno(file)) == 0;
#endif
}

void writeThrough(const Destination& destination, std::span<const std::byte> bytes) {
  const auto fail = [&] { throw Error(destination.path.string() + ": cannot be written: " + systemText(errno)); };
#if !defined(_WIN32)
  if (destination.kind == Destination::Kind::kDescriptor) {
    // Text that the program has printed so far comes first.
    std::fflush(nullptr);
    while (!bytes.empty()) {
      const ssize_t put = ::write(destination.descriptor, bytes.data(), bytes.size());
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) fail();
      bytes = bytes.subspan(static_cast<size_t>(put));
    }
    return;
  }
#endif
  std::FILE* const file = std::fopen(destination.path.string().c_str(), "wb");
  if (file == nullptr) fail();
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  if (std::fclose(file) != 0 || !written) fail();
}

}  // namespace

TemporaryFile::TemporaryFile(const fs::path& path) : path_(path) {
  // In the same folder, because a rename does not cross file systems; random, because two programs may write at once;
  // short, because the name of the file may be as long as names can be.
  char name[40];
  std::random_device random;
  std::snprintf(name, sizeof name, ".nibble-%08x%08x", unsigned{random()}, unsigned{random()});
  temporary_ = path_.parent_path() / name;
  file_ = std::fopen(temporary_.string().c_str(), "wbx");
  if (file_ == nullptr) fail("cannot be created");
#if !defined(_WIN32)
  struct stat old {};
  if (stat(path_.c_str(), &old) == 0) fchmod(fileno(file_), old.st_mode & 0777);
#endif
}

TemporaryFile::~TemporaryFile() {
  if (file_ != nullptr) std::fclose(file_);
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove(temporary_, ignored);
}

void TemporaryFile::fail(const char* what) const {
  throw Error(path_.string() + ": " + what + ": " + systemText(errno));
}

void TemporaryFile::publish(std::span<const std::byte> bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) fail("cannot be written");
  if (!flushToDisk(file_)) fail("cannot be written");
  if (std::fclose(std::exchange(file_, nullptr)) != 0) fail("cannot be written");
  std::error_code error;
  fs::rename(temporary_, path_, error);
  if (error) {
    errno = error.value();
    fail("cannot be replaced");
  }
  temporary_.clear();
}

void writeFile(const std::string& path, std::span<const std::byte> bytes) {
  const Destination destination = destinationOf(path);
  if (destination.kind != Destination::Kind::kFile) return writeThrough(destination, bytes);
  TemporaryFile(destination.path).publish(bytes);
}

Bytes readFile(const std::string& path, uint64_t max_bytes) {
  const File file(std::fopen(path.c_str(), "rb"));
  if (!file) {
    if (errno == ENOENT) return {};
    throw Error(path + ": cannot be opened: " + systemText(errno));
  }
  Bytes bytes;
  std::byte block[4096];
  for (size_t got; (got = std::fread(block, 1, sizeof block, file.get())) > 0;) {
    if (bytes.size() + got > max_bytes) {
      throw Error(path + ": does not end within " + std::to_string(max_bytes) + " bytes");
    }
    bytes.insert(bytes.end(), block, block + got);
  }
  if (std::ferror(file.get())) throw Error(path + ": cannot be read: " + systemText(errno));
  return bytes;
}

}  // namespace nib::kit::detail
