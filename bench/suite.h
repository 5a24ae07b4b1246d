// What is measured: rows of a suite, each a case of tests/cases with a shape that no cache holds.
#ifndef NIB_BENCH_SUITE_H
#define NIB_BENCH_SUITE_H

#include "bench/parse.h"
#include "tests/cases/cases.h"

#include <optional>
#include <string>
#include <vector>

namespace nib::bench {

struct SuiteOptions {
  std::string suite = "quick";
  std::string type;            // a name of suiteTypes(), "" = all
  std::optional<Shape> shape;  // none = the suite's own
};

// "quick", "full", "quantize", "gemv", "gemm".
const std::vector<std::string>& suiteNames();
// What `type` may be: the formats of this build, and the dense types that ops without a format have.
std::vector<std::string> suiteTypes();

// Known suite and type. Rows this build cannot plan (a format without a granularity) are left out.
std::vector<cases::Case> suiteRows(const SuiteOptions& options);

// The words a row is known by. Empty = the op has no such thing.
struct RowNames {
  std::string op;           // "quantize"
  std::string type;         // "int4"; of minmax the source's, of convert the result's, of errors the candidate's
  std::string source;       // "f32": of what is read, where that is dense
  std::string result;       // "f16": of what is written, where that is dense
  std::string granularity;  // "group"
  uint32_t group_size = 0;
  std::string scale_type;
  std::string scales;  // "found" or "given"
  std::vector<std::string> modes;  // "asymmetric", "narrow", "flat"
  uint32_t m = 0, n = 1, k = 0;

  // "group 128", "row asymmetric given", for people.
  std::string sharing() const;
};
RowNames namesOf(const cases::Case& row);

// Bytes that must cross the memory bus once: dense source and result, codes, scales and zero points; not scratch, and
// not what a path reads twice.
uint64_t bytesMoved(const cases::Case& row);

// Of products; 0 for other ops.
double multiplyAdds(const cases::Case& row);

}  // namespace nib::bench
#endif
