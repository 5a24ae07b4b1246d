// The Vulkan functions that the kit calls, in one table per instance and per device. There are no global pointers: the
// application may have its own in the same program.
#ifndef NIB_KIT_VULKAN_API_H
#define NIB_KIT_VULKAN_API_H

#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <vulkan/vulkan_core.h>

namespace nib::kit::detail {

#define NIB_KIT_INSTANCE_FUNCTIONS(X)       \
  X(DestroyInstance)                        \
  X(EnumeratePhysicalDevices)               \
  X(GetPhysicalDeviceProperties)            \
  X(GetPhysicalDeviceProperties2)           \
  X(GetPhysicalDeviceMemoryProperties)      \
  X(GetPhysicalDeviceQueueFamilyProperties) \
  X(EnumerateDeviceExtensionProperties)     \
  X(CreateDevice)                           \
  X(GetDeviceProcAddr)

#define NIB_KIT_DEVICE_FUNCTIONS(X) \
  X(DestroyDevice)                  \
  X(GetDeviceQueue)                 \
  X(QueueWaitIdle)                  \
  X(QueueSubmit)                    \
  X(CreateFence)                    \
  X(DestroyFence)                   \
  X(ResetFences)                    \
  X(WaitForFences)                  \
  X(CreateCommandPool)              \
  X(DestroyCommandPool)             \
  X(ResetCommandPool)               \
  X(AllocateCommandBuffers)         \
  X(BeginCommandBuffer)             \
  X(EndCommandBuffer)               \
  X(CreateBuffer)                   \
  X(DestroyBuffer)                  \
  X(GetBufferMemoryRequirements)    \
  X(AllocateMemory)                 \
  X(FreeMemory)                     \
  X(BindBufferMemory)               \
  X(MapMemory)                      \
  X(CreateQueryPool)                \
  X(DestroyQueryPool)               \
  X(GetQueryPoolResults)            \
  X(CmdResetQueryPool)              \
  X(CmdWriteTimestamp)              \
  X(CmdPipelineBarrier)             \
  X(CmdCopyBuffer)                  \
  X(CmdFillBuffer)

struct InstanceApi {
#define NIB_KIT_MEMBER(name) PFN_vk##name name = nullptr;
  NIB_KIT_INSTANCE_FUNCTIONS(NIB_KIT_MEMBER)
};

struct DeviceApi {
  NIB_KIT_DEVICE_FUNCTIONS(NIB_KIT_MEMBER)
#undef NIB_KIT_MEMBER
};

// NULL if this machine has no Vulkan loader. Thread-safe.
PFN_vkGetInstanceProcAddr findLoader();

// Throw Error with the name of a function the driver lacks.
InstanceApi loadInstanceApi(PFN_vkGetInstanceProcAddr get, VkInstance instance);
DeviceApi loadDeviceApi(const InstanceApi& instance_api, VkDevice device);

// Throws Error("WHAT: VK_ERROR_...") unless result is VK_SUCCESS.
void check(VkResult result, const char* what);
// For the result of a function that creates `handle`: a driver may leave anything in it when it fails.
template <class Handle>
void checkCreated(VkResult result, Handle& handle, const char* what) {
  if (result != VK_SUCCESS) handle = VK_NULL_HANDLE;
  check(result, what);
}

}  // namespace nib::kit::detail
#endif
