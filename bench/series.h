// Collects times of one subject over several submissions.
#ifndef NIB_BENCH_SERIES_H
#define NIB_BENCH_SERIES_H

#include "bench/measure.h"

namespace nib::bench {

class Series {
 public:
  // Warms up for about that long, and finds out how many repetitions fill a submission.
  Series(Subject& subject, double warm_up_seconds);
  // For a subject that is warm already and whose repetitions take about this long.
  static Series known(Subject& subject, double repetition_seconds);

  void addRound();  // one submission
  // Adds submissions of one repetition, until there are enough to estimate the overhead of submitting.
  void completeSingles();

  uint32_t repetitions() const { return static_cast<uint32_t>(wall_.size()); }
  bool hasDeviceClock() const { return device_.size() == wall_.size(); }
  // Why the device's times must be wrong; "" if they may be right.
  std::string clockProblem() const;

  Spread us(bool device_clock) const;
  // Mean seconds of a repetition, by round.
  std::vector<double> roundSeconds(bool device_clock) const;
  double submitToWaitUs() const { return spreadOf(singles_).median * 1e6; }
  std::optional<double> cpuUs() const;

 private:
  explicit Series(Subject& subject) : subject_(subject) {}
  void setBatch(double repetition_seconds);

  Subject& subject_;
  uint32_t batch_ = 1;
  std::vector<double> device_, wall_, cpu_, singles_;
  double device_total_ = 0, wall_total_ = 0;
  uint32_t submissions_ = 0;
};

}  // namespace nib::bench
#endif
