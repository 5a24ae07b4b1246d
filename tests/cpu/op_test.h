// Checks that every op's tests/cpu/NAME_model_test.cpp defines in addition, so that tests can iterate over the
// ops. The link fails if an op lacks them.
#ifndef NIB_TESTS_OP_TEST_H
#define NIB_TESTS_OP_TEST_H

namespace nib::tests {

struct OpTest {
  // nibGetMemory: the size of every range and the offset of every part, by formulas independent of the library.
  void (*memory)();
  // Every field of the description with a wrong value.
  void (*refusals)();
};

// In namespace nib::tests.
#define NIB_DEFINE_OP_TEST(NAME, ...)          \
  namespace nib::tests {                       \
  extern const OpTest kOpTest_##NAME;          \
  const OpTest kOpTest_##NAME = {__VA_ARGS__}; \
  }

}  // namespace nib::tests
#endif
