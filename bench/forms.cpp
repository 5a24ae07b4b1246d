#include "bench/forms.h"

#if !defined(NIB_NO_VULKAN)
#include "plan/context.h"
#endif

namespace nib::bench {

#if defined(NIB_NO_VULKAN)
std::vector<Form> formsOf(const kit::Device& device, const cases::Case&) { return {{"", device}}; }
#else
std::vector<Form> formsOf(const kit::Device& device, const cases::Case& row) {
  if (device.context() == nullptr || row.op() != NIB_OP_DYNAMIC_GEMM) return {{"", device}};
  const auto with = [&](uint32_t fused) {
    const auto& usual = device.context()->tuning;
    std::vector<NibTuning> tuning(usual.begin(), usual.end());
    // An entry for the row's tokens overrides entries for fewer tokens.
    tuning.push_back({NIB_TUNABLE_DYNAMIC, row.format(), row.desc.dynamic_gemm.tokens, {fused}});
    return device.tuned(tuning);
  };
  const kit::Device chained = with(0), fused = with(1);
  const auto kernels = [&](const kit::Device& on) { return kit::Plan(on, &row.desc.op, row.descBytes()).kernels(); };
  if (kernels(chained) == kernels(fused)) return {{"", device}};
  return {{"fused", fused}, {"chained", chained}};
}
#endif

}  // namespace nib::bench
