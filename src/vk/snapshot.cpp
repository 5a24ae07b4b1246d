#include "vk/snapshot.h"

#include <algorithm>
#include <cstring>

#include "base/memory.h"
#include "vk/api.h"
#include "vk/quirks.h"

namespace nib::vk {
namespace {

struct ExtensionRow {
  const char* name;
  uint32_t bit;
};
constexpr ExtensionRow kExtensions[] = {
    {VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME, kExtensionShaderFloat16Int8},
    {VK_KHR_SHADER_FLOAT_CONTROLS_EXTENSION_NAME, kExtensionFloatControls},
    {VK_KHR_VULKAN_MEMORY_MODEL_EXTENSION_NAME, kExtensionVulkanMemoryModel},
    {VK_KHR_DRIVER_PROPERTIES_EXTENSION_NAME, kExtensionDriverProperties},
    {VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME, kExtensionIntegerDotProduct},
    {VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME, kExtensionSubgroupSizeControl},
    {VK_EXT_PIPELINE_ROBUSTNESS_EXTENSION_NAME, kExtensionPipelineRobustness},
    {VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME, kExtensionCooperativeMatrix},
};

// Major and minor version. Patch numbers of instance, device and application are not comparable.
uint32_t withoutPatch(uint32_t version) {
  return VK_MAKE_API_VERSION(0, VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version), 0);
}

template <typename Struct>
void* link(Struct& item, VkStructureType type, void* next) {
  item.sType = type;
  item.pNext = next;
  return &item;
}

void copyText(char (&out)[256], const char* text) {
  const size_t length = std::min(std::strlen(text), sizeof out - 1);
  std::memcpy(out, text, length);
  std::memset(out + length, 0, sizeof out - length);
}

NibResult readExtensions(const Api& api, VkPhysicalDevice device, const HostMemory& memory, uint32_t* out_bits,
                         const char** why) {
  *why = "vkEnumerateDeviceExtensionProperties";
  uint32_t count = 0;
  if (api.vkEnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr) < 0) return NIB_ERROR_VULKAN;
  if (count == 0) return NIB_SUCCESS;
  // On the heap: 250 extensions are 64 KiB, too much for the stack of a job thread.
  void* raw = memory.allocate(count * sizeof(VkExtensionProperties));
  if (raw == nullptr) return NIB_ERROR_OUT_OF_MEMORY;
  VkExtensionProperties* list = static_cast<VkExtensionProperties*>(raw);
  // After VK_INCOMPLETE (a layer was added in between) `count` entries are valid.
  const VkResult result = api.vkEnumerateDeviceExtensionProperties(device, nullptr, &count, list);
  if (result >= 0) {
    for (uint32_t i = 0; i < count; ++i)
      for (const ExtensionRow& row : kExtensions)
        if (std::strncmp(list[i].extensionName, row.name, VK_MAX_EXTENSION_NAME_SIZE) == 0) *out_bits |= row.bit;
  }
  memory.release(raw);
  return result >= 0 ? NIB_SUCCESS : NIB_ERROR_VULKAN;
}

void readProperties(const Api& api, VkPhysicalDevice device, Snapshot* s) {
  VkPhysicalDeviceIDProperties id{};
  VkPhysicalDeviceSubgroupProperties subgroup{};
  VkPhysicalDeviceDriverProperties driver{};
  VkPhysicalDeviceFloatControlsProperties floats{};
  VkPhysicalDeviceShaderIntegerDotProductProperties dot{};
  VkPhysicalDeviceSubgroupSizeControlProperties size{};

  // A struct may be chained only if the version or the extension is supported.
  void* chain = link(id, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES, nullptr);
  chain = link(subgroup, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES, chain);
  const bool core12 = s->api_version >= VK_API_VERSION_1_2;
  const bool core13 = s->api_version >= VK_API_VERSION_1_3;
  if (core12 || (s->extensions & kExtensionDriverProperties))
    chain = link(driver, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES, chain);
  if (core12 || (s->extensions & kExtensionFloatControls))
    chain = link(floats, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FLOAT_CONTROLS_PROPERTIES, chain);
  if (core13 || (s->extensions & kExtensionIntegerDotProduct))
    chain = link(dot, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES, chain);
  if (core13 || (s->extensions & kExtensionSubgroupSizeControl))
    chain = link(size, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES, chain);

  VkPhysicalDeviceProperties2 properties{};
  link(properties, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, chain);
  api.vkGetPhysicalDeviceProperties2(device, &properties);

  const VkPhysicalDeviceProperties& base = properties.properties;
  const VkPhysicalDeviceLimits& limits = base.limits;
  s->vendor_id = base.vendorID;
  s->device_id = base.deviceID;
  s->device_type = base.deviceType;
  s->driver_version = base.driverVersion;
  copyText(s->device_name, base.deviceName);
  s->driver_id = driver.driverID;
  copyText(s->driver_info, driver.driverInfo);
  std::memcpy(s->device_uuid, id.deviceUUID, sizeof s->device_uuid);

  s->max_workgroup_invocations = limits.maxComputeWorkGroupInvocations;
  s->max_workgroup_size_x = limits.maxComputeWorkGroupSize[0];
  s->max_workgroup_count_x = limits.maxComputeWorkGroupCount[0];
  s->max_shared_bytes = limits.maxComputeSharedMemorySize;
  s->max_push_bytes = limits.maxPushConstantsSize;
  s->max_storage_range_bytes = limits.maxStorageBufferRange;
  s->offset_alignment_bytes = limits.minStorageBufferOffsetAlignment;

  s->subgroup_size = subgroup.subgroupSize;
  s->subgroup_stages = subgroup.supportedStages;
  s->subgroup_operations = subgroup.supportedOperations;
  s->min_subgroup_size = size.minSubgroupSize != 0 ? size.minSubgroupSize : subgroup.subgroupSize;
  s->max_subgroup_size = size.maxSubgroupSize != 0 ? size.maxSubgroupSize : subgroup.subgroupSize;
  s->required_subgroup_size_stages = size.requiredSubgroupSizeStages;
  s->max_workgroup_subgroups = size.maxComputeWorkgroupSubgroups;

  s->round_even_float32 = floats.shaderRoundingModeRTEFloat32;
  s->denorm_preserve_float16 = floats.shaderDenormPreserveFloat16;
  s->denorm_preserve_float32 = floats.shaderDenormPreserveFloat32;
  s->denorm_independence = floats.denormBehaviorIndependence != VK_SHADER_FLOAT_CONTROLS_INDEPENDENCE_NONE;
  s->dot4_signed_accelerated = dot.integerDotProduct4x8BitPackedSignedAccelerated;
  s->dot4_unsigned_accelerated = dot.integerDotProduct4x8BitPackedUnsignedAccelerated;
  s->dot4_mixed_accelerated = dot.integerDotProduct4x8BitPackedMixedSignednessAccelerated;
}

void readFeatures(const Api& api, VkPhysicalDevice device, Snapshot* s) {
  VkPhysicalDevice16BitStorageFeatures storage16{};
  VkPhysicalDeviceShaderFloat16Int8Features small_types{};
  VkPhysicalDeviceVulkanMemoryModelFeatures memory_model{};
  VkPhysicalDeviceShaderIntegerDotProductFeatures dot{};
  VkPhysicalDeviceSubgroupSizeControlFeatures size{};
  VkPhysicalDevicePipelineRobustnessFeaturesEXT robustness{};
  VkPhysicalDeviceCooperativeMatrixFeaturesKHR coopmat{};

  void* chain = link(storage16, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES, nullptr);
  const bool core12 = s->api_version >= VK_API_VERSION_1_2;
  const bool core13 = s->api_version >= VK_API_VERSION_1_3;
  const bool core14 = s->api_version >= VK_API_VERSION_1_4;
  if (core12 || (s->extensions & kExtensionShaderFloat16Int8))
    chain = link(small_types, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES, chain);
  if (core12 || (s->extensions & kExtensionVulkanMemoryModel))
    chain = link(memory_model, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES, chain);
  if (core13 || (s->extensions & kExtensionIntegerDotProduct))
    chain = link(dot, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES, chain);
  if (core13 || (s->extensions & kExtensionSubgroupSizeControl))
    chain = link(size, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES, chain);
  if (core14 || (s->extensions & kExtensionPipelineRobustness))
    chain = link(robustness, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_ROBUSTNESS_FEATURES_EXT, chain);
  if (s->extensions & kExtensionCooperativeMatrix)
    chain = link(coopmat, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR, chain);

  VkPhysicalDeviceFeatures2 features{};
  link(features, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, chain);
  api.vkGetPhysicalDeviceFeatures2(device, &features);

  s->storage_buffer_16bit = storage16.storageBuffer16BitAccess;
  s->shader_float16 = small_types.shaderFloat16;
  s->shader_int8 = small_types.shaderInt8;
  s->vulkan_memory_model = memory_model.vulkanMemoryModel;
  s->integer_dot_product = dot.shaderIntegerDotProduct;
  s->subgroup_size_control = size.subgroupSizeControl;
  s->compute_full_subgroups = size.computeFullSubgroups;
  s->pipeline_robustness = robustness.pipelineRobustness;
  s->cooperative_matrix = coopmat.cooperativeMatrix;
}

NibResult readCoopShapes(const Api& api, VkPhysicalDevice device, const HostMemory& memory, Snapshot* s,
                         const char** why) {
  *why = "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR";
  uint32_t count = 0;
  if (api.vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR(device, &count, nullptr) < 0) return NIB_ERROR_VULKAN;
  if (count == 0) return NIB_SUCCESS;
  void* raw = memory.allocate(count * sizeof(VkCooperativeMatrixPropertiesKHR));
  if (raw == nullptr) return NIB_ERROR_OUT_OF_MEMORY;
  VkCooperativeMatrixPropertiesKHR* list = static_cast<VkCooperativeMatrixPropertiesKHR*>(raw);
  for (uint32_t i = 0; i < count; ++i) {
    list[i] = VkCooperativeMatrixPropertiesKHR{};
    list[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
  }
  const VkResult result = api.vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR(device, &count, list);
  for (uint32_t i = 0; result >= 0 && i < count && s->coop_count < kMaxCoopShapes; ++i) {
    const VkCooperativeMatrixPropertiesKHR& p = list[i];
    if (p.scope != VK_SCOPE_SUBGROUP_KHR) continue;
    CoopShape& shape = s->coop[s->coop_count++];
    shape.m = p.MSize;
    shape.n = p.NSize;
    shape.k = p.KSize;
    shape.a_type = static_cast<uint32_t>(p.AType);
    shape.b_type = static_cast<uint32_t>(p.BType);
    shape.c_type = static_cast<uint32_t>(p.CType);
    shape.r_type = static_cast<uint32_t>(p.ResultType);
    shape.saturating = p.saturatingAccumulation;
  }
  memory.release(raw);
  return result >= 0 ? NIB_SUCCESS : NIB_ERROR_VULKAN;
}

// The version that the loader supports. A 1.0 loader has no vkEnumerateInstanceVersion.
uint32_t instanceVersion(PFN_vkGetInstanceProcAddr get_instance_proc_addr) {
  const PFN_vkEnumerateInstanceVersion enumerate =
      reinterpret_cast<PFN_vkEnumerateInstanceVersion>(get_instance_proc_addr(nullptr, "vkEnumerateInstanceVersion"));
  uint32_t version = VK_API_VERSION_1_0;
  if (enumerate == nullptr || enumerate(&version) < 0) return VK_API_VERSION_1_0;
  return version;
}

}  // namespace

NibResult takeSnapshot(PFN_vkGetInstanceProcAddr get_instance_proc_addr, VkInstance instance,
                       VkPhysicalDevice physical_device, uint32_t api_version, const NibAllocator* allocator,
                       Snapshot* out_snapshot, const char** why) {
  const char* ignored = nullptr;
  if (why == nullptr) why = &ignored;
  *why = nullptr;
  Snapshot& s = *out_snapshot;
  s = Snapshot{};

  // Checked before 1.1 functions are loaded, which an older instance does not have.
  if (VK_API_VERSION_VARIANT(api_version) != 0 || withoutPatch(api_version) < VK_API_VERSION_1_1) {
    *why = "the application uses Vulkan 1.0; nibble needs 1.1 or newer (NibContextDesc::api_version)";
    return NIB_ERROR_UNSUPPORTED;
  }
  const uint32_t instance_version = instanceVersion(get_instance_proc_addr);
  if (withoutPatch(instance_version) < VK_API_VERSION_1_1) {
    *why = "the Vulkan loader is 1.0; nibble needs 1.1 or newer";
    return NIB_ERROR_UNSUPPORTED;
  }
  Api api;
  if (!loadInstanceApi(get_instance_proc_addr, instance, &api, why)) return NIB_ERROR_VULKAN;

  VkPhysicalDeviceProperties base{};
  api.vkGetPhysicalDeviceProperties(physical_device, &base);
  if (VK_API_VERSION_VARIANT(base.apiVersion) != 0 || withoutPatch(base.apiVersion) < VK_API_VERSION_1_1) {
    *why = "the device offers Vulkan 1.0; nibble needs 1.1 or newer";
    return NIB_ERROR_UNSUPPORTED;
  }
  s.api_version = withoutPatch(api_version);
  if (withoutPatch(instance_version) < s.api_version) s.api_version = withoutPatch(instance_version);
  if (withoutPatch(base.apiVersion) < s.api_version) s.api_version = withoutPatch(base.apiVersion);

  const HostMemory memory(allocator);
  NibResult result = readExtensions(api, physical_device, memory, &s.extensions, why);
  if (result != NIB_SUCCESS) return result;
  readProperties(api, physical_device, &s);
  readFeatures(api, physical_device, &s);

  // Some drivers crash in the query, so quirks are checked first. The pointer may be non-NULL without the extension.
  const bool has_shapes = s.cooperative_matrix && (quirkEffects(s) & NIB_FEATURE_COOPMAT) == 0;
  if (has_shapes && api.vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR != nullptr)
    result = readCoopShapes(api, physical_device, memory, &s, why);
  if (result == NIB_SUCCESS) *why = nullptr;
  return result;
}

}  // namespace nib::vk
