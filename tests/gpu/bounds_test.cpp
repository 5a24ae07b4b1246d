// No kernel writes beyond its ranges. Drivers may drop accesses beyond a descriptor's range, so the descriptors of this
// test extend to the ends of larger buffers, whose tails hold marks that a stray write changes.
#include <optional>
#include <vector>

#include "gpu/gpu_test.h"
#include "gpu/hooks.h"

using namespace nib;
using namespace nib::tests;

namespace {

VKAPI_ATTR void VKAPI_CALL updateWide(VkDevice device, uint32_t count, const VkWriteDescriptorSet* writes,
                                      uint32_t copy_count, const VkCopyDescriptorSet* copies) {
  std::vector<VkDescriptorBufferInfo> infos;
  infos.reserve(count);
  std::vector<VkWriteDescriptorSet> wide(writes, writes + count);
  for (VkWriteDescriptorSet& write : wide) {
    infos.push_back(*write.pBufferInfo);
    infos.back().range = VK_WHOLE_SIZE;
    write.pBufferInfo = &infos.back();
  }
  reinterpret_cast<PFN_vkUpdateDescriptorSets>(hooks::real(hooks::fn::vkUpdateDescriptorSets))(
      device, uint32_t(wide.size()), wide.data(), copy_count, copies);
}

kit::Device wideDevice() {
  kit::AdoptDesc desc = adoption();
  desc.get_instance_proc_addr = hooks::wrap(device().getInstanceProcAddr());
  return kit::Device::adopt(desc);
}

// Larger than a tile of any kernel.
constexpr uint64_t kGuardBytes = 1u << 20;

}  // namespace

TEST_SUITE_BEGIN("bounds");

TEST_CASE_FIXTURE(Gpu, "no kernel writes beyond its ranges, with the device's work division and with a GPU's") {
  const hooks::Replaced replaced(hooks::fn::vkUpdateDescriptorSets, &updateWide);
  selftest::Way way;
  way.guard_bytes = kGuardBytes;
  for (const bool discrete : {false, true}) {
    std::optional<AsDiscrete> as;
    if (discrete) as.emplace();
    const kit::Device on = wideDevice();
    for (const OpFormat& what : opFormats()) {
      for (const selftest::Case& c : tests::casesOf(what, 4)) checkCase(on, c, way);
      if (!typeWanted(what.format)) continue;
      for (const selftest::Case& c : tests::largeCases(selftest::Large::kTails, what)) checkCase(on, c, way);
    }
  }
}

TEST_SUITE_END();
