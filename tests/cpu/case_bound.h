// Judges a self-test's case, computed by the CPU reference, in double precision.
#ifndef NIB_TESTS_CASE_BOUND_H
#define NIB_TESTS_CASE_BOUND_H

#include <doctest/doctest.h>

#include "selftest/op_cases.h"

namespace nib::tests {

// Checks that the case's result lies within its bound, and that no input has changed. fraction: of the bound.
inline void expectWithinBound(const selftest::Case& c, double fraction = 1) {
  INFO(c.name());
  NibMemory memory{sizeof(NibMemory)};
  REQUIRE(nibGetMemory(c.desc(), nullptr, &memory) == NIB_SUCCESS);
  const selftest::Images before = selftest::makeImages(c, memory);
  selftest::Images after = before;
  selftest::runReference(c, memory, after);
  const selftest::Farthest worst = selftest::farthest(c, memory, before, after.role[NIB_ROLE_OUTPUT].data());
  CHECK_MESSAGE(worst.ratio <= fraction, worst.text(c, memory));
  CHECK(after.role[NIB_ROLE_WEIGHTS] == before.role[NIB_ROLE_WEIGHTS]);
  CHECK(after.role[NIB_ROLE_INPUT] == before.role[NIB_ROLE_INPUT]);
}

}  // namespace nib::tests
#endif
