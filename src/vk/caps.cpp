#include "vk/caps.h"

#include <cstdio>
#include <cstring>

#include "base/names.h"
#include "vk/quirks.h"

namespace nib::vk {
namespace {

// Parts of a blob start at multiples of this, so windows that start at multiples of it keep their alignment. Vulkan
// allows no larger minStorageBufferOffsetAlignment.
constexpr uint32_t kRangeGranule = 256;

constexpr VkSubgroupFeatureFlags kSubgroupOperations = VK_SUBGROUP_FEATURE_BASIC_BIT |
                                                       VK_SUBGROUP_FEATURE_ARITHMETIC_BIT |
                                                       VK_SUBGROUP_FEATURE_BALLOT_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;

bool isUsableSubgroupSize(uint32_t size) { return size >= 4 && size <= 128 && (size & (size - 1)) == 0; }

bool mayRequireSize(const Snapshot& s) { return (s.required_subgroup_size_stages & VK_SHADER_STAGE_COMPUTE_BIT) != 0; }

// The least size that keeps a lane of a table of 16 values, and has most registers for an invocation.
uint32_t plainSubgroupSize(uint32_t min_size, uint32_t max_size) {
  constexpr uint32_t kLeast = 16;
  return min_size > kLeast ? min_size : max_size < kLeast ? max_size : kLeast;
}

// A restriction of 0 means none.
template <typename T>
T lower(T device, T restriction) {
  return restriction != 0 && restriction < device ? restriction : device;
}

bool isUsableShape(const CoopShape& s) {
  const auto isInput = [](uint32_t t) {
    return t == VK_COMPONENT_TYPE_FLOAT16_KHR || t == VK_COMPONENT_TYPE_SINT8_KHR || t == VK_COMPONENT_TYPE_UINT8_KHR;
  };
  const auto isSum = [](uint32_t t) {
    return t == VK_COMPONENT_TYPE_FLOAT16_KHR || t == VK_COMPONENT_TYPE_FLOAT32_KHR ||
           t == VK_COMPONENT_TYPE_SINT32_KHR || t == VK_COMPONENT_TYPE_UINT32_KHR;
  };
  return isInput(s.a_type) && isInput(s.b_type) && isSum(s.c_type) && isSum(s.r_type);
}

uint32_t effectiveApi(const Snapshot& s, const NibRestrict* restriction) {
  return restriction != nullptr ? lower(s.api_version, restriction->api_version) : s.api_version;
}

struct Inputs {
  const Snapshot& snapshot;
  uint32_t declared;
  uint32_t mask;
  uint32_t api_version;
};

// Writes why `feature` is not in caps.features, for messages. A missing feature of the device is reported before a
// missing declaration, because declaring would not help.
void explain(uint32_t feature, const Inputs& in, const Caps& caps, char (&out)[192]) {
  const Snapshot& s = in.snapshot;
  const char* name = featureName(feature);
  if ((offeredFeatures(s, in.api_version) & feature) == 0) {
    const bool restricted = (offeredFeatures(s, s.api_version) & feature) != 0;
    if (restricted) {
      std::snprintf(out, sizeof out, "%s: not offered at the restricted Vulkan %u.%u", name,
                    VK_API_VERSION_MAJOR(in.api_version), VK_API_VERSION_MINOR(in.api_version));
    } else if (feature == NIB_FEATURE_SUBGROUP && (s.subgroup_stages & VK_SHADER_STAGE_COMPUTE_BIT) == 0) {
      std::snprintf(out, sizeof out, "%s: the device has no subgroup operations in compute shaders", name);
    } else if (feature == NIB_FEATURE_SUBGROUP &&
               (s.subgroup_operations & kSubgroupOperations) != kSubgroupOperations) {
      std::snprintf(out, sizeof out, "%s: the device lacks subgroup arithmetic, ballot or shuffle", name);
    } else if (feature == NIB_FEATURE_SUBGROUP) {
      std::snprintf(out, sizeof out, "%s: subgroups of %u, kernels take powers of two in 4..128", name,
                    s.subgroup_size);
    } else {
      std::snprintf(out, sizeof out, "%s: the device does not offer it at Vulkan %u.%u", name,
                    VK_API_VERSION_MAJOR(in.api_version), VK_API_VERSION_MINOR(in.api_version));
    }
  } else if (const Quirk* quirk = quirkAgainst(s, feature)) {
    std::snprintf(out, sizeof out, "%s: %s (%s)", name, quirk->reason, quirk->link);
  } else if ((in.mask & feature) == 0) {
    std::snprintf(out, sizeof out, "%s: left out by the restriction", name);
  } else if ((in.declared & feature) == 0) {
    std::snprintf(out, sizeof out, "%s: not declared by the application", name);
  } else if (feature == NIB_FEATURE_COOPMAT && (caps.features & NIB_FEATURE_SUBGROUP_SIZE) == 0) {
    char inner[sizeof out];
    explain(NIB_FEATURE_SUBGROUP_SIZE, in, caps, inner);
    std::snprintf(out, sizeof out, "%s: needs %.150s", name, inner);
  } else {
    std::snprintf(out, sizeof out, "%s: the driver lists no shape kernels can use", name);
  }
}

void setTier(const Inputs& in, Caps* caps) {
  constexpr uint32_t kTierFeatures[] = {NIB_FEATURE_SUBGROUP, NIB_FEATURE_DOT4, NIB_FEATURE_COOPMAT};
  caps->tier = 0;
  for (const uint32_t feature : kTierFeatures) {
    if ((caps->features & feature) == 0) {
      explain(feature, in, *caps, caps->tier_reason);
      return;
    }
    ++caps->tier;
  }
}

}  // namespace

uint32_t offeredFeatures(const Snapshot& s, uint32_t api_version) {
  const auto has = [&](uint32_t core_version, uint32_t extension) {
    return api_version >= core_version || (s.extensions & extension) != 0;
  };
  const bool small_types = has(VK_API_VERSION_1_2, kExtensionShaderFloat16Int8);
  uint32_t features = 0;
  if ((s.subgroup_stages & VK_SHADER_STAGE_COMPUTE_BIT) != 0 &&
      (s.subgroup_operations & kSubgroupOperations) == kSubgroupOperations && isUsableSubgroupSize(s.subgroup_size))
    features |= NIB_FEATURE_SUBGROUP;
  if (s.storage_buffer_16bit) features |= NIB_FEATURE_STORAGE16;
  if (s.shader_float16 && small_types) features |= NIB_FEATURE_F16;
  if (s.integer_dot_product && has(VK_API_VERSION_1_3, kExtensionIntegerDotProduct)) features |= NIB_FEATURE_DOT4;
  // Modules need shaderInt8 to declare the 8-bit types of an integer matrix.
  if (s.cooperative_matrix && (s.extensions & kExtensionCooperativeMatrix) != 0 && s.vulkan_memory_model &&
      has(VK_API_VERSION_1_2, kExtensionVulkanMemoryModel) && s.shader_int8 && small_types)
    features |= NIB_FEATURE_COOPMAT;
  // Drivers of GPUs with a single subgroup size (NVK) list no stages for requiredSubgroupSize; nothing is chosen there.
  if (s.subgroup_size_control && s.compute_full_subgroups &&
      (mayRequireSize(s) || s.min_subgroup_size == s.max_subgroup_size) &&
      has(VK_API_VERSION_1_3, kExtensionSubgroupSizeControl))
    features |= NIB_FEATURE_SUBGROUP_SIZE;
  if (s.pipeline_robustness && has(VK_API_VERSION_1_4, kExtensionPipelineRobustness))
    features |= NIB_FEATURE_ROBUSTNESS;
  if (s.round_even_float32 && has(VK_API_VERSION_1_2, kExtensionFloatControls)) features |= NIB_FEATURE_ROUND_EVEN;
  return features;
}

Caps makeCaps(const Snapshot& s, uint32_t declared_features, const NibRestrict* restriction) {
  NibRestrict none{};
  none.features_mask = NIB_FEATURE_ALL;
  const NibRestrict& limit = restriction != nullptr ? *restriction : none;
  Caps caps{};
  caps.api_version = effectiveApi(s, restriction);

  const uint32_t wanted = offeredFeatures(s, caps.api_version) & declared_features & limit.features_mask;
  caps.quirk_effects = quirkEffects(s);
  caps.features = wanted & ~caps.quirk_effects;
  for (uint32_t i = 0; i < kQuirkCount; ++i)
    if ((kQuirks[i].effects & wanted) != 0 && quirkHolds(kQuirks[i], s)) ++caps.quirk_count;

  // A cooperative matrix needs full subgroups of a known size, which only this feature guarantees.
  if ((caps.features & NIB_FEATURE_SUBGROUP_SIZE) == 0) caps.features &= ~uint32_t{NIB_FEATURE_COOPMAT};
  if ((caps.features & NIB_FEATURE_COOPMAT) != 0) {
    const uint32_t listed = s.coop_count < kMaxCoopShapes ? s.coop_count : kMaxCoopShapes;
    constexpr uint32_t kCapacity = sizeof caps.coop / sizeof caps.coop[0];
    for (uint32_t i = 0; i < listed && caps.coop_count < kCapacity; ++i)
      if (isUsableShape(s.coop[i])) caps.coop[caps.coop_count++] = s.coop[i];
    if (caps.coop_count == 0) caps.features &= ~uint32_t{NIB_FEATURE_COOPMAT};
  }

  caps.max_workgroup_invocations = lower(s.max_workgroup_invocations, limit.max_workgroup_invocations);
  caps.max_workgroup_size_x = lower(s.max_workgroup_size_x, caps.max_workgroup_invocations);
  caps.max_workgroup_count_x = lower(s.max_workgroup_count_x, limit.max_workgroup_count);
  caps.max_shared_bytes = lower(s.max_shared_bytes, limit.max_shared_bytes);
  caps.max_push_bytes = lower(s.max_push_bytes, limit.max_push_bytes);
  caps.max_storage_range_bytes = lower(s.max_storage_range_bytes, limit.max_storage_range_bytes);
  caps.max_storage_range_bytes -= caps.max_storage_range_bytes % kRangeGranule;
  uint32_t alignment = 4;  // kernels address words
  while (alignment < kRangeGranule &&
         (alignment < s.offset_alignment_bytes || alignment < limit.min_offset_alignment_bytes))
    alignment *= 2;
  caps.offset_alignment_bytes = alignment;

  caps.subgroup_size = s.subgroup_size;
  caps.min_subgroup_size = s.min_subgroup_size;
  caps.max_subgroup_size = s.max_subgroup_size;
  caps.may_require_subgroup_size = (caps.features & NIB_FEATURE_SUBGROUP_SIZE) != 0 && mayRequireSize(s);
  caps.max_workgroup_subgroups = s.max_workgroup_subgroups;
  caps.plain_subgroup_size = s.subgroup_size;
  caps.matrix_subgroup_size = s.subgroup_size;
  if (caps.may_require_subgroup_size) {
    caps.plain_subgroup_size = plainSubgroupSize(s.min_subgroup_size, s.max_subgroup_size);
    // Wide subgroups load fewer matrices per product, unless the invocations of narrow ones have more registers.
    if (s.min_subgroup_size < 32) caps.matrix_subgroup_size = caps.plain_subgroup_size;
  }
  const bool float_controls = caps.api_version >= VK_API_VERSION_1_2 || (caps.features & NIB_FEATURE_ROUND_EVEN) != 0;
  caps.halves_kept =
      float_controls && s.denorm_preserve_float16 && (s.denorm_independence || s.denorm_preserve_float32);
  caps.floats_kept = caps.halves_kept && !s.denorm_independence;
  caps.dot4_mixed = (caps.features & NIB_FEATURE_DOT4) != 0 && !s.dot4_signed_accelerated && s.dot4_mixed_accelerated;
  caps.dot4_accelerated = (caps.features & NIB_FEATURE_DOT4) != 0 && s.dot4_signed_accelerated;

  caps.device_type = limit.device_type != 0 ? limit.device_type : s.device_type;
  caps.vendor_id = s.vendor_id;
  caps.device_id = s.device_id;
  caps.driver_id = s.driver_id;
  caps.driver_version = s.driver_version;
  std::memcpy(caps.device_name, s.device_name, sizeof caps.device_name);
  std::memcpy(caps.device_uuid, s.device_uuid, sizeof caps.device_uuid);

  setTier({s, declared_features, limit.features_mask, caps.api_version}, &caps);
  return caps;
}

uint32_t requiredSubgroupSize(const Caps& caps, uint32_t row_features, uint32_t workgroup) {
  if ((row_features & NIB_FEATURE_SUBGROUP) == 0 || !caps.may_require_subgroup_size ||
      caps.min_subgroup_size == caps.max_subgroup_size) {
    return 0;
  }
  const uint32_t size = row_features & NIB_FEATURE_COOPMAT ? caps.matrix_subgroup_size : caps.plain_subgroup_size;
  return uint64_t(size) * caps.max_workgroup_subgroups >= workgroup ? size : 0;
}

const char* capsProblem(const Caps& caps) {
  if (caps.api_version < VK_API_VERSION_1_1) return "restriction.api_version is below Vulkan 1.1";
  if (caps.max_storage_range_bytes == 0) return "restriction.max_storage_range_bytes is below 256";
  return nullptr;
}

}  // namespace nib::vk
