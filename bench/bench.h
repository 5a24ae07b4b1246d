// One run of the bench: ceilings, then rows, each verified before it is timed.
#ifndef NIB_BENCH_BENCH_H
#define NIB_BENCH_BENCH_H

#include "bench/machine.h"
#include "bench/suite.h"

#include <functional>

namespace nib::bench {

struct BenchOptions {
  SuiteOptions suite;
  double budget_seconds = 0;    // 0 = what the rows need
  std::string profile;          // the one the device was opened with, for the report
  // RowReport::name() of the rows to measure, and of what those are held against; empty = all of the suite.
  std::vector<std::string> only;
  uint64_t rotation_bytes = 0;  // for tests; 0 = by the cache
  // Before each step: how many are done, of how many, and what comes.
  std::function<void(size_t done, size_t count, const std::string& name)> progress;
};

struct RowReport {
  selftest::Case row;
  RowNames names;
  std::string path;  // kernel modules joined by +
  Measurement measured;
  uint64_t bytes = 0;
  double multiply_adds = 0;  // 0 = no product
  double gbps = 0;
  double gflops = 0;  // two operations to a multiply-add
  std::optional<double> over_twin;  // of products: how much faster than the same one of dense fp32 weights
  Ceiling ceiling;  // what the fraction is of; no value: not comparable, see ceiling_note
  Ceiling limit;    // what a right measurement cannot exceed
  std::string ceiling_note;
  uint64_t yardstick_bytes = 0;  // of what took turns with the row; 0 = nothing did
  std::optional<double> fraction;
  double build_us = 0;
  uint32_t pipelines_built = 0;
  bool beyond_cache = false;
  std::optional<double> instructions_per_element;
  std::string instructions_kind;  // of InstructionCount
  std::string instructions_note;
  std::string problem;  // "" = as it should be

  std::string name() const;  // "quantize f32 -> int4 group 128, 4096x1x4096"
};

// Of multiply-adds, not of memory.
bool isArithmetic(const Ceiling& ceiling);

struct BenchResult {
  Json json;  // bench/schema/v1.json
  std::vector<RowReport> rows;
  std::vector<std::string> skipped;   // names of rows the budget had no time for
  std::vector<std::string> failures;  // one line each; not empty = the run failed
};

// Throws kit::Error if the device gives up altogether. Without a row to measure nothing is, and `json` is null.
BenchResult runBench(const kit::Device& device, const BenchOptions& options);

// Parts of it that decide, for tests.
void judge(RowReport& row);  // sets gbps, fraction, problem and a yardstick's ceiling from what was measured
Json rowJson(const RowReport& row, const std::string& device);

}  // namespace nib::bench
#endif
