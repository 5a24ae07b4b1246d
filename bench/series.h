// Times of one subject, gathered over several submissions.
#ifndef NIB_BENCH_SERIES_H
#define NIB_BENCH_SERIES_H

#include "bench/measure.h"

namespace nib::bench {

class Series {
 public:
  // Warms up for about that long, and learns how many repetitions fill a submission.
  Series(Subject& subject, double warm_up_seconds);
  // Of something warm already.
  static Series known(Subject& subject, double repetition_seconds);

  void turn();  // one submission
  // Submissions of one repetition, until there are enough of them to know what submitting costs.
  void completeSingles();

  uint32_t repetitions() const { return static_cast<uint32_t>(wall_.size()); }
  bool hasDeviceClock() const { return device_.size() == wall_.size(); }
  // Why the device's times cannot be right, "" if they can.
  std::string clockProblem() const;

  Spread us(bool device_clock) const;
  // Mean seconds of a repetition, by turn.
  std::vector<double> turnSeconds(bool device_clock) const;
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
