#include "progress_line.h"

#include <cstdio>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace nib::tool {
namespace {

bool isTerminal() {
#if defined(__unix__) || defined(__APPLE__)
  return isatty(2) != 0;
#else
  return false;
#endif
}

}  // namespace

ProgressLine::ProgressLine(std::string verb, std::string unit, double scale)
    : verb_(std::move(verb)),
      unit_(std::move(unit)),
      scale_(scale),
      terminal_(isTerminal()),
      start_(Clock::now()),
      last_(start_) {}

void ProgressLine::show(uint64_t done, uint64_t total) {
  const auto now = Clock::now();
  if (now - last_ < (terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(10000))) return;
  last_ = now;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double rate = seconds > 0 ? double(done) / seconds : 0;
  char text[200];
  std::snprintf(text, sizeof text, "%3.0f %%  %.0f %s/s  %.0f s left",
                total != 0 ? 100.0 * double(done) / double(total) : 100.0, rate / scale_, unit_.c_str(),
                rate > 0 ? double(total - done) / rate : 0.0);
  if (terminal_) {
    std::fprintf(stderr, "\r%s  ", text);
  } else {
    std::fprintf(stderr, "nibble %s: %s\n", verb_.c_str(), text);
  }
  drawn_ = terminal_;
}

void ProgressLine::clear() {
  if (drawn_) std::fprintf(stderr, "\r%60s\r", "");
  drawn_ = false;
}

}  // namespace nib::tool
