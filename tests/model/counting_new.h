// Measures the memory that code takes from operator new.
#ifndef NIB_TESTS_COUNTING_NEW_H
#define NIB_TESTS_COUNTING_NEW_H

#include <cstddef>

namespace nib::model::test {

// Starts counting; memory allocated before does not count.
void startCounting();
// The peak since then, in bytes.
size_t peakBytes();

}  // namespace nib::model::test
#endif
