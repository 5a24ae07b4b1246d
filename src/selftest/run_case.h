// Runs a case on a device and compares the result with the reference's.
#ifndef NIB_SELFTEST_RUN_CASE_H
#define NIB_SELFTEST_RUN_CASE_H

#include <nibble/kit.h>

#include "selftest/cases.h"

namespace nib::selftest {

inline kit::Plan planOf(const kit::Device& device, const Case& c) { return kit::Plan(device, c.desc(), c.descBytes()); }

// The result of a comparison.
struct Outcome {
  bool passed = false;
  std::vector<std::string> kernels;
  std::string message;     // if it failed: the position of the first difference and both values
  double bound_ratio = 0;  // bounded ops: the largest error / bound
};

// How a case runs.
struct Way {
  uint64_t range_offset_bytes = 256;  // offset of each range in its buffer, filled with guard bytes; a multiple of 16
  uint64_t guard_bytes = 256;         // after each range; a multiple of 4
  // Runs n rows and waits. Empty = Device::run.
  std::function<void(const kit::Device& device, const kit::Plan& plan, const kit::Binding& binding, uint32_t n)> run;
};

// Runs the case on the device and on the reference from the same bytes, and compares every byte of every range the op
// writes, the bytes it must not change, and guard bytes around the ranges. Throws kit::Error if it cannot run.
Outcome runCase(const kit::Device& device, const Case& c, const Way& way = {});

}  // namespace nib::selftest
#endif
