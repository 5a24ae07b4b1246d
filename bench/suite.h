// What is measured: rows of a suite, each a case with a shape that no cache holds. What a suite has of an op is said
// with the op's cases, in src/selftest.
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
// What `types` may be: the formats of this build, and the dense types that ops without a format have.
std::vector<std::string> suiteTypes();
std::vector<std::string> suiteOps();

// Known suite, types and ops. Rows this build cannot plan (a format without a granularity) are left out.
std::vector<selftest::Case> suiteRows(const SuiteOptions& options);

// The words a row is known by.
RowNames namesOf(const selftest::Case& row);

// Bytes that must cross the memory bus once: dense source and result, codes, scales and zero points; not scratch, and
// not what a path reads twice.
uint64_t bytesMoved(const selftest::Case& row);

// Of products; 0 for other ops.
double multiplyAdds(const selftest::Case& row);

}  // namespace nib::bench
#endif
