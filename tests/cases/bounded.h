// Ops whose results are bounded, not bit-exact: how far a result is from the exact one, in double precision, of what the
// op says it may be.
#ifndef NIB_TESTS_BOUNDED_H
#define NIB_TESTS_BOUNDED_H

#include "cases.h"

namespace nib::cases {

// Whether the device's bytes may differ from the reference's.
bool isBounded(const Case& c);

// The largest error of `output` over its bound, elements that are no numbers counting as infinite. before: the ranges as
// they were before the run, by role. Of large results the corners and elements between, about most_products multiply-adds
// in all.
double boundRatio(const Case& c, const NibMemory& memory, const uint32_t* const (&before)[NIB_ROLE_COUNT],
                  const uint32_t* output, uint64_t most_products = UINT64_MAX);
double boundRatio(const Case& c, const NibMemory& memory, const Images& before, const uint32_t* output);

}  // namespace nib::cases
#endif
