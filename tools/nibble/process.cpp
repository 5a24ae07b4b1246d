#include "process.h"

#include "base/system_error.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#if !defined(_WIN32)
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <csignal>
#endif

namespace nib::tool {
namespace {

bool g_stdout_was_closed = false;

#if !defined(_WIN32)
void openStandardDescriptors() {
  for (int descriptor = 0; descriptor <= 2; ++descriptor) {
    if (fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
    if (descriptor == 1) g_stdout_was_closed = true;
    // The lowest free number is this one. Without /dev/null, as in an empty chroot, any open file keeps it taken.
    if (open("/dev/null", O_RDWR) == descriptor) continue;
    int ends[2];
    if (pipe(ends) == 0 && ends[1] > 2) close(ends[1]);
  }
}

void raiseOpenFiles() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
#if defined(__APPLE__)
  if (limit.rlim_cur > OPEN_MAX) limit.rlim_cur = OPEN_MAX;
#endif
  setrlimit(RLIMIT_NOFILE, &limit);
}
#endif

}  // namespace

void prepareProcess() {
#if !defined(_WIN32)
  openStandardDescriptors();
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  raiseOpenFiles();
#endif
}

bool stdoutWasClosed() { return g_stdout_was_closed; }

std::string flushStdout() {
  // An earlier write may have failed; its error is only trusted if it is one of writing.
  const int before = errno;
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return "";
  const bool of_writing = before == ENOSPC || before == EPIPE || before == EFBIG || before == EIO || before == EBADF;
  const int code = errno != 0 ? errno : of_writing ? before : 0;
  return "stdout: cannot be written" + (code != 0 ? std::string(": ") + std::strerror(code) + limitHint(code) : "");
}

}  // namespace nib::tool
