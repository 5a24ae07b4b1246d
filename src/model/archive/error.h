// The exception of the model layer, and functions that make untrusted text safe to print.
#ifndef NIB_MODEL_ARCHIVE_ERROR_H
#define NIB_MODEL_ARCHIVE_ERROR_H

#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

namespace nib::model {

// A one-line message: where, what is wrong, and how to fix it if known.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Returns `text` in double quotes, safe for one line of a terminal or a log: control characters, bidirectional
// formatting characters, line separators and invalid UTF-8 become \xNN; longer output than `max_bytes` is truncated.
// Use it for any text that comes from a file.
std::string quoteText(std::string_view text, size_t max_bytes = 120);
// The same for a path, without quotes and with a limit beyond the length of any path.
std::string shown(const std::filesystem::path& path);

// "PATH: WHAT: No such file or directory", after a failed system call.
[[noreturn]] void throwSystemError(const std::filesystem::path& path, const std::string& what, int code);

}  // namespace nib::model
#endif
