// A fake Vulkan driver, to test the queries and how their answers are used. It records structs that the reported
// version and extensions do not allow to be chained.
#ifndef NIB_TESTS_FAKE_DRIVER_H
#define NIB_TESTS_FAKE_DRIVER_H

#include <cstring>
#include <string>
#include <vector>

#include "vk/compat.h"

namespace nib::test {

struct FakeDriver {
  uint32_t instance_version = VK_API_VERSION_1_3;  // 0 = a 1.0 loader, which has no vkEnumerateInstanceVersion
  uint32_t device_version = VK_API_VERSION_1_3;
  uint32_t app_version = VK_API_VERSION_1_3;  // passed by the test; decides which structs may be chained
  std::vector<std::string> extensions;
  const char* missing_function = "";
  VkResult extension_result = VK_SUCCESS;
  uint32_t vendor_id = 1, driver_id = 0;
  VkPhysicalDeviceType type = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
  const char* name = "fake";
  bool dot4_mixed = true;
  std::vector<VkCooperativeMatrixPropertiesKHR> shapes;

  int coop_queries = 0;
  std::vector<VkStructureType> refused;  // chained but not allowed

  bool has(const char* extension) const {
    for (const std::string& e : extensions)
      if (e == extension) return true;
    return false;
  }
  bool core(uint32_t version) const {
    return app_version >= version && device_version >= version && instance_version >= version;
  }
};

inline FakeDriver* g_fake = nullptr;

namespace fake {

inline bool allowed(VkStructureType type) {
  const FakeDriver& d = *g_fake;
  switch (static_cast<int64_t>(type)) {
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES:
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES:
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES: return true;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES:
      return d.core(VK_API_VERSION_1_2) || d.has("VK_KHR_driver_properties");
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FLOAT_CONTROLS_PROPERTIES:
      return d.core(VK_API_VERSION_1_2) || d.has("VK_KHR_shader_float_controls");
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES:
      return d.core(VK_API_VERSION_1_2) || d.has("VK_KHR_shader_float16_int8");
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES:
      return d.core(VK_API_VERSION_1_2) || d.has("VK_KHR_vulkan_memory_model");
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES:
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES:
      return d.core(VK_API_VERSION_1_3) || d.has("VK_KHR_shader_integer_dot_product");
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES:
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES:
      return d.core(VK_API_VERSION_1_3) || d.has("VK_EXT_subgroup_size_control");
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_ROBUSTNESS_FEATURES_EXT:
      return d.core(VK_API_VERSION_1_4) || d.has("VK_EXT_pipeline_robustness");
    case 1000506000:  // cooperative matrix features
      return d.has("VK_KHR_cooperative_matrix");
    default: return false;
  }
}

inline VKAPI_ATTR void VKAPI_CALL getProperties(VkPhysicalDevice, VkPhysicalDeviceProperties* p) {
  *p = VkPhysicalDeviceProperties{};
  p->apiVersion = g_fake->device_version | 77;  // an arbitrary patch number
  p->vendorID = g_fake->vendor_id;
  p->deviceID = 5;
  p->driverVersion = 6;
  p->deviceType = g_fake->type;
  std::strcpy(p->deviceName, g_fake->name);
  p->limits.maxComputeWorkGroupInvocations = 512;
  p->limits.maxComputeWorkGroupSize[0] = 256;
  p->limits.maxComputeWorkGroupCount[0] = 65535;
  p->limits.maxComputeSharedMemorySize = 32768;
  p->limits.maxPushConstantsSize = 192;
  p->limits.maxStorageBufferRange = 1000000;
  p->limits.minStorageBufferOffsetAlignment = 64;
}

inline VKAPI_ATTR void VKAPI_CALL getProperties2(VkPhysicalDevice device, VkPhysicalDeviceProperties2* p) {
  getProperties(device, &p->properties);
  for (VkBaseOutStructure* s = static_cast<VkBaseOutStructure*>(p->pNext); s != nullptr; s = s->pNext) {
    if (!allowed(s->sType)) g_fake->refused.push_back(s->sType);
    switch (static_cast<int64_t>(s->sType)) {
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES:
        reinterpret_cast<VkPhysicalDeviceIDProperties*>(s)->deviceUUID[2] = 9;
        break;
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES: {
        auto* x = reinterpret_cast<VkPhysicalDeviceSubgroupProperties*>(s);
        x->subgroupSize = 64;
        x->supportedStages = VK_SHADER_STAGE_COMPUTE_BIT;
        x->supportedOperations = VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT |
                                 VK_SUBGROUP_FEATURE_BALLOT_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
        break;
      }
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES: {
        auto* x = reinterpret_cast<VkPhysicalDeviceDriverProperties*>(s);
        x->driverID = static_cast<VkDriverId>(g_fake->driver_id);
        std::strcpy(x->driverInfo, "info");
        break;
      }
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FLOAT_CONTROLS_PROPERTIES:
        reinterpret_cast<VkPhysicalDeviceFloatControlsProperties*>(s)->shaderRoundingModeRTEFloat32 = VK_TRUE;
        break;
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES: {
        auto* x = reinterpret_cast<VkPhysicalDeviceShaderIntegerDotProductProperties*>(s);
        x->integerDotProduct4x8BitPackedSignedAccelerated = VK_TRUE;
        x->integerDotProduct4x8BitPackedMixedSignednessAccelerated = g_fake->dot4_mixed;
        break;
      }
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES: {
        auto* x = reinterpret_cast<VkPhysicalDeviceSubgroupSizeControlProperties*>(s);
        x->minSubgroupSize = 32;
        x->maxSubgroupSize = 64;
        x->maxComputeWorkgroupSubgroups = 48;
        x->requiredSubgroupSizeStages = VK_SHADER_STAGE_COMPUTE_BIT;
        break;
      }
      default: break;
    }
  }
}

// Reports every feature of every struct as supported.
inline VKAPI_ATTR void VKAPI_CALL getFeatures2(VkPhysicalDevice, VkPhysicalDeviceFeatures2* f) {
  for (VkBaseOutStructure* s = static_cast<VkBaseOutStructure*>(f->pNext); s != nullptr; s = s->pNext) {
    if (!allowed(s->sType)) g_fake->refused.push_back(s->sType);
    switch (static_cast<int64_t>(s->sType)) {
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES:
        reinterpret_cast<VkPhysicalDevice16BitStorageFeatures*>(s)->storageBuffer16BitAccess = VK_TRUE;
        break;
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES: {
        auto* x = reinterpret_cast<VkPhysicalDeviceShaderFloat16Int8Features*>(s);
        x->shaderFloat16 = x->shaderInt8 = VK_TRUE;
        break;
      }
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES:
        reinterpret_cast<VkPhysicalDeviceVulkanMemoryModelFeatures*>(s)->vulkanMemoryModel = VK_TRUE;
        break;
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES:
        reinterpret_cast<VkPhysicalDeviceShaderIntegerDotProductFeatures*>(s)->shaderIntegerDotProduct = VK_TRUE;
        break;
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES: {
        auto* x = reinterpret_cast<VkPhysicalDeviceSubgroupSizeControlFeatures*>(s);
        x->subgroupSizeControl = x->computeFullSubgroups = VK_TRUE;
        break;
      }
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_ROBUSTNESS_FEATURES_EXT:
        reinterpret_cast<VkPhysicalDevicePipelineRobustnessFeaturesEXT*>(s)->pipelineRobustness = VK_TRUE;
        break;
      case 1000506000:
        reinterpret_cast<VkPhysicalDeviceCooperativeMatrixFeaturesKHR*>(s)->cooperativeMatrix = VK_TRUE;
        break;
      default: break;
    }
  }
}

inline VKAPI_ATTR VkResult VKAPI_CALL enumerateExtensions(VkPhysicalDevice, const char*, uint32_t* count,
                                                          VkExtensionProperties* list) {
  if (g_fake->extension_result != VK_SUCCESS) return g_fake->extension_result;
  const uint32_t all = static_cast<uint32_t>(g_fake->extensions.size());
  if (list == nullptr) {
    *count = all;
    return VK_SUCCESS;
  }
  const uint32_t copied = *count < all ? *count : all;
  for (uint32_t i = 0; i < copied; ++i) std::strcpy(list[i].extensionName, g_fake->extensions[i].c_str());
  *count = copied;
  return copied < all ? VK_INCOMPLETE : VK_SUCCESS;
}

inline VKAPI_ATTR VkResult VKAPI_CALL getShapes(VkPhysicalDevice, uint32_t* count,
                                                VkCooperativeMatrixPropertiesKHR* list) {
  ++g_fake->coop_queries;
  const uint32_t all = static_cast<uint32_t>(g_fake->shapes.size());
  if (list == nullptr) {
    *count = all;
    return VK_SUCCESS;
  }
  for (uint32_t i = 0; i < *count && i < all; ++i) {
    if (list[i].sType != VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR) return VK_ERROR_UNKNOWN;
    list[i] = g_fake->shapes[i];
  }
  return VK_SUCCESS;
}

inline VKAPI_ATTR VkResult VKAPI_CALL enumerateVersion(uint32_t* version) {
  *version = g_fake->instance_version;
  return VK_SUCCESS;
}

inline VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL getDeviceProcAddr(VkDevice, const char*) { return nullptr; }

inline VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL getInstanceProcAddr(VkInstance instance, const char* name) {
  const std::string n = name;
  if (n == g_fake->missing_function) return nullptr;
  if (n == "vkEnumerateInstanceVersion")
    return g_fake->instance_version != 0 ? reinterpret_cast<PFN_vkVoidFunction>(enumerateVersion) : nullptr;
  if (instance == VK_NULL_HANDLE) return nullptr;
  if (n == "vkGetPhysicalDeviceProperties") return reinterpret_cast<PFN_vkVoidFunction>(getProperties);
  if (n == "vkGetPhysicalDeviceProperties2") return reinterpret_cast<PFN_vkVoidFunction>(getProperties2);
  if (n == "vkGetPhysicalDeviceFeatures2") return reinterpret_cast<PFN_vkVoidFunction>(getFeatures2);
  if (n == "vkEnumerateDeviceExtensionProperties") return reinterpret_cast<PFN_vkVoidFunction>(enumerateExtensions);
  if (n == "vkGetDeviceProcAddr") return reinterpret_cast<PFN_vkVoidFunction>(getDeviceProcAddr);
  if (n == "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR") return reinterpret_cast<PFN_vkVoidFunction>(getShapes);
  return nullptr;
}

}  // namespace fake

inline const VkInstance kFakeInstance = reinterpret_cast<VkInstance>(uintptr_t{16});
inline const VkPhysicalDevice kFakeDevice = reinterpret_cast<VkPhysicalDevice>(uintptr_t{32});

inline VkCooperativeMatrixPropertiesKHR fakeShape(uint32_t k, VkScopeKHR scope) {
  VkCooperativeMatrixPropertiesKHR p{};
  p.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
  p.MSize = p.NSize = 16;
  p.KSize = k;
  p.AType = p.BType = VK_COMPONENT_TYPE_SINT8_KHR;
  p.CType = p.ResultType = VK_COMPONENT_TYPE_SINT32_KHR;
  p.scope = scope;
  return p;
}

// Every extension that nibble can use: enough at every version.
inline std::vector<std::string> allExtensions() {
  return {"VK_KHR_shader_float16_int8",
          "VK_KHR_shader_float_controls",
          "VK_KHR_vulkan_memory_model",
          "VK_KHR_driver_properties",
          "VK_KHR_swapchain",
          "VK_KHR_shader_integer_dot_product",
          "VK_EXT_subgroup_size_control",
          "VK_EXT_pipeline_robustness",
          "VK_KHR_cooperative_matrix"};
}

}  // namespace nib::test
#endif
