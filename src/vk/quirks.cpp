#include "vk/quirks.h"

#include <cstring>

namespace nib::vk {
namespace {

constexpr uint32_t kVendorAmd = 0x1002;
constexpr uint32_t kVendorIntel = 0x8086;
// The oldest supported headers do not have it.
constexpr uint32_t kDriverKosmicKrisp = 28;

// MoltenVK's driverVersion is decimal.
constexpr uint32_t moltenVersion(uint32_t major, uint32_t minor, uint32_t patch) {
  return major * 10000 + minor * 100 + patch;
}

constexpr uint32_t kAnyVersion = 0;
constexpr uint32_t kUnfixed = 0;

bool isIntegrated(const Snapshot& s) { return s.device_type == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU; }
// RDNA 3 introduced both the mixed-sign 4x8-bit dot product and matrix units, and drivers report the former correctly.
bool isBeforeRdna3(const Snapshot& s) { return !s.dot4_mixed_accelerated; }
// Xe2 has no subgroups of 8.
bool isBeforeXe2(const Snapshot& s) { return s.min_subgroup_size < 16; }
bool isDiscreteBeforeXe2(const Snapshot& s) { return isBeforeXe2(s) && !isIntegrated(s); }
bool isVectorWidthNot256(const Snapshot& s) { return s.subgroup_size != 8; }

}  // namespace

const Quirk kQuirks[] = {
    {{VK_DRIVER_ID_AMD_PROPRIETARY, VK_DRIVER_ID_AMD_OPEN_SOURCE},
     kVendorAmd,
     0,
     nullptr,
     kAnyVersion,
     kUnfixed,
     isIntegrated,
     NIB_FEATURE_COOPMAT,
     "the driver crashes in the cooperative matrix query on integrated GPUs",
     "https://github.com/GPUOpen-Drivers/AMDVLK/issues/422"},
    {{VK_DRIVER_ID_AMD_PROPRIETARY, VK_DRIVER_ID_AMD_OPEN_SOURCE},
     kVendorAmd,
     0,
     nullptr,
     kAnyVersion,
     kUnfixed,
     isBeforeRdna3,
     NIB_FEATURE_COOPMAT,
     "the driver advertises cooperative matrices on GPUs without matrix units",
     "https://github.com/ggml-org/llama.cpp/pull/11074"},
    {{VK_DRIVER_ID_AMD_PROPRIETARY, 0},
     kVendorAmd,
     0,
     nullptr,
     kAnyVersion,
     kUnfixed,
     isBeforeRdna3,
     NIB_FEATURE_DOT4,
     "packed dot products are wrong before RDNA 3",
     "https://github.com/0xShug0/audio.cpp/pull/193"},

    {{VK_DRIVER_ID_INTEL_OPEN_SOURCE_MESA, 0},
     kVendorIntel,
     0,
     nullptr,
     kAnyVersion,
     kUnfixed,
     isBeforeXe2,
     NIB_FEATURE_COOPMAT,
     "cooperative matrices are emulated, slowly, before Xe2",
     "https://github.com/ggml-org/llama.cpp/pull/10597"},
    {{VK_DRIVER_ID_INTEL_PROPRIETARY_WINDOWS, 0},
     kVendorIntel,
     0,
     nullptr,
     kAnyVersion,
     kUnfixed,
     isDiscreteBeforeXe2,
     NIB_FEATURE_COOPMAT,
     "cooperative matrices run up to a thousand times slower on discrete GPUs before Xe2",
     "https://github.com/ggml-org/llama.cpp/pull/24404"},

    {{VK_DRIVER_ID_QUALCOMM_PROPRIETARY, 0},
     0,
     0,
     nullptr,
     kAnyVersion,
     kUnfixed,
     nullptr,
     NIB_FEATURE_COOPMAT,
     "cooperative matrices give wrong results or do not compile",
     "https://github.com/Tencent/ncnn/pull/6719"},
    // An Adreno 830 with driver 512.800.64 gives correct results.
    {{VK_DRIVER_ID_QUALCOMM_PROPRIETARY, 0},
     0,
     0,
     "Adreno (TM) 840",
     kAnyVersion,
     kUnfixed,
     nullptr,
     NIB_FEATURE_SUBGROUP,
     "subgroup operations give wrong results (seen with 512.842.19)",
     "https://github.com/Tencent/ncnn/issues/6778"},
    {{VK_DRIVER_ID_QUALCOMM_PROPRIETARY, VK_DRIVER_ID_MESA_TURNIP},
     0,
     0,
     "Adreno (TM) 640",
     kAnyVersion,
     kUnfixed,
     nullptr,
     NIB_FEATURE_SUBGROUP,
     "subgroup operations give wrong results (seen with 512.502 and Turnip 26.1.2)",
     "https://github.com/Tencent/ncnn/issues/6778"},
    {{VK_DRIVER_ID_MESA_TURNIP, 0},
     0,
     0,
     nullptr,
     kAnyVersion,
     kUnfixed,
     nullptr,
     NIB_FEATURE_SUBGROUP_SIZE,
     "full subgroups are advertised and do not work",
     "https://github.com/Tencent/ncnn/blob/master/src/gpu.cpp"},

    {{VK_DRIVER_ID_IMAGINATION_PROPRIETARY, 0},
     0,
     0,
     nullptr,
     kAnyVersion,
     kUnfixed,
     nullptr,
     NIB_FEATURE_SUBGROUP,
     "the compiler fails on subgroup reductions",
     "https://github.com/ggml-org/llama.cpp/pull/28341"},

    {{VK_DRIVER_ID_MOLTENVK, 0},
     kVendorAmd,
     0,
     nullptr,
     kAnyVersion,
     kUnfixed,
     nullptr,
     NIB_FEATURE_SUBGROUP,
     "subgroup operations give wrong results on AMD Macs",
     "https://github.com/KhronosGroup/MoltenVK/issues/2756"},
    // 1.4.2 no longer advertises the operations that are broken here.
    {{VK_DRIVER_ID_MOLTENVK, 0},
     kVendorIntel,
     0x3e9b,
     nullptr,
     kAnyVersion,
     moltenVersion(1, 4, 2),
     nullptr,
     NIB_FEATURE_SUBGROUP,
     "subgroup reductions give wrong results on UHD 630",
     "https://github.com/KhronosGroup/MoltenVK/issues/2757"},
    {{kDriverKosmicKrisp, 0},
     0,
     0,
     nullptr,
     kAnyVersion,
     kUnfixed,
     nullptr,
     NIB_FEATURE_SUBGROUP,
     "subgroup additions give wrong results in long reductions",
     "https://github.com/ericcurtin/vllm-vulkan/pull/22"},

    // With 26.2: correct at LP_NATIVE_VECTOR_WIDTH=256, crashes at 128 and 512.
    {{VK_DRIVER_ID_MESA_LLVMPIPE, 0},
     0,
     0,
     nullptr,
     kAnyVersion,
     kUnfixed,
     isVectorWidthNot256,
     NIB_FEATURE_COOPMAT,
     "cooperative matrices crash unless the vector width is 256",
     "https://docs.mesa3d.org/envvars.html#envvar-LP_NATIVE_VECTOR_WIDTH"},
};
const uint32_t kQuirkCount = sizeof kQuirks / sizeof kQuirks[0];

bool quirkHolds(const Quirk& quirk, const Snapshot& s) {
  if (quirk.driver_ids[0] != 0) {
    // An unknown driver (0) must not match an unused second id.
    if (s.driver_id == 0 || (s.driver_id != quirk.driver_ids[0] && s.driver_id != quirk.driver_ids[1])) return false;
  }
  if (quirk.vendor_id != 0 && s.vendor_id != quirk.vendor_id) return false;
  if (quirk.device_id != 0 && s.device_id != quirk.device_id) return false;
  if (quirk.name_part != nullptr && std::strstr(s.device_name, quirk.name_part) == nullptr) return false;
  if (s.driver_version < quirk.version_begin) return false;
  if (quirk.version_end != 0 && s.driver_version >= quirk.version_end) return false;
  return quirk.when == nullptr || quirk.when(s);
}

uint32_t quirkEffects(const Snapshot& snapshot) {
  uint32_t effects = 0;
  for (uint32_t i = 0; i < kQuirkCount; ++i)
    if (quirkHolds(kQuirks[i], snapshot)) effects |= kQuirks[i].effects;
  return effects;
}

const Quirk* quirkAgainst(const Snapshot& snapshot, uint32_t features) {
  for (uint32_t i = 0; i < kQuirkCount; ++i)
    if ((kQuirks[i].effects & features) != 0 && quirkHolds(kQuirks[i], snapshot)) return &kQuirks[i];
  return nullptr;
}

}  // namespace nib::vk
