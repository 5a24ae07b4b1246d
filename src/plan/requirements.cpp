// nibGetRequirements and nibFillFeatureChain: features and extensions that an application enables for its device.
#include <new>

#include "base/sized.h"
#include "vk/caps.h"

namespace nib::vk {
namespace {

// An extension that features need on Vulkan versions below the one that made it core.
struct ExtensionNeed {
  uint32_t features;  // any of these
  uint32_t core_version;
  const char* name;
};
constexpr uint32_t kNeverCore = UINT32_MAX;
constexpr ExtensionNeed kNeeds[] = {
    {NIB_FEATURE_F16 | NIB_FEATURE_COOPMAT, VK_API_VERSION_1_2, VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME},
    {NIB_FEATURE_ROUND_EVEN, VK_API_VERSION_1_2, VK_KHR_SHADER_FLOAT_CONTROLS_EXTENSION_NAME},
    {NIB_FEATURE_COOPMAT, VK_API_VERSION_1_2, VK_KHR_VULKAN_MEMORY_MODEL_EXTENSION_NAME},
    {NIB_FEATURE_DOT4, VK_API_VERSION_1_3, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME},
    {NIB_FEATURE_SUBGROUP_SIZE, VK_API_VERSION_1_3, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME},
    {NIB_FEATURE_ROBUSTNESS, VK_API_VERSION_1_4, VK_EXT_PIPELINE_ROBUSTNESS_EXTENSION_NAME},
    {NIB_FEATURE_COOPMAT, kNeverCore, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME},
};
static_assert(sizeof kNeeds / sizeof kNeeds[0] <= NIB_MAX_EXTENSIONS);

// One struct per extension, never VkPhysicalDeviceVulkan12Features and the like: these are valid at every version (core
// made them aliases). An application may not chain both kinds, so it must know which kind nibble chains.
struct Chain {
  VkPhysicalDevice16BitStorageFeatures storage16;
  VkPhysicalDeviceShaderFloat16Int8Features small_types;
  VkPhysicalDeviceVulkanMemoryModelFeatures memory_model;
  VkPhysicalDeviceShaderIntegerDotProductFeatures dot;
  VkPhysicalDeviceSubgroupSizeControlFeatures subgroup_size;
  VkPhysicalDevicePipelineRobustnessFeaturesEXT robustness;
  VkPhysicalDeviceCooperativeMatrixFeaturesKHR coopmat;
};
static_assert(sizeof(Chain) <= sizeof(NibFeatureChain), "NibFeatureChain is too small");
static_assert(alignof(Chain) <= alignof(NibFeatureChain));

}  // namespace
}  // namespace nib::vk

extern "C" NibResult nibGetRequirements(PFN_vkGetInstanceProcAddr get_instance_proc_addr, VkInstance instance,
                                        VkPhysicalDevice physical_device, uint32_t api_version,
                                        NibRequirements* out_requirements) {
  using namespace nib::vk;
  if (out_requirements == nullptr) return NIB_ERROR_INVALID_ARGUMENT;
  NibRequirements out{};
  if (!nib::writeSized(out, out_requirements)) return NIB_ERROR_INVALID_ARGUMENT;
  if (get_instance_proc_addr == nullptr || instance == VK_NULL_HANDLE || physical_device == VK_NULL_HANDLE)
    return NIB_ERROR_INVALID_ARGUMENT;

  Snapshot snapshot;
  const NibResult result =
      takeSnapshot(get_instance_proc_addr, instance, physical_device, api_version, nullptr, &snapshot, nullptr);
  if (result != NIB_SUCCESS) return result;

  // The features that a context would use if all were declared: the application need not enable others.
  const Caps caps = makeCaps(snapshot, NIB_FEATURE_ALL, nullptr);
  out.features = caps.features;
  out.api_version = caps.api_version;
  for (const ExtensionNeed& need : kNeeds)
    if ((out.features & need.features) != 0 && out.api_version < need.core_version)
      out.extensions[out.extension_count++] = need.name;
  nib::writeSized(out, out_requirements);
  return NIB_SUCCESS;
}

extern "C" void* nibFillFeatureChain(NibFeatureChain* chain, uint32_t features, uint32_t api_version, void* next) {
  using namespace nib::vk;
  // The same structs are valid at every version, see Chain.
  (void)api_version;
  if (chain == nullptr) return next;
  Chain& c = *::new (static_cast<void*>(chain)) Chain{};
  void* first = next;
  const auto link = [&first](auto& item, VkStructureType type) {
    item.sType = type;
    item.pNext = first;
    first = &item;
  };
  if (features & NIB_FEATURE_COOPMAT) {
    link(c.coopmat, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR);
    c.coopmat.cooperativeMatrix = VK_TRUE;
    link(c.memory_model, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES);
    c.memory_model.vulkanMemoryModel = VK_TRUE;
  }
  if (features & NIB_FEATURE_ROBUSTNESS) {
    link(c.robustness, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_ROBUSTNESS_FEATURES_EXT);
    c.robustness.pipelineRobustness = VK_TRUE;
  }
  if (features & NIB_FEATURE_SUBGROUP_SIZE) {
    link(c.subgroup_size, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES);
    c.subgroup_size.subgroupSizeControl = VK_TRUE;
    c.subgroup_size.computeFullSubgroups = VK_TRUE;
  }
  if (features & NIB_FEATURE_DOT4) {
    link(c.dot, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES);
    c.dot.shaderIntegerDotProduct = VK_TRUE;
  }
  if (features & (NIB_FEATURE_F16 | NIB_FEATURE_COOPMAT)) {
    link(c.small_types, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES);
    c.small_types.shaderFloat16 = (features & NIB_FEATURE_F16) != 0;
    c.small_types.shaderInt8 = (features & NIB_FEATURE_COOPMAT) != 0;
  }
  if (features & NIB_FEATURE_STORAGE16) {
    link(c.storage16, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES);
    c.storage16.storageBuffer16BitAccess = VK_TRUE;
  }
  return first;
}
