// Receives the log lines of nibble.h calls, passes them to the user's log, and keeps the last error of each thread as
// the text of the exception.
#ifndef NIB_KIT_LINE_LOG_H
#define NIB_KIT_LINE_LOG_H

#include <nibble/kit.h>

namespace nib::kit::detail {

class LineLog {
 public:
  explicit LineLog(Log user) : user_(std::move(user)), nib_log_{&LineLog::line, this} {}
  LineLog(const LineLog&) = delete;
  LineLog& operator=(const LineLog&) = delete;

  const NibLog* get() const { return &nib_log_; }
  void write(NibSeverity severity, std::string_view text) const;

  // Throws Error("WHAT: last error line" or "WHAT: result string") unless result is NIB_SUCCESS.
  void check(NibResult result, std::string_view what) const;

 private:
  static void line(void* user, NibSeverity severity, const char* text);

  Log user_;
  NibLog nib_log_;
};

}  // namespace nib::kit::detail
#endif
