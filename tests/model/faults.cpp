#include "faults.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <mutex>

namespace nib::model::test {
namespace {

Faults current;
std::atomic<int64_t> calls{0};
std::atomic<int64_t> written{0};
std::atomic<uint64_t> random_state{1};
std::mutex mutex;
std::vector<Call> recorded;

std::string pathOf(int descriptor) {
  char path[PATH_MAX];
  const ssize_t size = readlink(("/proc/self/fd/" + std::to_string(descriptor)).c_str(), path, sizeof path);
  return size < 0 ? std::string() : std::string(path, static_cast<size_t>(size));
}

void note(const char* name, const std::string& path, uint64_t offset = 0, std::string bytes = {}) {
  if (current.kill_at == calls++) kill(getpid(), SIGKILL);
  if (!current.record) return;
  const std::lock_guard lock(mutex);
  recorded.push_back({name, path, offset, std::move(bytes)});
}

// 0 = the call is interrupted.
size_t shortened(size_t size) {
  if (!current.short_calls || size == 0) return size;
  const uint64_t random = (random_state += 0x9e3779b97f4a7c15ull) * 0xbf58476d1ce4e5b9ull >> 33;
  return random % 3 == 0 ? 0 : 1 + random % size;
}

}  // namespace

void setFaults(const Faults& faults) {
  current = faults;
  calls = 0;
  written = 0;
  recorded.clear();
}

std::vector<Call> recordedCalls() { return recorded; }
int64_t countedCalls() { return calls; }

}  // namespace nib::model::test

#if defined(__linux__)
using namespace nib::model::test;

// The headers map these names to those that the library calls, such as pwrite64.
extern "C" {

ssize_t pread(int descriptor, void* data, size_t size, off_t offset) {
  const size_t wanted = shortened(size);
  if (wanted == 0 && size > 0) return errno = EINTR, -1;
  return syscall(SYS_pread64, descriptor, data, wanted, offset);
}

ssize_t pwrite(int descriptor, const void* data, size_t size, off_t offset) {
  size_t wanted = shortened(size);
  if (wanted == 0 && size > 0) return errno = EINTR, -1;
  if (current.full_after_bytes >= 0) {
    const int64_t space = current.full_after_bytes - written;
    if (space <= 0) return errno = ENOSPC, -1;
    wanted = std::min<size_t>(wanted, static_cast<size_t>(space));
  }
  note("pwrite", current.record ? pathOf(descriptor) : std::string(), static_cast<uint64_t>(offset),
       current.record ? std::string(static_cast<const char*>(data), wanted) : std::string());
  const ssize_t put = syscall(SYS_pwrite64, descriptor, data, wanted, offset);
  if (put > 0) written += put;
  return put;
}

int fsync(int descriptor) {
  note("fsync", current.record ? pathOf(descriptor) : std::string());
  if (current.fsync_fails) return errno = EIO, -1;
  return static_cast<int>(syscall(SYS_fsync, descriptor));
}

int ftruncate(int descriptor, off_t size) noexcept {
  note("ftruncate", current.record ? pathOf(descriptor) : std::string(), static_cast<uint64_t>(size));
  return static_cast<int>(syscall(SYS_ftruncate, descriptor, size));
}

int rename(const char* from, const char* to) noexcept {
  note("rename", from);
  return static_cast<int>(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

int renameat2(int, const char* from, int, const char* to, unsigned flags) noexcept {
  note("rename", from);
  return static_cast<int>(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags));
}

int remove(const char* path) noexcept {
  note("remove", path);
  struct stat status {};
  if (lstat(path, &status) == 0 && S_ISDIR(status.st_mode)) return rmdir(path);
  return unlink(path);
}

int mkdir(const char* path, mode_t mode) noexcept {
  note("mkdir", path);
  return static_cast<int>(syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}

}  // extern "C"
#endif
