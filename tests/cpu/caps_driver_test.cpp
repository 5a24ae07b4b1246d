// The device policy against the drivers of this machine; the other tests of the policy use made-up devices.
#include <doctest/doctest.h>

#include <cstdlib>
#include <vector>

#include "vk/api.h"
#include "vk/caps.h"

#if __has_include(<dlfcn.h>)
#include <dlfcn.h>

using namespace nib::vk;

namespace {

PFN_vkGetInstanceProcAddr loader() {
  for (const char* name : {"libvulkan.so.1", "libvulkan.1.dylib", "libMoltenVK.dylib"})
    if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL))
      return reinterpret_cast<PFN_vkGetInstanceProcAddr>(dlsym(library, "vkGetInstanceProcAddr"));
  return nullptr;
}

template <typename Function>
Function find(PFN_vkGetInstanceProcAddr get, VkInstance instance, const char* name) {
  return reinterpret_cast<Function>(get(instance, name));
}

VkInstance createInstance(PFN_vkGetInstanceProcAddr get, uint32_t api_version) {
  VkApplicationInfo app{};
  app.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
  app.apiVersion = api_version;
  VkInstanceCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
  info.pApplicationInfo = &app;
  VkInstance instance = VK_NULL_HANDLE;
  const auto create = find<PFN_vkCreateInstance>(get, VK_NULL_HANDLE, "vkCreateInstance");
  return create != nullptr && create(&info, nullptr, &instance) == VK_SUCCESS ? instance : VK_NULL_HANDLE;
}

// Creates a device with exactly the features that nibble requests, then its function table.
void checkDevice(PFN_vkGetInstanceProcAddr get, VkInstance instance, VkPhysicalDevice physical, uint32_t api_version) {
  Snapshot s;
  const char* why = nullptr;
  const NibResult result = takeSnapshot(get, instance, physical, api_version, nullptr, &s, &why);
  if (result == NIB_ERROR_UNSUPPORTED) {
    MESSAGE("skipped a device: ", why);
    return;
  }
  REQUIRE_MESSAGE(result == NIB_SUCCESS, why);
  CAPTURE(s.device_name);
  const Caps caps = makeCaps(s, NIB_FEATURE_ALL, nullptr);
  CHECK(caps.max_workgroup_invocations >= 128);
  CHECK(caps.max_workgroup_size_x >= 128);
  CHECK(caps.max_workgroup_count_x >= 65535);
  CHECK(caps.max_shared_bytes >= 16384);
  CHECK(caps.max_push_bytes >= 128);
  CHECK(caps.max_storage_range_bytes >= (1u << 27) - 256);
  CHECK(caps.min_subgroup_size <= caps.subgroup_size);
  CHECK(caps.subgroup_size <= caps.max_subgroup_size);
  CHECK((caps.tier == 3) == (caps.tier_reason[0] == '\0'));
  CHECK(capsProblem(caps) == nullptr);

  NibRequirements needs{sizeof(NibRequirements)};
  REQUIRE(nibGetRequirements(get, instance, physical, api_version, &needs) == NIB_SUCCESS);
  CHECK(needs.features == caps.features);
  CHECK(needs.api_version == caps.api_version);
  MESSAGE(s.device_name, " at 1.", VK_API_VERSION_MINOR(caps.api_version), ": features ", caps.features, ", tier ",
          caps.tier, " (", caps.tier_reason, "), extensions ", needs.extension_count);

  NibFeatureChain chain;
  const float priority = 1.0f;
  VkDeviceQueueCreateInfo queue{};
  queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  VkDeviceCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
  info.pNext = nibFillFeatureChain(&chain, needs.features, needs.api_version, nullptr);
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  info.enabledExtensionCount = needs.extension_count;
  info.ppEnabledExtensionNames = needs.extensions;
  VkDevice device = VK_NULL_HANDLE;
  REQUIRE(find<PFN_vkCreateDevice>(get, instance, "vkCreateDevice")(physical, &info, nullptr, &device) == VK_SUCCESS);
  Api api;
  const char* missing = nullptr;
  CHECK(loadApi(get, instance, device, &api, &missing));
  CHECK(missing == nullptr);
  find<PFN_vkDestroyDevice>(get, instance, "vkDestroyDevice")(device, nullptr);
}

}  // namespace

TEST_CASE("every driver of this machine gives valid caps and creates the device that nibble requests") {
  const PFN_vkGetInstanceProcAddr get = loader();
  if (get == nullptr) {
    MESSAGE("SKIPPED: no Vulkan loader on this machine");
    return;
  }
  uint32_t devices = 0;
  for (const uint32_t api_version : {VK_API_VERSION_1_1, VK_API_VERSION_1_2, VK_API_VERSION_1_3}) {
    const VkInstance instance = createInstance(get, api_version);
    if (instance == VK_NULL_HANDLE) continue;
    const auto enumerate = find<PFN_vkEnumeratePhysicalDevices>(get, instance, "vkEnumeratePhysicalDevices");
    uint32_t count = 0;
    if (enumerate(instance, &count, nullptr) == VK_SUCCESS && count != 0) {
      std::vector<VkPhysicalDevice> list(count);
      CHECK(enumerate(instance, &count, list.data()) >= 0);
      for (uint32_t i = 0; i < count; ++i) checkDevice(get, instance, list[i], api_version);
      devices += count;
    }
    find<PFN_vkDestroyInstance>(get, instance, "vkDestroyInstance")(instance, nullptr);
  }
  if (devices == 0) MESSAGE("SKIPPED: the Vulkan loader finds no device");
  if (std::getenv("NIB_REQUIRE_GPU") != nullptr) CHECK(devices != 0);
}
#endif
