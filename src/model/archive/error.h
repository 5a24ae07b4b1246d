// What every function of the model layer throws, and how text of a file gets into a message.
#ifndef NIB_MODEL_ARCHIVE_ERROR_H
#define NIB_MODEL_ARCHIVE_ERROR_H

#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

namespace nib::model {

// A one-line message: where, what is wrong, and the mend if there is one.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// `text` between double quotes, fit for one line of a terminal or a log: control characters, marks that turn the
// direction of writing, line separators and bytes that are not UTF-8 become \xNN; a text longer than `max_bytes` is
// cut. For whatever comes out of a file.
std::string quoteText(std::string_view text, size_t max_bytes = 120);
// The same for a path, without quotes and with room for any path.
std::string shown(const std::filesystem::path& path);

// "PATH: WHAT: No such file or directory", after a failed system call.
[[noreturn]] void throwSystemError(const std::filesystem::path& path, const std::string& what, int code);

}  // namespace nib::model
#endif
