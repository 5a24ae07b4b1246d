// How much memory a piece of code takes from operator new.
#ifndef NIB_TESTS_COUNTING_NEW_H
#define NIB_TESTS_COUNTING_NEW_H

#include <cstddef>

namespace nib::model::test {

// From now on: what is held now counts as nothing.
void startCounting();
// The most that was held at once since then, in bytes.
size_t peakBytes();

}  // namespace nib::model::test
#endif
