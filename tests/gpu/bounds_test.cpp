// No kernel writes beyond its ranges. Drivers may cut off what lies beyond a descriptor's range, so here descriptors reach
// to the ends of their buffers, where marks lie that a stray write changes.
#include <optional>
#include <utility>
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

// Beyond anything that a tile of any kernel spans.
constexpr uint64_t kGuardBytes = 1u << 20;

// As large as the lists of cases get, in shapes whose last tiles are mostly empty.
std::vector<cases::Case> largerCases() {
  std::vector<cases::Case> list;
  for (const auto& [rows, cols] : {std::pair<uint32_t, uint32_t>{131, 8209}, {1100, 1040}}) {
    for (const uint32_t granularity : {NIB_GRANULARITY_TENSOR, NIB_GRANULARITY_ROW, NIB_GRANULARITY_COLUMN}) {
      cases::Case c;
      c.seed = rows + granularity;
      c.n = rows;
      c.desc.minmax = {NIB_OP_MINMAX, sizeof(NibMinMaxDesc), 0, rows, cols, NIB_TYPE_F32, 0, granularity};
      list.push_back(c);
      c.desc.histogram = {NIB_OP_HISTOGRAM, sizeof(NibHistogramDesc), NIB_HISTOGRAM_ACCUMULATE, rows, cols, NIB_TYPE_F32, 0, granularity, 128};
      list.push_back(c);
      if (granularity != NIB_GRANULARITY_ROW) {
        c.desc.moments = {NIB_OP_MOMENTS, sizeof(NibMomentsDesc), 0, rows, cols, NIB_TYPE_F32, 0, granularity};
        list.push_back(c);
      }
      for (uint32_t i = 0; i < nibFormatCount(); ++i) {
        const NibFormatInfo& format = *nibFormatAt(i);
        if (!(format.granularities >> granularity & 1u) || !typeWanted(format.format)) continue;
        c.desc.quantize = {NIB_OP_QUANTIZE, sizeof(NibQuantizeDesc), 0, rows, cols, NIB_TYPE_F32, 0, {format.format, granularity, 0, NIB_TYPE_F16, 0}};
        list.push_back(c);
        c.desc.dequantize = {NIB_OP_DEQUANTIZE, sizeof(NibDequantizeDesc), 0, rows, cols, NIB_TYPE_F32, 0, {format.format, granularity, 0, NIB_TYPE_F16, 0}};
        list.push_back(c);
      }
    }
  }
  for (const auto& [rows, cols] : {std::pair<uint32_t, uint32_t>{131, 8209}, {1100, 1041}}) {
    cases::Case c;
    c.seed = rows;
    c.n = rows;
    c.desc.convert = {NIB_OP_CONVERT, sizeof(NibConvertDesc), 0, rows, cols, NIB_TYPE_F32, 0, NIB_TYPE_F16, 0};
    list.push_back(c);
    c.desc.errors = {NIB_OP_ERRORS, sizeof(NibErrorsDesc), 0, rows, cols, NIB_TYPE_F32, 0, NIB_TYPE_F16, 0};
    list.push_back(c);
  }
  return list;
}

}  // namespace

TEST_SUITE_BEGIN("bounds");

TEST_CASE_FIXTURE(Gpu, "no kernel writes beyond its ranges, with the device's division of labour and with a GPU's") {
  const hooks::Replaced replaced(hooks::fn::vkUpdateDescriptorSets, &updateWide);
  cases::Way way;
  way.guard_bytes = kGuardBytes;
  for (const bool discrete : {false, true}) {
    std::optional<AsDiscrete> as;
    if (discrete) as.emplace();
    const kit::Device on = wideDevice();
    for (const OpFormat& what : opFormats()) {
      for (const cases::Case& c : tests::casesOf(what, 4)) checkCase(on, c, way);
    }
    for (const cases::Case& c : largerCases()) checkCase(on, c, way);
  }
}

TEST_SUITE_END();
