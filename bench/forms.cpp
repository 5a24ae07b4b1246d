#include "bench/forms.h"

#include "selftest/op_cases.h"

#if !defined(NIB_NO_VULKAN)
#include "plan/context.h"

#include <algorithm>
#endif

namespace nib::bench {

#if defined(NIB_NO_VULKAN)
std::vector<Form> formsOf(const kit::Device& device, const selftest::Case&) { return {{"", device}}; }
#else
std::vector<Form> formsOf(const kit::Device& device, const selftest::Case& row) {
  std::vector<Form> forms;
  std::vector<std::vector<std::string> > kernels;
  for (const selftest::RowForm& form : selftest::findCases(row.op())->bench.forms(row)) {
    if (device.context() == nullptr) break;
    const auto& usual = device.context()->tuning;
    std::vector<NibTuning> tuning(usual.begin(), usual.end());
    tuning.push_back(form.tuning);
    const kit::Device tuned = device.tuned(tuning);
    const std::vector<std::string> taken = selftest::planOf(tuned, row).kernels();
    if (std::find(kernels.begin(), kernels.end(), taken) != kernels.end()) continue;
    kernels.push_back(taken);
    forms.push_back({form.name, tuned});
  }
  return forms.size() > 1 ? forms : std::vector<Form>{{"", device}};
}
#endif

}  // namespace nib::bench
