// The case lists of every op, for tests, `nibble selftest`, `nibble devices --verify` and `nibble bench`.
#ifndef NIB_SELFTEST_CASES_H
#define NIB_SELFTEST_CASES_H

#include "selftest/case.h"

namespace nib::selftest {

// Cases of one op for one format; 0 = ops without a list per format, and dense weights. Cases of formats that this
// build lacks are left out, so the list may be empty.
std::vector<Case> casesOf(NibOp op, uint32_t format, Extent extent);

// Every Nth case of a list, and the first of each kind (see OpCases::kind), so that no path is lost.
std::vector<Case> thinned(std::vector<Case> list, uint32_t every);

const char* opName(uint32_t op);
std::vector<std::string> opNames();  // of this build

struct OpFormat {
  uint32_t op;
  uint32_t format;   // 0 = the op has none
  std::string name;  // "quantize int4", "minmax"
};
// Every op of this build with every format it takes.
std::vector<OpFormat> opFormats();

// Cases of other sizes than those of the lists, for faults that the lists cannot find.
enum class Large {
  kTails,          // as large as the lists' largest, with last tiles that are mostly empty
  kSlices,         // several slices in the main phases: about 13 MB of source
  kWindows,        // beyond 128 MiB, the largest range that every device supports
  kNarrowWindows,  // several small windows, for ops whose lists have no such case
  kPlans           // shapes of real models, only for planning
};
struct LargeOptions {
  Extent extent = Extent::kQuick;
  bool slow = false;  // leaves out cases that take minutes with instrumented shaders
};
std::vector<Case> largeCases(Large purpose, NibOp op, uint32_t format, const LargeOptions& options = {});

struct NamedCase {
  std::string name;
  Case c;
};
// The cases of `nibble devices --verify`: every type with its most common granularity, and each other granularity once,
// with rotating types. A plan's own self-test covers the combination that a program uses.
std::vector<NamedCase> verifyCases();

// --------------------------------------------------------------------------------------------- data
// A role's range before a run: inputs by the case's recipe; results and scratch hold marks, the status zeros.
std::vector<uint32_t> makeRange(const Case& c, const NibMemory& memory, NibRole role);
Images makeImages(const Case& c, const NibMemory& memory);
// Replaces the ranges by those after a run of the reference. Throws std::runtime_error if it refuses the case.
void runReference(const Case& c, const NibMemory& memory, Images& images);

// --------------------------------------------------------------------------------------------- judging
// The role that holds the result.
NibRole writtenRole(const Case& c);

// The first difference of a role's range: the word, its place and both values; "" if there is none. Scratch may hold
// anything.
std::string difference(const Case& c, const NibMemory& memory, NibRole role, const uint32_t* got,
                       const std::vector<uint32_t>& expected);

// Whether the device's bytes may differ from the reference's, within the op's bound.
bool isBounded(const Case& c);

// The element of a result whose error is largest relative to the op's bound, computed in double precision.
struct Farthest {
  double ratio = 0;    // error / bound; infinite for NaN
  uint64_t index = 0;  // elements from the range's begin
  double got = 0;
  double exact = 0;
  std::string text(const Case& c, const NibMemory& memory) const;
};
// For bounded cases. before: the ranges before the run, by role; those that the op does not read may be NULL. Large
// results are sampled: corners and elements in between, about most_products multiply-adds in total.
Farthest farthest(const Case& c, const NibMemory& memory, const uint32_t* const (&before)[NIB_ROLE_COUNT],
                  const uint32_t* output, uint64_t most_products = UINT64_MAX);
Farthest farthest(const Case& c, const NibMemory& memory, const Images& before, const uint32_t* output);

}  // namespace nib::selftest
#endif
