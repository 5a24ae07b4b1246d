// A copy of the physical device's properties that decisions depend on. Caps, quirks and requirements are pure functions
// of a Snapshot, so that they are tested without a GPU.
#ifndef NIB_VK_SNAPSHOT_H
#define NIB_VK_SNAPSHOT_H

#include <nibble/nibble.h>

#include "vk/compat.h"

namespace nib::vk {

// Device extensions that nibble uses.
enum Extension : uint32_t {
  kExtensionShaderFloat16Int8 = 1u << 0,    // core in 1.2
  kExtensionFloatControls = 1u << 1,        // core in 1.2
  kExtensionVulkanMemoryModel = 1u << 2,    // core in 1.2
  kExtensionDriverProperties = 1u << 3,     // core in 1.2
  kExtensionIntegerDotProduct = 1u << 4,    // core in 1.3
  kExtensionSubgroupSizeControl = 1u << 5,  // core in 1.3
  kExtensionPipelineRobustness = 1u << 6,   // core in 1.4
  kExtensionCooperativeMatrix = 1u << 7
};

// One supported multiply-add D[m,n] = A[m,k] * B[k,n] + C[m,n]; types are VkComponentTypeKHR.
struct CoopShape {
  uint32_t m, n, k;
  uint32_t a_type, b_type, c_type, r_type;
  bool saturating;
};

inline constexpr uint32_t kMaxCoopShapes = 64;

struct Snapshot {
  uint32_t api_version;  // min(instance, device, application), patch 0
  uint32_t extensions;   // kExtension*

  uint32_t vendor_id;
  uint32_t device_id;
  uint32_t device_type;     // VkPhysicalDeviceType
  uint32_t driver_id;       // VkDriverId, 0 = unknown
  uint32_t driver_version;  // in the vendor's own encoding
  char device_name[256];
  char driver_info[256];
  uint8_t device_uuid[16];

  uint32_t max_workgroup_invocations;
  uint32_t max_workgroup_size_x;
  uint32_t max_workgroup_count_x;
  uint32_t max_shared_bytes;
  uint32_t max_push_bytes;
  uint64_t max_storage_range_bytes;
  uint64_t offset_alignment_bytes;

  uint32_t subgroup_size;
  uint32_t min_subgroup_size;  // min and max equal subgroup_size if the size cannot be chosen
  uint32_t max_subgroup_size;
  VkShaderStageFlags subgroup_stages;
  VkSubgroupFeatureFlags subgroup_operations;
  VkShaderStageFlags required_subgroup_size_stages;
  uint32_t max_workgroup_subgroups;  // of a workgroup whose subgroup size is required

  bool storage_buffer_16bit;
  bool shader_float16;
  bool shader_int8;
  bool integer_dot_product;
  bool vulkan_memory_model;
  bool cooperative_matrix;
  bool subgroup_size_control;
  bool compute_full_subgroups;
  bool pipeline_robustness;
  bool round_even_float32;       // shaderRoundingModeRTEFloat32
  bool denorm_preserve_float16;  // shaderDenormPreserveFloat16
  bool denorm_preserve_float32;
  bool denorm_independence;  // modules may declare 16 and 32 bits apart
  bool dot4_signed_accelerated;
  bool dot4_unsigned_accelerated;
  bool dot4_mixed_accelerated;

  uint32_t coop_count;
  CoopShape coop[kMaxCoopShapes];  // subgroup scope only; empty if a quirk prevents the query
};

// api_version as for nibGetRequirements. allocator may be NULL (malloc); it is used for temporary lists only. why may
// be NULL; on failure *why is the name of the Vulkan function or the reason, a static string.
NibResult takeSnapshot(PFN_vkGetInstanceProcAddr get_instance_proc_addr, VkInstance instance,
                       VkPhysicalDevice physical_device, uint32_t api_version, const NibAllocator* allocator,
                       Snapshot* out_snapshot, const char** why);

// NIB_FEATURE_* that the driver reports at api_version, regardless of quirks.
uint32_t offeredFeatures(const Snapshot& snapshot, uint32_t api_version);

}  // namespace nib::vk
#endif
