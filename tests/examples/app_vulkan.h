// The parts of any Vulkan application: an instance, a device, a buffer, a compute pipeline. Does not use nibble.
#ifndef NIB_EXAMPLES_APP_VULKAN_H
#define NIB_EXAMPLES_APP_VULKAN_H

#include <volk.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

struct NibBufferRange;

namespace app {

constexpr uint32_t kApiVersion = VK_API_VERSION_1_2;

[[noreturn]] void fail(const char* what, const char* why);

struct Instance {
  VkInstance handle = VK_NULL_HANDLE;
  VkPhysicalDevice physical_device = VK_NULL_HANDLE;  // VK_NULL_HANDLE = no device
  std::string name;
};
Instance createInstance();
void destroyInstance(const Instance& instance);

struct Device {
  VkDevice handle = VK_NULL_HANDLE;
  VkQueue queue = VK_NULL_HANDLE;
  uint32_t family = 0;
};
Device createDevice(const Instance& instance, const std::vector<const char*>& extensions, void* features);
void destroyDevice(const Device& device);

// Host-visible, which keeps the example short.
struct Buffer {
  VkBuffer handle = VK_NULL_HANDLE;
  VkDeviceMemory memory = VK_NULL_HANDLE;
  uint8_t* mapped = nullptr;
};
Buffer createBuffer(const Instance& instance, const Device& device, VkDeviceSize size);
void destroyBuffer(const Device& device, const Buffer& buffer);

struct Shader {
  VkDescriptorSetLayout set_layout = VK_NULL_HANDLE;
  VkPipelineLayout layout = VK_NULL_HANDLE;
  VkPipeline pipeline = VK_NULL_HANDLE;
  VkDescriptorPool pool = VK_NULL_HANDLE;
  VkDescriptorSet set = VK_NULL_HANDLE;
};
Shader createShader(const Device& device, const uint32_t* spirv, uint32_t words,
                    const std::vector<NibBufferRange>& ranges);
void destroyShader(const Device& device, const Shader& shader);

void bind(VkCommandBuffer commands, const Shader& shader);
void dispatch(VkCommandBuffer commands, const Shader& shader, uint32_t mode, uint32_t count);
// A barrier from `stage` and `access` to reads and writes of compute shaders.
void barrier(VkCommandBuffer commands, VkPipelineStageFlags stage, VkAccessFlags access);

// Records, submits, waits.
void runOnce(const Device& device, const std::function<void(VkCommandBuffer)>& record);

}  // namespace app
#endif
