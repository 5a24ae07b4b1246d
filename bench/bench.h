// One run of the bench: it measures the ceilings, then the rows. Each row is verified before it is timed.
#ifndef NIB_BENCH_BENCH_H
#define NIB_BENCH_BENCH_H

#include "bench/machine.h"
#include "bench/suite.h"

#include <functional>

namespace nib::bench {

struct BenchOptions {
  SuiteOptions suite;
  double budget_seconds = 0;  // 0 = as long as the rows need
  std::string profile;        // the profile that the device was opened with, for the report
  // RowReport::name() of the rows to measure; their dense counterparts are measured, too. Empty = the whole suite.
  std::vector<std::string> only;
  uint64_t rotation_bytes = 0;  // for tests; 0 = from the cache size
  // Called before each step: steps done, steps in all, and the name of the next one.
  std::function<void(size_t done, size_t count, const std::string& name)> progress;
  // Called after rows, about once a second, with the `json` of the result if the run ended there: a valid result whose
  // "interrupted" says so. So a run that is killed, or whose driver crashes, leaves its rows. May be empty.
  std::function<void(const Json& unfinished)> save;
};

struct RowReport {
  selftest::Case row;
  RowNames names;
  std::string path;  // kernel modules joined by +
  Measurement measured;
  uint64_t bytes = 0;
  double multiply_adds = 0;  // 0 = no product
  double gbps = 0;
  double gflops = 0;                       // two operations to a multiply-add
  std::optional<double> speedup_over_f32;  // time of the same product with dense fp32 weights / time of this one
  Ceiling ceiling;  // `fraction` is relative to it; no value: there is none to compare with, see ceiling_note
  Ceiling limit;    // a correct measurement cannot exceed it
  std::string ceiling_note;
  uint64_t yardstick_bytes = 0;  // read and written by a repetition of the yardstick; 0 = there was no yardstick
  std::optional<double> fraction;
  double build_us = 0;
  uint32_t pipelines_built = 0;
  bool beyond_cache = false;
  std::optional<double> instructions_per_element;
  std::string instructions_kind;  // InstructionCount::kind
  std::string instructions_note;
  std::string problem;  // "" = none

  std::string name() const;  // "quantize f32 -> int4 group 128, 4096x1x4096"
};

// Whether it is a ceiling of multiply-adds, not of memory.
bool isArithmetic(const Ceiling& ceiling);

struct BenchResult {
  Json json;  // bench/schema/v1.json
  std::vector<RowReport> rows;
  std::vector<std::string> skipped;   // names of rows the budget had no time for
  std::vector<std::string> failures;  // one line each; not empty = the run failed
};

// If the device is lost, the rows before are the result, the others are skipped, and "interrupted" says why. Throws
// kit::Error if that happens before the first row. If no row is to be measured, it measures nothing and `json` is null.
BenchResult runBench(const kit::Device& device, const BenchOptions& options);

// Parts of runBench, for tests. judge() sets gbps, gflops, fraction, problem and a yardstick's ceiling from `measured`.
void judge(RowReport& row);
Json rowJson(const RowReport& row, const std::string& device);

}  // namespace nib::bench
#endif
