// What every op's tests/cpu/NAME_model_test.cpp proves beside its results, so that tests can walk the ops: the linker
// asks for what an op lacks.
#ifndef NIB_TESTS_OP_TEST_H
#define NIB_TESTS_OP_TEST_H

namespace nib::tests {

struct OpTest {
  // nibGetMemory: the size of every range and the place of every part, by formulas that share nothing with the library.
  void (*memory)();
  // Every field of the description, wrong once.
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
