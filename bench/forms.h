// Some ops can run in more than one form on a device. A context picks one; the bench times them all.
#ifndef NIB_BENCH_FORMS_H
#define NIB_BENCH_FORMS_H

#include "selftest/run_case.h"

#include <nibble/kit.h>

#include <string>
#include <vector>

namespace nib::bench {

struct Form {
  std::string name;    // listed among the row's modes: "fused", "chained"; "" = there is only one form
  kit::Device device;  // a context of the same VkDevice that uses this form
};

// The forms that `device` has for the case, at least one. Do not call it for a device under a profile: the contexts it
// creates are not restricted.
std::vector<Form> formsOf(const kit::Device& device, const selftest::Case& row);

}  // namespace nib::bench
#endif
