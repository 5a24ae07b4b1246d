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
// made them aliases). A chain must not hold both kinds, so members of structs that the application has are set there.
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

namespace nib::vk {
namespace {

// The member of a struct of the application's chain, or NULL if the chain has no struct with it.
class Existing {
 public:
  explicit Existing(void* next) : first_(static_cast<VkBaseOutStructure*>(next)) {}

  // `own`: the struct that has just this feature; `version`: VkPhysicalDeviceVulkan1xFeatures with the member.
  template <class Own, class Version>
  bool enable(VkStructureType own_type, VkBool32 Own::*own, VkStructureType version_type, VkBool32 Version::*member) {
    return set(own_type, own) || set(version_type, member);
  }
  template <class Own>
  bool set(VkStructureType type, VkBool32 Own::*member) {
    for (VkBaseOutStructure* s = first_; s != nullptr; s = s->pNext) {
      if (s->sType != type) continue;
      reinterpret_cast<Own*>(s)->*member = VK_TRUE;
      return true;
    }
    return false;
  }

 private:
  VkBaseOutStructure* first_;
};

constexpr VkStructureType kVulkan11 = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
constexpr VkStructureType kVulkan12 = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
constexpr VkStructureType kVulkan13 = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES;

}  // namespace
}  // namespace nib::vk

extern "C" void* nibFillFeatureChain(NibFeatureChain* chain, uint32_t features, uint32_t api_version, void* next) {
  using namespace nib::vk;
  // The same structs are valid at every version, see Chain.
  (void)api_version;
  if (chain == nullptr) return next;
  Chain& c = *::new (static_cast<void*>(chain)) Chain{};
  Existing existing(next);
  void* first = next;
  const auto link = [&first](auto& item, VkStructureType type) {
    item.sType = type;
    item.pNext = first;
    first = &item;
  };
  if (features & NIB_FEATURE_COOPMAT) {
    constexpr VkStructureType kOwn = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR;
    if (!existing.set(kOwn, &VkPhysicalDeviceCooperativeMatrixFeaturesKHR::cooperativeMatrix)) {
      link(c.coopmat, kOwn);
      c.coopmat.cooperativeMatrix = VK_TRUE;
    }
    constexpr VkStructureType kModel = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES;
    if (!existing.enable(kModel, &VkPhysicalDeviceVulkanMemoryModelFeatures::vulkanMemoryModel, kVulkan12,
                         &VkPhysicalDeviceVulkan12Features::vulkanMemoryModel)) {
      link(c.memory_model, kModel);
      c.memory_model.vulkanMemoryModel = VK_TRUE;
    }
  }
  if (features & NIB_FEATURE_ROBUSTNESS) {
    constexpr VkStructureType kOwn = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_ROBUSTNESS_FEATURES_EXT;
    if (!existing.set(kOwn, &VkPhysicalDevicePipelineRobustnessFeaturesEXT::pipelineRobustness) &&
        !existing.set(kVulkan14, &Vulkan14Features::pipelineRobustness)) {
      link(c.robustness, kOwn);
      c.robustness.pipelineRobustness = VK_TRUE;
    }
  }
  if (features & NIB_FEATURE_SUBGROUP_SIZE) {
    constexpr VkStructureType kOwn = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES;
    using Own = VkPhysicalDeviceSubgroupSizeControlFeatures;
    if (existing.enable(kOwn, &Own::subgroupSizeControl, kVulkan13,
                        &VkPhysicalDeviceVulkan13Features::subgroupSizeControl)) {
      existing.enable(kOwn, &Own::computeFullSubgroups, kVulkan13,
                      &VkPhysicalDeviceVulkan13Features::computeFullSubgroups);
    } else {
      link(c.subgroup_size, kOwn);
      c.subgroup_size.subgroupSizeControl = VK_TRUE;
      c.subgroup_size.computeFullSubgroups = VK_TRUE;
    }
  }
  if (features & NIB_FEATURE_DOT4) {
    constexpr VkStructureType kOwn = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES;
    if (!existing.enable(kOwn, &VkPhysicalDeviceShaderIntegerDotProductFeatures::shaderIntegerDotProduct, kVulkan13,
                         &VkPhysicalDeviceVulkan13Features::shaderIntegerDotProduct)) {
      link(c.dot, kOwn);
      c.dot.shaderIntegerDotProduct = VK_TRUE;
    }
  }
  if (features & (NIB_FEATURE_F16 | NIB_FEATURE_COOPMAT)) {
    constexpr VkStructureType kOwn = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES;
    using Own = VkPhysicalDeviceShaderFloat16Int8Features;
    const bool f16 = (features & NIB_FEATURE_F16) != 0, int8 = (features & NIB_FEATURE_COOPMAT) != 0;
    const bool has_f16 =
        f16 && existing.enable(kOwn, &Own::shaderFloat16, kVulkan12, &VkPhysicalDeviceVulkan12Features::shaderFloat16);
    const bool has_int8 =
        int8 && existing.enable(kOwn, &Own::shaderInt8, kVulkan12, &VkPhysicalDeviceVulkan12Features::shaderInt8);
    if (!has_f16 && !has_int8) {
      link(c.small_types, kOwn);
      c.small_types.shaderFloat16 = f16;
      c.small_types.shaderInt8 = int8;
    }
  }
  if (features & NIB_FEATURE_STORAGE16) {
    constexpr VkStructureType kOwn = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES;
    if (!existing.enable(kOwn, &VkPhysicalDevice16BitStorageFeatures::storageBuffer16BitAccess, kVulkan11,
                         &VkPhysicalDeviceVulkan11Features::storageBuffer16BitAccess)) {
      link(c.storage16, kOwn);
      c.storage16.storageBuffer16BitAccess = VK_TRUE;
    }
  }
  return first;
}
