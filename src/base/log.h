// One-line messages to the caller's log callback.
#ifndef NIB_BASE_LOG_H
#define NIB_BASE_LOG_H

#include <nibble/nibble.h>

#include <cstdarg>
#include <cstdio>

namespace nib {

#if defined(__MINGW32__)
// "printf" would mean the old C runtime's, which has no %llu and %zu.
#define NIB_PRINTF(format_index, first) __attribute__((format(gnu_printf, format_index, first)))
#elif defined(__GNUC__)
#define NIB_PRINTF(format_index, first) __attribute__((format(printf, format_index, first)))
#else
#define NIB_PRINTF(format_index, first)
#endif

class Log {
 public:
  Log() = default;
  explicit Log(const NibLog* log) {
    if (log != nullptr) log_ = *log;
  }

  // Reports an error and returns its code, for `return log.fail(NIB_ERROR_..., "...")`.
  NIB_PRINTF(3, 4) NibResult fail(NibResult result, const char* format, ...) const {
    va_list arguments;
    va_start(arguments, format);
    write(NIB_SEVERITY_ERROR, format, arguments);
    va_end(arguments);
    return result;
  }
  NIB_PRINTF(3, 4) void say(NibSeverity severity, const char* format, ...) const {
    va_list arguments;
    va_start(arguments, format);
    write(severity, format, arguments);
    va_end(arguments);
  }

 private:
  void write(NibSeverity severity, const char* format, va_list arguments) const {
    if (log_.line == nullptr) return;
    char text[512];
    std::vsnprintf(text, sizeof text, format, arguments);
    log_.line(log_.user, severity, text);
  }
  NibLog log_{};
};

}  // namespace nib
#endif
