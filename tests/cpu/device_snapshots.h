// Made-up devices for tests of the device policy.
#ifndef NIB_TESTS_DEVICE_SNAPSHOTS_H
#define NIB_TESTS_DEVICE_SNAPSHOTS_H

#include <cstring>

#include "vk/caps.h"

namespace nib::test {

// Vulkan 1.1's guaranteed minimum and nothing else.
inline vk::Snapshot floorDevice() {
  vk::Snapshot s{};
  s.api_version = VK_API_VERSION_1_1;
  s.device_type = VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU;
  std::strcpy(s.device_name, "floor");
  s.max_workgroup_invocations = 128;
  s.max_workgroup_size_x = 128;
  s.max_workgroup_count_x = 65535;
  s.max_shared_bytes = 16384;
  s.max_push_bytes = 128;
  s.max_storage_range_bytes = 1u << 27;
  s.offset_alignment_bytes = 256;
  s.subgroup_size = s.min_subgroup_size = s.max_subgroup_size = 1;
  s.subgroup_stages = VK_SHADER_STAGE_COMPUTE_BIT;
  s.subgroup_operations = VK_SUBGROUP_FEATURE_BASIC_BIT;
  return s;
}

inline vk::CoopShape coopShape(uint32_t m, uint32_t n, uint32_t k, uint32_t in, uint32_t sum) {
  return {m, n, k, in, in, sum, sum, false};
}

// A desktop GPU of an unknown vendor with every feature that nibble can use.
inline vk::Snapshot desktopDevice() {
  vk::Snapshot s{};
  s.api_version = VK_API_VERSION_1_3;
  s.extensions = vk::kExtensionCooperativeMatrix | vk::kExtensionPipelineRobustness;
  s.device_type = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
  s.vendor_id = 0xbeef;
  s.device_id = 0x1234;
  s.driver_id = 0xffff;
  s.driver_version = 7;
  std::strcpy(s.device_name, "desktop");
  for (uint8_t i = 0; i < 16; ++i) s.device_uuid[i] = i;
  s.max_workgroup_invocations = 1024;
  s.max_workgroup_size_x = 1024;
  s.max_workgroup_count_x = 0x7fffffff;
  s.max_shared_bytes = 49152;
  s.max_push_bytes = 256;
  s.max_storage_range_bytes = 0xffffffffu;
  s.offset_alignment_bytes = 16;
  s.subgroup_size = s.min_subgroup_size = s.max_subgroup_size = 32;
  s.subgroup_stages = VK_SHADER_STAGE_ALL;
  s.subgroup_operations = 0xff;
  s.required_subgroup_size_stages = VK_SHADER_STAGE_COMPUTE_BIT;
  s.max_workgroup_subgroups = 64;
  s.storage_buffer_16bit = s.shader_float16 = s.shader_int8 = s.integer_dot_product = true;
  s.vulkan_memory_model = s.cooperative_matrix = true;
  s.subgroup_size_control = s.compute_full_subgroups = s.pipeline_robustness = s.round_even_float32 = true;
  s.denorm_preserve_float16 = s.denorm_preserve_float32 = s.denorm_independence = true;
  s.dot4_signed_accelerated = s.dot4_unsigned_accelerated = s.dot4_mixed_accelerated = true;
  s.coop[s.coop_count++] = coopShape(16, 16, 16, VK_COMPONENT_TYPE_FLOAT16_KHR, VK_COMPONENT_TYPE_FLOAT32_KHR);
  s.coop[s.coop_count++] = coopShape(16, 16, 32, VK_COMPONENT_TYPE_SINT8_KHR, VK_COMPONENT_TYPE_SINT32_KHR);
  return s;
}

}  // namespace nib::test
#endif
