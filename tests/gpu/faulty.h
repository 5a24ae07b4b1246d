// Replaces modules, chosen by name, with faulty ones (NIB_FAULT: one wrong bit in a result).
#ifndef NIB_TESTS_FAULTY_H
#define NIB_TESTS_FAULTY_H

#include <set>
#include <string>

#include "gpu/gpu_test.h"
#include "gpu/hooks.h"
#include "plan/kernel_code.h"

namespace nib {
// The same rows as kKernelTable, compiled with NIB_FAULT=1.
extern const KernelRow kFaultyKernelTable[];
extern const uint32_t kFaultyKernelCount;
}  // namespace nib

namespace nib::tests {

// Whether this format has faulty modules; of formats with the same packing and encoding, one has them.
inline bool planted(uint32_t format) {
  if (format == 0) return true;
  for (uint32_t i = 0; i < kFaultyKernelCount; ++i) {
    if (kFaultyKernelTable[i].format == format && kFaultyKernelTable[i].spirv_words != 0) return true;
  }
  return false;
}

// While this object lives, devices of device() get the faulty versions of these modules.
class Faults {
 public:
  explicit Faults(std::set<std::string> modules) : replaced_(hooks::fn::vkCreateShaderModule, &create) {
    modules_() = std::move(modules);
    swaps_() = 0;
  }
  ~Faults() { modules_().clear(); }

  // The number of modules replaced so far.
  uint32_t swaps() const { return swaps_(); }

  // The device under test with another context. Round-to-nearest-even is not declared, because it changes a module's
  // words, by which create() recognizes it.
  static kit::Device device(uint32_t features = UINT32_MAX, const kit::Bytes& verdicts = {}) {
    kit::AdoptDesc desc = adoption();
    desc.get_instance_proc_addr = hooks::wrap(tests::device().getInstanceProcAddr());
    desc.features &= features & ~uint32_t(NIB_FEATURE_ROUND_EVEN);
    desc.verdicts = verdicts;
    return kit::Device::adopt(desc);
  }

 private:
  static std::set<std::string>& modules_() {
    static std::set<std::string> modules;
    return modules;
  }
  static uint32_t& swaps_() {
    static uint32_t count = 0;
    return count;
  }
  static VKAPI_ATTR VkResult VKAPI_CALL create(VkDevice device, const VkShaderModuleCreateInfo* info,
                                               const VkAllocationCallbacks* callbacks, VkShaderModule* module) {
    VkShaderModuleCreateInfo swapped = *info;
    const uint64_t hash = fnv1a64(info->pCode, info->codeSize);
    const HostMemory memory;
    KernelCode faulty(memory);
    for (uint32_t i = 0; i < kKernelCount; ++i) {
      const KernelRow& row = kKernelTable[i];
      if (modules_().count(row.module) == 0 || kFaultyKernelTable[i].spirv_words == 0 ||
          size_t(row.spirv_words) * 4 != info->codeSize || kernelHash(row) != hash) {
        continue;
      }
      if (faulty.load(kFaultyKernelTable[i], Log()) != NIB_SUCCESS) continue;
      swapped.pCode = faulty.words();
      swapped.codeSize = size_t(faulty.count()) * 4;
      ++swaps_();
      break;
    }
    return reinterpret_cast<PFN_vkCreateShaderModule>(hooks::real(hooks::fn::vkCreateShaderModule))(device, &swapped,
                                                                                                    callbacks, module);
  }

  hooks::Replaced replaced_;
};

}  // namespace nib::tests
#endif
