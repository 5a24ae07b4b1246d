#include "model/archive/posix_file.h"

#include "model/archive/error.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

namespace nib::model {
namespace {

namespace fs = std::filesystem;

// Linux transfers at most 2 GiB per call.
constexpr size_t kMaxCallBytes = size_t{1} << 30;

template <class Call>
auto retried(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

const char* kindText(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

void checkRegular(const fs::path& path, const struct stat& status) {
  if (!S_ISREG(status.st_mode)) throw Error(shown(path) + ": is " + kindText(status.st_mode) + ", expected a file");
}

[[noreturn]] void throwNoRoom(const fs::path& path, uint64_t bytes, int code) {
  std::string text = "cannot reserve " + std::to_string(bytes) + " bytes of disk space";
  struct statvfs status {};
  if (code == ENOSPC && statvfs(path.parent_path().c_str(), &status) == 0) {
    text += " (" + std::to_string(uint64_t(status.f_bavail) * status.f_frsize) + " are free)";
  }
  throwSystemError(path, text, code);
}

bool isUnsupported(int code) { return code == ENOSYS || code == EINVAL || code == EOPNOTSUPP || code == ENOTTY; }

}  // namespace

File File::openToRead(const fs::path& path) {
  struct stat status {};
  // Check before opening: opening some devices has side effects.
  if (stat(path.c_str(), &status) != 0) throwSystemError(path, "cannot be read", errno);
  checkRegular(path, status);
  const int descriptor = retried([&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); });
  if (descriptor < 0) throwSystemError(path, "cannot be read", errno);
  File file(descriptor, path);
  if (fstat(descriptor, &status) != 0) throwSystemError(path, "cannot be read", errno);
  checkRegular(path, status);
  return file;
}

File File::openToWrite(const fs::path& path) {
  const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW;
  const int descriptor = retried([&] { return open(path.c_str(), flags, 0666); });
  if (descriptor < 0) throwSystemError(path, "cannot be written", errno);
  File file(descriptor, path);
  struct stat status {};
  if (fstat(descriptor, &status) != 0) throwSystemError(path, "cannot be written", errno);
  checkRegular(path, status);
  return file;
}

File::File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

File& File::operator=(File&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  return *this;
}

File::~File() {
  if (descriptor_ >= 0) close(descriptor_);
}

uint64_t File::bytes() const {
  struct stat status {};
  if (fstat(descriptor_, &status) != 0) throwSystemError(path_, "cannot be read", errno);
  return static_cast<uint64_t>(status.st_size);
}

void File::read(uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const size_t wanted = std::min(out.size(), kMaxCallBytes);
    const ssize_t got = retried([&] { return pread(descriptor_, out.data(), wanted, static_cast<off_t>(offset)); });
    if (got < 0) throwSystemError(path_, "cannot be read", errno);
    if (got == 0)
      throw Error(shown(path_) + ": ends at byte " + std::to_string(offset) + ": it was truncated while it was read");
    out = out.subspan(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
}

void File::write(uint64_t offset, std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const size_t wanted = std::min(bytes.size(), kMaxCallBytes);
    const ssize_t put = retried([&] { return pwrite(descriptor_, bytes.data(), wanted, static_cast<off_t>(offset)); });
    if (put < 0) throwSystemError(path_, "cannot be written", errno);
    if (put == 0) throw Error(shown(path_) + ": cannot be written: the system takes no more bytes");
    bytes = bytes.subspan(static_cast<size_t>(put));
    offset += static_cast<uint64_t>(put);
  }
}

void File::reserve(uint64_t bytes) const {
#if defined(__linux__)
  // Not posix_fallocate: without file system support, that would write to every block.
  if (bytes > 0) {
    if (retried([&] { return fallocate(descriptor_, 0, 0, static_cast<off_t>(bytes)); }) != 0 &&
        !isUnsupported(errno)) {
      throwNoRoom(path_, bytes, errno);
    }
  }
#endif
  if (retried([&] { return ftruncate(descriptor_, static_cast<off_t>(bytes)); }) != 0) throwNoRoom(path_, bytes, errno);
}

void File::truncate(uint64_t bytes) const {
  if (retried([&] { return ftruncate(descriptor_, static_cast<off_t>(bytes)); }) != 0) {
    throwSystemError(path_, "cannot be truncated", errno);
  }
}

void File::sync() const {
  if (retried([&] { return fsync(descriptor_); }) != 0) throwSystemError(path_, "cannot be flushed to the disk", errno);
}

bool File::tryLock() const {
  if (retried([&] { return flock(descriptor_, LOCK_EX | LOCK_NB); }) == 0) return true;
  if (errno == EWOULDBLOCK) return false;
  throwSystemError(path_, "cannot be locked", errno);
}

bool File::isStillAt(const fs::path& path) const {
  struct stat mine {
  }, there{};
  return fstat(descriptor_, &mine) == 0 && lstat(path.c_str(), &there) == 0 && mine.st_dev == there.st_dev &&
         mine.st_ino == there.st_ino;
}

std::vector<char> readWholeFile(const fs::path& path, uint64_t max_bytes) {
  const File file = File::openToRead(path);
  const uint64_t bytes = file.bytes();
  if (bytes > max_bytes) {
    throw Error(shown(path) + ": has " + std::to_string(bytes) + " bytes, more than the " + std::to_string(max_bytes) +
                " such a file may have");
  }
  std::vector<char> text(bytes);
  file.read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

std::vector<std::string> listFolder(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    names.push_back(entry->path().filename().native());
  }
  if (error) throw Error(shown(folder) + ": cannot be read: " + error.message());
  std::sort(names.begin(), names.end());
  return names;
}

void syncFolder(const fs::path& folder) {
  const int descriptor = retried([&] { return open(folder.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY); });
  if (descriptor < 0) throwSystemError(folder, "cannot be opened", errno);
  const int result = retried([&] { return fsync(descriptor); });
  const int code = errno;
  close(descriptor);
  // Some file systems do not support fsync on folders.
  if (result != 0 && !isUnsupported(code)) throwSystemError(folder, "cannot be flushed to the disk", code);
}

uint64_t inodeOf(const fs::path& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0 ? static_cast<uint64_t>(status.st_ino) : 0;
}

bool renameToNew(const fs::path& from, const fs::path& to) {
#if defined(RENAME_NOREPLACE)
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (errno == EEXIST) return false;
  if (!isUnsupported(errno)) throwSystemError(to, "renaming the output to this path failed", errno);
#elif defined(__APPLE__)
  if (renamex_np(from.c_str(), to.c_str(), RENAME_EXCL) == 0) return true;
  if (errno == EEXIST) return false;
  if (!isUnsupported(errno)) throwSystemError(to, "renaming the output to this path failed", errno);
#endif
  struct stat status {};
  if (lstat(to.c_str(), &status) == 0) return false;
  if (std::rename(from.c_str(), to.c_str()) != 0)
    throwSystemError(to, "renaming the output to this path failed", errno);
  return true;
}

bool exchange(const fs::path& a, const fs::path& b) {
#if defined(RENAME_EXCHANGE)
  if (renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0) return true;
#elif defined(__APPLE__)
  if (renamex_np(a.c_str(), b.c_str(), RENAME_SWAP) == 0) return true;
#else
  errno = ENOSYS;
#endif
  if (!isUnsupported(errno)) throwSystemError(b, "renaming the output to this path failed", errno);
  return false;
}

}  // namespace nib::model
