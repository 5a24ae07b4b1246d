#include "kit/line_log.h"

namespace nib::kit::detail {
namespace {

// Per thread: several threads may call one device, and each needs the reason of its own call.
thread_local std::string last_error;

}  // namespace

void LineLog::line(void* user, NibSeverity severity, const char* text) {
  const LineLog* self = static_cast<const LineLog*>(user);
  if (severity == NIB_SEVERITY_ERROR) last_error = text;
  self->write(severity, text);
}

void LineLog::write(NibSeverity severity, std::string_view text) const {
  if (user_) user_(severity, text);
}

void LineLog::check(NibResult result, std::string_view what) const {
  std::string reason = std::move(last_error);
  last_error.clear();
  if (result == NIB_SUCCESS) return;
  if (reason.empty()) reason = nibResultString(result);
  throw Error(std::string(what) + ": " + reason, result);
}

}  // namespace nib::kit::detail
