// The rows of a suite, each a case with a shape that exceeds any cache. The op's cases in src/selftest define its rows
// in each suite.
#ifndef NIB_BENCH_SUITE_H
#define NIB_BENCH_SUITE_H

#include "bench/parse.h"
#include "selftest/bench_rows.h"

#include <optional>
#include <string>
#include <vector>

namespace nib::bench {

using selftest::RowNames;

struct SuiteOptions {
  std::string suite = "quick";
  std::vector<std::string> types = {};  // names of suiteTypes(); none = all
  std::vector<std::string> ops = {};    // names of suiteOps(); none = all
  std::optional<Shape> shape = {};      // none = the suite's own
};

// "quick", "full", "quantize", "gemv", "gemm".
const std::vector<std::string>& suiteNames();
// The valid `types`: the formats of this build, and the dense types of ops without a format.
std::vector<std::string> suiteTypes();
std::vector<std::string> suiteOps();

// Suite, types and ops must be known. Leaves out rows that this build cannot plan (a format without a granularity).
std::vector<selftest::Case> suiteRows(const SuiteOptions& options);

// The names that identify a row.
RowNames namesOf(const selftest::Case& row);

// Bytes that must cross the memory bus at least once: dense source and result, codes, scales and zero points; without
// scratch and repeated reads.
uint64_t bytesMoved(const selftest::Case& row);

// The multiply-adds of a product; 0 for other ops.
double multiplyAdds(const selftest::Case& row);

}  // namespace nib::bench
#endif
