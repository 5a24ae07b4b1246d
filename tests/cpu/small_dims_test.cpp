// The sizes that self-tests try: few of them, and descriptions that the op takes.
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "plan/op.h"
#include "selftest/op_cases.h"

using namespace nib;
using selftest::Case;

TEST_CASE("an op lists few small dims for a case, none of them twice, and some that it takes") {
  uint32_t cases = 0;
  uint64_t dims = 0;
  for (uint32_t i = 0; const OpRow* op = opAt(i); ++i) {
    std::vector<Case> list = selftest::casesOf(NibOp(op->op), 0, selftest::Extent::kFull);
    for (uint32_t f = 0; const NibFormatInfo* format = nibFormatAt(f); ++f) {
      for (const Case& c : selftest::casesOf(NibOp(op->op), format->format, selftest::Extent::kFull)) list.push_back(c);
    }
    for (const Case& c : list) {
      SmallDims small;
      op->smallDims(c.desc(), &small);
      INFO(c.name());
      ++cases;
      dims += small.count();
      CHECK(small.count() > 0);
      CHECK(small.count() < SmallDims::kMost);  // at kMost one may be missing
      bool taken = false;
      for (const Dims* side = small.begin(); side != small.end(); ++side) {
        CHECK(side->rows > 0);
        CHECK(side->cols > 0);
        CHECK(std::none_of(small.begin(), side,
                           [&](const Dims& other) { return other.rows == side->rows && other.cols == side->cols; }));
        AnyDesc resized;
        op->resized(c.desc(), *side, resized.bytes);
        NibMemory memory{sizeof(NibMemory)};
        taken = taken || nibGetMemory(resized.get(), nullptr, &memory) == NIB_SUCCESS;
      }
      CHECK(taken);
    }
  }
  MESSAGE(cases << " cases, " << dims << " dims");
  if (cases > 1000) CHECK(dims < 4 * uint64_t(cases));
}
