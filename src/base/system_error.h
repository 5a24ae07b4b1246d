// Texts about failed system calls.
#ifndef NIB_BASE_SYSTEM_ERROR_H
#define NIB_BASE_SYSTEM_ERROR_H

#include <cerrno>

namespace nib {

// How to fix an error that a limit of the process causes, as the end of a message; "" for other errors.
inline const char* limitHint(int code) {
  switch (code) {
#if !defined(_WIN32)
    case EFBIG: return "; `ulimit -f` limits the size of files: raise it";
#endif
    case EAGAIN: return "; `ulimit -u` limits the number of processes and threads: raise it";
    case EMFILE: return "; `ulimit -n` limits the number of open files: raise it";
    case ENFILE: return "; the system's open files are used up: close other programs";
    case ENOMEM: return "; close other programs, or raise `ulimit -v`";
    case ENOSPC: return "; free space on that disk";
    default: return "";
  }
}

}  // namespace nib
#endif
