#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "fake_driver.h"
#include "vk/caps.h"

using namespace nib::test;

namespace {

NibRequirements require(FakeDriver& driver) {
  g_fake = &driver;
  NibRequirements out{sizeof(NibRequirements)};
  CHECK(nibGetRequirements(fake::getInstanceProcAddr, kFakeInstance, kFakeDevice, driver.app_version, &out) ==
        NIB_SUCCESS);
  return out;
}

std::vector<std::string> names(const NibRequirements& r) {
  std::vector<std::string> out(r.extensions, r.extensions + r.extension_count);
  std::sort(out.begin(), out.end());
  return out;
}

FakeDriver complete(uint32_t version) {
  FakeDriver d;
  d.instance_version = d.device_version = d.app_version = version;
  d.extensions = allExtensions();
  d.shapes = {fakeShape(16, VK_SCOPE_SUBGROUP_KHR)};
  return d;
}

// The features that a chain enables: each feature bool of each struct by name, "?" for an unexpected struct.
std::vector<std::string> asked(const void* first, const void* end) {
  std::vector<std::string> out;
  const auto note = [&](VkBool32 value, const char* name) {
    if (value == VK_TRUE)
      out.push_back(name);
    else if (value != VK_FALSE)
      out.push_back("?bool");
  };
  for (const VkBaseInStructure* s = static_cast<const VkBaseInStructure*>(first);
       s != nullptr && static_cast<const void*>(s) != end; s = s->pNext) {
    switch (static_cast<int64_t>(s->sType)) {
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES: {
        const auto* x = reinterpret_cast<const VkPhysicalDevice16BitStorageFeatures*>(s);
        note(x->storageBuffer16BitAccess, "storageBuffer16BitAccess");
        note(x->uniformAndStorageBuffer16BitAccess, "uniformAndStorageBuffer16BitAccess");
        note(x->storagePushConstant16, "storagePushConstant16");
        note(x->storageInputOutput16, "storageInputOutput16");
        break;
      }
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES: {
        const auto* x = reinterpret_cast<const VkPhysicalDeviceShaderFloat16Int8Features*>(s);
        note(x->shaderFloat16, "shaderFloat16");
        note(x->shaderInt8, "shaderInt8");
        break;
      }
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES: {
        const auto* x = reinterpret_cast<const VkPhysicalDeviceVulkanMemoryModelFeatures*>(s);
        note(x->vulkanMemoryModel, "vulkanMemoryModel");
        note(x->vulkanMemoryModelDeviceScope, "vulkanMemoryModelDeviceScope");
        note(x->vulkanMemoryModelAvailabilityVisibilityChains, "vulkanMemoryModelAvailabilityVisibilityChains");
        break;
      }
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES:
        note(reinterpret_cast<const VkPhysicalDeviceShaderIntegerDotProductFeatures*>(s)->shaderIntegerDotProduct,
             "shaderIntegerDotProduct");
        break;
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES: {
        const auto* x = reinterpret_cast<const VkPhysicalDeviceSubgroupSizeControlFeatures*>(s);
        note(x->subgroupSizeControl, "subgroupSizeControl");
        note(x->computeFullSubgroups, "computeFullSubgroups");
        break;
      }
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_ROBUSTNESS_FEATURES_EXT:
        note(reinterpret_cast<const VkPhysicalDevicePipelineRobustnessFeaturesEXT*>(s)->pipelineRobustness,
             "pipelineRobustness");
        break;
      case 1000506000: {
        const auto* x = reinterpret_cast<const VkPhysicalDeviceCooperativeMatrixFeaturesKHR*>(s);
        note(x->cooperativeMatrix, "cooperativeMatrix");
        note(x->cooperativeMatrixRobustBufferAccess, "cooperativeMatrixRobustBufferAccess");
        break;
      }
      default: out.push_back("?struct");
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

// The bools that nibble.h documents for a set of features.
std::vector<std::string> promised(uint32_t features) {
  std::vector<std::string> out;
  if (features & NIB_FEATURE_STORAGE16) out.push_back("storageBuffer16BitAccess");
  if (features & NIB_FEATURE_F16) out.push_back("shaderFloat16");
  if (features & NIB_FEATURE_DOT4) out.push_back("shaderIntegerDotProduct");
  if (features & NIB_FEATURE_COOPMAT) {
    out.insert(out.end(), {"cooperativeMatrix", "vulkanMemoryModel", "shaderInt8"});
  }
  if (features & NIB_FEATURE_SUBGROUP_SIZE) out.insert(out.end(), {"subgroupSizeControl", "computeFullSubgroups"});
  if (features & NIB_FEATURE_ROBUSTNESS) out.push_back("pipelineRobustness");
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

TEST_CASE("extensions are requested only below the version that made them core") {
  using Names = std::vector<std::string>;
  FakeDriver d = complete(VK_API_VERSION_1_1);
  NibRequirements r = require(d);
  CHECK(r.api_version == VK_API_VERSION_1_1);
  CHECK(r.features == NIB_FEATURE_ALL);
  CHECK(names(r) == Names{"VK_EXT_pipeline_robustness", "VK_EXT_subgroup_size_control", "VK_KHR_cooperative_matrix",
                          "VK_KHR_shader_float16_int8", "VK_KHR_shader_float_controls",
                          "VK_KHR_shader_integer_dot_product", "VK_KHR_vulkan_memory_model"});
  d = complete(VK_API_VERSION_1_2);
  r = require(d);
  CHECK(r.features == NIB_FEATURE_ALL);
  CHECK(names(r) == Names{"VK_EXT_pipeline_robustness", "VK_EXT_subgroup_size_control", "VK_KHR_cooperative_matrix",
                          "VK_KHR_shader_integer_dot_product"});
  d = complete(VK_API_VERSION_1_3);
  r = require(d);
  CHECK(r.features == NIB_FEATURE_ALL);
  CHECK(names(r) == Names{"VK_EXT_pipeline_robustness", "VK_KHR_cooperative_matrix"});
  d = complete(VK_API_VERSION_1_4);
  r = require(d);
  CHECK(names(r) == Names{"VK_KHR_cooperative_matrix"});
}

TEST_CASE("only extensions that the device has are requested") {
  for (const uint32_t version : {VK_API_VERSION_1_1, VK_API_VERSION_1_2, VK_API_VERSION_1_3, VK_API_VERSION_1_4}) {
    const std::vector<std::string> all = allExtensions();
    for (uint32_t set = 0; set < 1u << all.size(); ++set) {
      FakeDriver d = complete(version);
      d.extensions.clear();
      for (size_t i = 0; i < all.size(); ++i)
        if ((set >> i & 1) != 0) d.extensions.push_back(all[i]);
      const NibRequirements r = require(d);
      bool had = true;
      for (const std::string& name : names(r)) had = had && d.has(name.c_str());
      CHECK(had);
    }
  }
}

TEST_CASE("a bare 1.1 device needs no extension") {
  FakeDriver d = complete(VK_API_VERSION_1_1);
  d.extensions.clear();
  const NibRequirements r = require(d);
  CHECK(r.features == (NIB_FEATURE_SUBGROUP | NIB_FEATURE_STORAGE16));
  CHECK(r.extension_count == 0);
}

TEST_CASE("features that a quirk removes are not requested") {
  FakeDriver d = complete(VK_API_VERSION_1_3);
  d.driver_id = VK_DRIVER_ID_QUALCOMM_PROPRIETARY;
  const NibRequirements r = require(d);
  CHECK(r.features == (NIB_FEATURE_ALL & ~uint32_t{NIB_FEATURE_COOPMAT}));
  CHECK(names(r) == std::vector<std::string>{"VK_EXT_pipeline_robustness"});
}

TEST_CASE("wrong arguments and old versions are refused and give no requirements") {
  FakeDriver d = complete(VK_API_VERSION_1_3);
  g_fake = &d;
  NibRequirements r{sizeof(NibRequirements)};
  r.features = 123;
  const PFN_vkGetInstanceProcAddr get = fake::getInstanceProcAddr;
  CHECK(nibGetRequirements(nullptr, kFakeInstance, kFakeDevice, VK_API_VERSION_1_3, &r) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(r.features == 0);
  CHECK(nibGetRequirements(get, VK_NULL_HANDLE, kFakeDevice, VK_API_VERSION_1_3, &r) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(nibGetRequirements(get, kFakeInstance, VK_NULL_HANDLE, VK_API_VERSION_1_3, &r) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(nibGetRequirements(get, kFakeInstance, kFakeDevice, VK_API_VERSION_1_3, nullptr) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(nibGetRequirements(get, kFakeInstance, kFakeDevice, 0, &r) == NIB_ERROR_UNSUPPORTED);
  CHECK(nibGetRequirements(get, kFakeInstance, kFakeDevice, VK_API_VERSION_1_0, &r) == NIB_ERROR_UNSUPPORTED);
  CHECK(r.features == 0);
  CHECK(r.extension_count == 0);
}

TEST_CASE("a feature chain sets each requested feature's bools and nothing else, at every version") {
  for (const uint32_t version : {VK_API_VERSION_1_1, VK_API_VERSION_1_2, VK_API_VERSION_1_3}) {
    for (uint32_t features = 0; features <= NIB_FEATURE_ALL; ++features) {
      NibFeatureChain chain;
      std::memset(&chain, 0xab, sizeof chain);  // old contents must be overwritten
      const void* first = nibFillFeatureChain(&chain, features, version, nullptr);
      REQUIRE(asked(first, nullptr) == promised(features));
    }
  }
}

TEST_CASE("a feature chain holds only structs that its requirements allow") {
  for (const uint32_t version : {VK_API_VERSION_1_1, VK_API_VERSION_1_2, VK_API_VERSION_1_3, VK_API_VERSION_1_4}) {
    FakeDriver d = complete(version);
    const NibRequirements r = require(d);
    // Only the requested extensions are enabled.
    d.extensions.assign(r.extensions, r.extensions + r.extension_count);
    NibFeatureChain chain;
    const void* first = nibFillFeatureChain(&chain, r.features, r.api_version, nullptr);
    int count = 0;
    for (const VkBaseInStructure* s = static_cast<const VkBaseInStructure*>(first); s != nullptr; s = s->pNext, ++count)
      CHECK(fake::allowed(s->sType));
    CHECK(count == 7);
  }
}

TEST_CASE("the application's own structs follow the chain, whose structs are in the given storage") {
  VkPhysicalDeviceFeatures2 own{};
  own.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
  NibFeatureChain chain;
  CHECK(nibFillFeatureChain(&chain, 0, VK_API_VERSION_1_1, &own) == &own);
  CHECK(nibFillFeatureChain(&chain, NIB_FEATURE_SUBGROUP | NIB_FEATURE_ROUND_EVEN, VK_API_VERSION_1_1, &own) == &own);
  CHECK(nibFillFeatureChain(nullptr, NIB_FEATURE_ALL, VK_API_VERSION_1_1, &own) == &own);
  const void* first = nibFillFeatureChain(&chain, NIB_FEATURE_ALL, VK_API_VERSION_1_2, &own);
  CHECK(asked(first, &own) == promised(NIB_FEATURE_ALL));
  const VkBaseInStructure* s = static_cast<const VkBaseInStructure*>(first);
  const char* begin = reinterpret_cast<const char*>(&chain);
  while (static_cast<const void*>(s) != &own) {
    REQUIRE(s != nullptr);
    CHECK(reinterpret_cast<const char*>(s) >= begin);
    CHECK(reinterpret_cast<const char*>(s) < begin + sizeof chain);
    s = s->pNext;
  }
}

namespace {

// The application's chain of the structs of whole versions.
struct Versions {
  VkPhysicalDeviceVulkan11Features v11{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES};
  VkPhysicalDeviceVulkan12Features v12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
  VkPhysicalDeviceVulkan13Features v13{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES};
  Versions() {
    v11.pNext = &v12;
    v12.pNext = &v13;
    // Features that the application wants itself stay.
    v11.multiview = v12.timelineSemaphore = v13.synchronization2 = VK_TRUE;
  }
};

}  // namespace

TEST_CASE(
    "features are set in the structs of whole versions that the application has, and those are not chained twice") {
  for (uint32_t features = 0; features <= NIB_FEATURE_ALL; ++features) {
    Versions own;
    NibFeatureChain chain;
    const void* first = nibFillFeatureChain(&chain, features, VK_API_VERSION_1_3, &own.v11);
    const auto wants = [&](uint32_t feature) { return VkBool32((features & feature) != 0); };
    CHECK(own.v11.storageBuffer16BitAccess == wants(NIB_FEATURE_STORAGE16));
    CHECK(own.v12.shaderFloat16 == wants(NIB_FEATURE_F16));
    CHECK(own.v12.shaderInt8 == wants(NIB_FEATURE_COOPMAT));
    CHECK(own.v12.vulkanMemoryModel == wants(NIB_FEATURE_COOPMAT));
    CHECK(own.v13.shaderIntegerDotProduct == wants(NIB_FEATURE_DOT4));
    CHECK(own.v13.subgroupSizeControl == wants(NIB_FEATURE_SUBGROUP_SIZE));
    CHECK(own.v13.computeFullSubgroups == wants(NIB_FEATURE_SUBGROUP_SIZE));
    CHECK((own.v11.multiview && own.v12.timelineSemaphore && own.v13.synchronization2));
    // Only what no version before 1.4 has is a struct of its own.
    std::vector<std::string> others;
    if (features & NIB_FEATURE_COOPMAT) others.push_back("cooperativeMatrix");
    if (features & NIB_FEATURE_ROBUSTNESS) others.push_back("pipelineRobustness");
    REQUIRE(asked(first, &own.v11) == others);
  }
}

TEST_CASE("features are set in the extensions' structs that the application has") {
  VkPhysicalDeviceShaderFloat16Int8Features small{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES};
  VkPhysicalDeviceSubgroupSizeControlFeatures size{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES,
                                                   &small};
  NibFeatureChain chain;
  const void* first = nibFillFeatureChain(&chain, NIB_FEATURE_ALL, VK_API_VERSION_1_2, &size);
  CHECK((small.shaderFloat16 && small.shaderInt8 && size.subgroupSizeControl && size.computeFullSubgroups));
  CHECK(asked(first, &size) == std::vector<std::string>{"cooperativeMatrix", "pipelineRobustness",
                                                        "shaderIntegerDotProduct", "storageBuffer16BitAccess",
                                                        "vulkanMemoryModel"});
}
