// The rules of timing, apart from what is timed: nothing unverified gets a time, a clock that contradicts the other is
// not believed, what is compared is timed in turns, and a result above the machine's ceiling is a failure.
#ifndef NIB_BENCH_MEASURE_H
#define NIB_BENCH_MEASURE_H

#include "bench/percentile.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nib::bench {

// Repetitions in one submission, at most.
constexpr uint32_t kMaxBatch = 64;

// One submission of several repetitions.
struct Batch {
  std::vector<double> device_seconds;  // by repetition, from the device's clock; empty where it has none
  double wall_seconds = 0;             // of the whole submission, on the host
};

// Something to measure.
class Subject {
 public:
  virtual ~Subject() = default;
  // Runs it and compares all it wrote with an independent computation. "" = right, else what was wrong.
  virtual std::string verify() = 0;
  // The same for what the last timed repetitions left behind.
  virtual std::string verifyAgain() = 0;
  virtual Batch run(uint32_t repetitions) = 0;
};

struct MeasureOptions {
  double seconds = 0.5;           // to spend on timed repetitions
  uint32_t least_repetitions = 3;  // where min_repetitions would take several times as long
  uint32_t min_repetitions = 5;
  uint32_t max_repetitions = 5000;
  // Something verified already that takes turns with the subject, so that whatever else the machine does hits both.
  Subject* yardstick = nullptr;
  double yardstick_seconds = 0;  // that a repetition of it is known to take
};

struct Measurement {
  bool verified = false;
  std::string problem;  // why not
  // Only of what was verified:
  Spread us;
  uint32_t repetitions = 0;
  bool device_clock = false;    // else the host's, submission and wait included
  std::string clock_note;       // why the device's clock was not believed
  double submit_to_wait_us = 0;  // median of submissions of one repetition, on the host
  std::optional<double> cpu_us;  // processor time of this process per repetition, 5th percentile
  // Of the yardstick, by the same clock; no repetitions = there was none.
  Spread yardstick_us;
  uint32_t yardstick_repetitions = 0;
  double yardstick_ratio = 0;  // time of a repetition / of the yardstick's in the same turn, median of all turns
  std::optional<double> yardstick_cpu_us;
};

Measurement measure(Subject& subject, const MeasureOptions& options);

// What a rate is compared with.
struct Ceiling {
  std::string name;              // "copy", "copy_kernel"
  std::optional<double> value;   // in the rate's unit; none = not measured
};

// rate / ceiling, none without a ceiling.
std::optional<double> ceilingFraction(double rate, const Ceiling& ceiling);

// Noise allowed on top of what the machine was seen to do at best.
constexpr double kCeilingTolerance = 1.05;
inline bool isAboveCeiling(std::optional<double> fraction) { return fraction && *fraction > kCeilingTolerance; }

}  // namespace nib::bench
#endif
