// Ops that a device can run in more than one way, of which the context picks one: a bench times them all.
#ifndef NIB_BENCH_FORMS_H
#define NIB_BENCH_FORMS_H

#include "selftest/run_case.h"

#include <nibble/kit.h>

#include <string>
#include <vector>

namespace nib::bench {

struct Form {
  std::string name;    // a mode of the row's: "fused", "chained"; "" = there is but one
  kit::Device device;  // another context of the same VkDevice, which has no choice
};

// What `device` has for the case, at least one. Not for devices under a profile: other contexts know nothing of it.
std::vector<Form> formsOf(const kit::Device& device, const selftest::Case& row);

}  // namespace nib::bench
#endif
