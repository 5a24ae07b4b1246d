#include "kit/destination.h"

#include <nibble/kit.h>

#include "base/system_error.h"
#include "kit/file.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#if !defined(_WIN32)
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace nib::kit::detail {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxLinks = 40;  // as Linux has it

[[noreturn]] void fail(const fs::path& path, const std::string& what, int code) {
  throw Error(path.string() + ": " + what + ": " + std::strerror(code) + limitHint(code));
}

#if !defined(_WIN32)
// N of /dev/fd/N, /proc/self/fd/N and other names of this process's descriptors.
std::optional<int> descriptorOf(const fs::path& path) {
  std::error_code error;
  const std::string folder = fs::canonical(path.parent_path(), error).native();
  if (error) return std::nullopt;
  const std::string own = "/proc/" + std::to_string(getpid()) + "/";
  const bool of_process = folder.starts_with(own) && folder.ends_with("/fd");  // its threads have the same descriptors
  if (!of_process && folder != "/dev/fd") return std::nullopt;
  const std::string name = path.filename().native();
  int number = -1;
  const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (failed != std::errc() || end != name.data() + name.size() || fcntl(number, F_GETFD) < 0) return std::nullopt;
  return number;
}

// In a folder such as /tmp only the owner of a file may replace it.
void checkSticky(const fs::path& path, const fs::path& folder) {
  struct stat file {
  }, above{};
  if (lstat(path.c_str(), &file) != 0 || stat(folder.c_str(), &above) != 0) return;
  if ((above.st_mode & S_ISVTX) == 0 || geteuid() == 0 || geteuid() == file.st_uid || geteuid() == above.st_uid) return;
  fail(path, "belongs to another user and cannot be replaced", EPERM);
}
#endif

fs::path folderOf(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

}  // namespace

Destination destinationOf(const fs::path& path) {
  if (path.empty() || path.native().find(fs::path::value_type(0)) != fs::path::string_type::npos) {
    throw Error("\"" + path.string() + "\" cannot be written: name a file");
  }
  fs::path at = path;
  for (int links = 0; links < kMaxLinks; ++links) {
#if !defined(_WIN32)
    if (const std::optional<int> number = descriptorOf(at)) return {Destination::Kind::kDescriptor, at, *number};
#endif
    std::error_code error;
    const fs::file_status status = fs::status(at, error);
    if (status.type() == fs::file_type::directory) throw Error(path.string() + ": is a folder, expected a file");
    if (status.type() == fs::file_type::socket) throw Error(path.string() + ": is a socket, expected a file");
    const bool is_link = fs::symlink_status(at, error).type() == fs::file_type::symlink;
    if (!is_link) {
      if (fs::exists(status) && status.type() != fs::file_type::regular) return {Destination::Kind::kStream, at, -1};
      // The folder's own links, so that two spellings of a destination are equal.
      const fs::path folder = fs::canonical(folderOf(at), error);
      return {Destination::Kind::kFile, error ? at : folder / at.filename(), -1};
    }
    const fs::path target = fs::read_symlink(at, error);
    if (error) fail(path, "cannot be read", error.value());
    at = target.is_absolute() ? target : folderOf(at) / target;
  }
  throw Error(path.string() + ": its symbolic links never end");
}

void checkWritable(const Destination& destination) {
#if !defined(_WIN32)
  if (destination.kind == Destination::Kind::kDescriptor) {
    const int flags = fcntl(destination.descriptor, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY) fail(destination.path, "cannot be written", EBADF);
    return;
  }
  if (destination.kind == Destination::Kind::kStream) {
    // Opening a pipe would wait for its reader.
    if (access(destination.path.c_str(), W_OK) != 0) fail(destination.path, "cannot be written", errno);
    return;
  }
  const fs::path folder = folderOf(destination.path);
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    throw Error(destination.path.string() + ": there is no folder " + folder.string() + ": create it first");
  }
  if (!destination.path.has_filename()) throw Error(destination.path.string() + ": cannot be written: name a file");
  // A rename finds out too late that a name is too long.
  struct stat status {};
  if (lstat(destination.path.c_str(), &status) != 0 && errno != ENOENT)
    fail(destination.path, "cannot be created", errno);
  checkSticky(destination.path, folder);
#else
  if (destination.kind != Destination::Kind::kFile) return;
#endif
  const TemporaryFile trial(destination.path);
}

}  // namespace nib::kit::detail
