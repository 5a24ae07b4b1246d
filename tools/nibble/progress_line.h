// Progress on stderr, with rate and time left: one line that is overwritten on a terminal, else a line every 10
// seconds.
#ifndef NIB_TOOLS_PROGRESS_LINE_H
#define NIB_TOOLS_PROGRESS_LINE_H

#include <chrono>
#include <cstdint>
#include <string>

namespace nib::tool {

class ProgressLine {
 public:
  // scale: how many counted items are one `unit`: 1e6 bytes are one "MB".
  ProgressLine(std::string verb, std::string unit, double scale);
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  void show(uint64_t done, uint64_t total);
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  std::string verb_, unit_;
  double scale_;
  bool terminal_;
  bool drawn_ = false;
  Clock::time_point start_, last_;
};

}  // namespace nib::tool
#endif
