// The kit's own VkInstance, its validation messages and its physical devices.
#ifndef NIB_KIT_VULKAN_INSTANCE_H
#define NIB_KIT_VULKAN_INSTANCE_H

#include "kit/vulkan_api.h"

#include <nibble/kit.h>

#include <optional>

namespace nib::kit::detail {

// The highest API version that the kit requests in VkApplicationInfo.
constexpr uint32_t kApiVersion = VK_API_VERSION_1_3;

class Instance {
 public:
  // NULL if the machine has no Vulkan 1.1. With validation: throws if the layer is missing; log receives its messages.
  static std::shared_ptr<Instance> create(Validation validation, Log log, uint32_t api_version = kApiVersion);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  std::vector<VkPhysicalDevice> physicalDevices() const;
  uint32_t validationErrors() const;
  std::vector<std::string> validationMessages() const;

  PFN_vkGetInstanceProcAddr get = nullptr;
  VkInstance handle = VK_NULL_HANDLE;
  InstanceApi api;
  uint32_t api_version = 0;  // VkApplicationInfo::apiVersion, at most the loader's version

 private:
  Instance() = default;
  static VKAPI_ATTR VkBool32 VKAPI_CALL onMessage(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                  VkDebugUtilsMessageTypeFlagsEXT types,
                                                  const VkDebugUtilsMessengerCallbackDataEXT* data, void* user);

  Log log_;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  mutable std::mutex mutex_;
  uint32_t errors_ = 0;
  std::vector<std::string> messages_;
};

// Describes a physical device without opening it. tier stays -1; tier_reason says why it cannot be used, or is empty.
DeviceInfo describe(PFN_vkGetInstanceProcAddr get, const InstanceApi& api, VkInstance instance,
                    VkPhysicalDevice physical_device, uint32_t api_version);

bool offersExtension(const InstanceApi& api, VkPhysicalDevice physical_device, const char* name);
std::vector<VkQueueFamilyProperties> queueFamilies(const InstanceApi& api, VkPhysicalDevice physical_device);

// A family with COMPUTE, preferably without GRAPHICS, so that long work does not delay the desktop's.
std::optional<uint32_t> findComputeFamily(const InstanceApi& api, VkPhysicalDevice physical_device);

}  // namespace nib::kit::detail
#endif
