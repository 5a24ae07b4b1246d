// The rules of timing, independent of the op that is timed: a result is verified before it gets a time; a device clock
// that contradicts the host's is not used; subjects to be compared are interleaved; a rate above the machine's ceiling
// is a failure.
#ifndef NIB_BENCH_MEASURE_H
#define NIB_BENCH_MEASURE_H

#include "bench/percentile.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nib::bench {

// The most repetitions in one submission.
constexpr uint32_t kMaxBatch = 64;

// One submission of several repetitions.
struct Batch {
  std::vector<double> device_seconds;  // by repetition, from the device's clock; empty if it has none
  double wall_seconds = 0;             // of the whole submission, on the host
};

// Something to measure.
class Subject {
 public:
  virtual ~Subject() = default;
  // Runs it and compares all its results with an independent computation. "" = correct, else the first error.
  virtual std::string verify() = 0;
  // The same for the results of the last timed repetitions, without running it again.
  virtual std::string verifyAgain() = 0;
  virtual Batch run(uint32_t repetitions) = 0;
};

struct MeasureOptions {
  double seconds = 0.5;            // to spend on timed repetitions
  uint32_t least_repetitions = 3;  // enough if min_repetitions would take several times `seconds`
  uint32_t min_repetitions = 5;
  uint32_t max_repetitions = 5000;
  // A verified subject to interleave with the measured one, so that other load on the machine affects both. Or NULL.
  Subject* yardstick = nullptr;
  double yardstick_seconds = 0;  // known duration of a repetition of it
};

struct Measurement {
  bool verified = false;
  std::string problem;  // why it is not verified
  // Set only if verified:
  Spread us;
  uint32_t repetitions = 0;
  bool device_clock = false;     // false: host clock, submission and wait included
  std::string clock_note;        // why the device's clock was not used
  double submit_to_wait_us = 0;  // median of submissions of one repetition, on the host
  std::optional<double> cpu_us;  // processor time of this process per repetition, 5th percentile
  // The yardstick, by the same clock; 0 repetitions = there was none.
  Spread yardstick_us;
  uint32_t yardstick_repetitions = 0;
  double yardstick_ratio = 0;  // time of a repetition / time of the yardstick's in the same round, median of all rounds
  std::optional<double> yardstick_cpu_us;
};

Measurement measure(Subject& subject, const MeasureOptions& options);

// A rate to compare with.
struct Ceiling {
  std::string name;             // "copy", "copy_kernel"
  std::optional<double> value;  // in the rate's unit; none = not measured
};

// rate / ceiling, none without a ceiling.
std::optional<double> ceilingFraction(double rate, const Ceiling& ceiling);

// Noise allowed above the measured ceiling.
constexpr double kCeilingTolerance = 1.05;
inline bool isAboveCeiling(std::optional<double> fraction) { return fraction && *fraction > kCeilingTolerance; }

}  // namespace nib::bench
#endif
