#define VOLK_IMPLEMENTATION
#include "app_vulkan.h"

#include <nibble/nibble.h>

#include <cstdio>
#include <cstdlib>

namespace app {
namespace {

struct Push {
  uint32_t mode;
  uint32_t count;
};

void need(VkResult result, const char* what) {
  if (result != VK_SUCCESS) fail(what, std::to_string(static_cast<int>(result)).c_str());
}

}  // namespace

void fail(const char* what, const char* why) {
  std::fprintf(stderr, "app: %s: %s\n", what, why);
  std::exit(1);
}

Instance createInstance() {
  Instance instance;
  if (volkInitialize() != VK_SUCCESS) return instance;
  VkApplicationInfo application{VK_STRUCTURE_TYPE_APPLICATION_INFO};
  application.pApplicationName = "nibble example";
  application.apiVersion = kApiVersion;
  VkInstanceCreateInfo info{VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  info.pApplicationInfo = &application;
  if (vkCreateInstance(&info, nullptr, &instance.handle) != VK_SUCCESS) return instance;
  volkLoadInstance(instance.handle);
  uint32_t count = 1;
  const VkResult result = vkEnumeratePhysicalDevices(instance.handle, &count, &instance.physical_device);
  if ((result != VK_SUCCESS && result != VK_INCOMPLETE) || count == 0) instance.physical_device = VK_NULL_HANDLE;
  if (instance.physical_device) {
    VkPhysicalDeviceProperties properties;
    vkGetPhysicalDeviceProperties(instance.physical_device, &properties);
    instance.name = properties.deviceName;
  }
  return instance;
}

void destroyInstance(const Instance& instance) { vkDestroyInstance(instance.handle, nullptr); }

Device createDevice(const Instance& instance, const std::vector<const char*>& extensions, void* features) {
  Device device;
  uint32_t count = 0;
  vkGetPhysicalDeviceQueueFamilyProperties(instance.physical_device, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  vkGetPhysicalDeviceQueueFamilyProperties(instance.physical_device, &count, families.data());
  const auto found = std::find_if(families.begin(), families.end(), [](const VkQueueFamilyProperties& family) {
    return (family.queueFlags & VK_QUEUE_COMPUTE_BIT) != 0;
  });
  if (found == families.end()) fail("createDevice", "no compute queue");
  device.family = static_cast<uint32_t>(found - families.begin());
  const float priority = 1.0f;
  VkDeviceQueueCreateInfo queue{VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
  queue.queueFamilyIndex = device.family;
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  VkDeviceCreateInfo info{VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO};
  info.pNext = features;
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  need(vkCreateDevice(instance.physical_device, &info, nullptr, &device.handle), "vkCreateDevice");
  volkLoadDevice(device.handle);
  vkGetDeviceQueue(device.handle, device.family, 0, &device.queue);
  return device;
}

void destroyDevice(const Device& device) { vkDestroyDevice(device.handle, nullptr); }

Buffer createBuffer(const Instance& instance, const Device& device, VkDeviceSize size) {
  Buffer buffer;
  VkBufferCreateInfo info{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
  info.size = size;
  info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  need(vkCreateBuffer(device.handle, &info, nullptr, &buffer.handle), "vkCreateBuffer");
  VkMemoryRequirements requirements;
  vkGetBufferMemoryRequirements(device.handle, buffer.handle, &requirements);
  VkPhysicalDeviceMemoryProperties memory;
  vkGetPhysicalDeviceMemoryProperties(instance.physical_device, &memory);
  constexpr VkMemoryPropertyFlags kWanted = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  uint32_t type = 0;
  while ((requirements.memoryTypeBits >> type & 1u) == 0 ||
         (memory.memoryTypes[type].propertyFlags & kWanted) != kWanted) {
    ++type;  // every device has one
  }
  VkMemoryAllocateInfo allocate{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
  allocate.allocationSize = requirements.size;
  allocate.memoryTypeIndex = type;
  need(vkAllocateMemory(device.handle, &allocate, nullptr, &buffer.memory), "vkAllocateMemory");
  need(vkBindBufferMemory(device.handle, buffer.handle, buffer.memory, 0), "vkBindBufferMemory");
  void* mapped = nullptr;
  need(vkMapMemory(device.handle, buffer.memory, 0, VK_WHOLE_SIZE, 0, &mapped), "vkMapMemory");
  buffer.mapped = static_cast<uint8_t*>(mapped);
  return buffer;
}

void destroyBuffer(const Device& device, const Buffer& buffer) {
  vkDestroyBuffer(device.handle, buffer.handle, nullptr);
  vkFreeMemory(device.handle, buffer.memory, nullptr);
}

Shader createShader(const Device& device, const uint32_t* spirv, uint32_t words,
                    const std::vector<NibBufferRange>& ranges) {
  Shader shader;
  const uint32_t count = static_cast<uint32_t>(ranges.size());
  std::vector<VkDescriptorSetLayoutBinding> bindings;
  for (uint32_t i = 0; i < count; ++i) {
    bindings.push_back({i, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, nullptr});
  }
  VkDescriptorSetLayoutCreateInfo set_layout{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO};
  set_layout.bindingCount = count;
  set_layout.pBindings = bindings.data();
  need(vkCreateDescriptorSetLayout(device.handle, &set_layout, nullptr, &shader.set_layout), "set layout");

  const VkPushConstantRange push{VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(Push)};
  VkPipelineLayoutCreateInfo layout{VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
  layout.setLayoutCount = 1;
  layout.pSetLayouts = &shader.set_layout;
  layout.pushConstantRangeCount = 1;
  layout.pPushConstantRanges = &push;
  need(vkCreatePipelineLayout(device.handle, &layout, nullptr, &shader.layout), "pipeline layout");

  VkShaderModuleCreateInfo module_info{VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
  module_info.codeSize = words * 4;
  module_info.pCode = spirv;
  VkShaderModule module = VK_NULL_HANDLE;
  need(vkCreateShaderModule(device.handle, &module_info, nullptr, &module), "shader module");
  VkComputePipelineCreateInfo pipeline{VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
  pipeline.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  pipeline.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  pipeline.stage.module = module;
  pipeline.stage.pName = "main";
  pipeline.layout = shader.layout;
  need(vkCreateComputePipelines(device.handle, VK_NULL_HANDLE, 1, &pipeline, nullptr, &shader.pipeline), "pipeline");
  vkDestroyShaderModule(device.handle, module, nullptr);

  const VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, count};
  VkDescriptorPoolCreateInfo pool{VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO};
  pool.maxSets = 1;
  pool.poolSizeCount = 1;
  pool.pPoolSizes = &size;
  need(vkCreateDescriptorPool(device.handle, &pool, nullptr, &shader.pool), "descriptor pool");
  VkDescriptorSetAllocateInfo allocate{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO};
  allocate.descriptorPool = shader.pool;
  allocate.descriptorSetCount = 1;
  allocate.pSetLayouts = &shader.set_layout;
  need(vkAllocateDescriptorSets(device.handle, &allocate, &shader.set), "descriptor set");
  for (uint32_t i = 0; i < count; ++i) {
    const VkDescriptorBufferInfo buffer{ranges[i].buffer, ranges[i].offset, ranges[i].size};
    VkWriteDescriptorSet write{VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET};
    write.dstSet = shader.set;
    write.dstBinding = i;
    write.descriptorCount = 1;
    write.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    write.pBufferInfo = &buffer;
    vkUpdateDescriptorSets(device.handle, 1, &write, 0, nullptr);
  }
  return shader;
}

void destroyShader(const Device& device, const Shader& shader) {
  vkDestroyDescriptorPool(device.handle, shader.pool, nullptr);
  vkDestroyPipeline(device.handle, shader.pipeline, nullptr);
  vkDestroyPipelineLayout(device.handle, shader.layout, nullptr);
  vkDestroyDescriptorSetLayout(device.handle, shader.set_layout, nullptr);
}

void bind(VkCommandBuffer commands, const Shader& shader) {
  vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, shader.pipeline);
  vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, shader.layout, 0, 1, &shader.set, 0, nullptr);
}

void dispatch(VkCommandBuffer commands, const Shader& shader, uint32_t mode, uint32_t count) {
  const Push push{mode, count};
  vkCmdPushConstants(commands, shader.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof push, &push);
  vkCmdDispatch(commands, (count + 63) / 64, 1, 1);
}

void barrier(VkCommandBuffer commands, VkPipelineStageFlags stage, VkAccessFlags access) {
  VkMemoryBarrier memory{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
  memory.srcAccessMask = access;
  memory.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
  vkCmdPipelineBarrier(commands, stage, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &memory, 0, nullptr, 0, nullptr);
}

void runOnce(const Device& device, const std::function<void(VkCommandBuffer)>& record) {
  VkCommandPoolCreateInfo pool_info{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  pool_info.queueFamilyIndex = device.family;
  VkCommandPool pool = VK_NULL_HANDLE;
  need(vkCreateCommandPool(device.handle, &pool_info, nullptr, &pool), "command pool");
  VkCommandBufferAllocateInfo allocate{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
  allocate.commandPool = pool;
  allocate.commandBufferCount = 1;
  VkCommandBuffer commands = VK_NULL_HANDLE;
  need(vkAllocateCommandBuffers(device.handle, &allocate, &commands), "command buffer");
  const VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  need(vkBeginCommandBuffer(commands, &begin), "begin");
  record(commands);
  VkMemoryBarrier to_host{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
  to_host.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT;
  to_host.dstAccessMask = VK_ACCESS_HOST_READ_BIT;
  vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &to_host, 0,
                       nullptr, 0, nullptr);
  need(vkEndCommandBuffer(commands), "end");
  VkSubmitInfo submit{VK_STRUCTURE_TYPE_SUBMIT_INFO};
  submit.commandBufferCount = 1;
  submit.pCommandBuffers = &commands;
  need(vkQueueSubmit(device.queue, 1, &submit, VK_NULL_HANDLE), "submit");
  need(vkQueueWaitIdle(device.queue), "wait");
  vkDestroyCommandPool(device.handle, pool, nullptr);
}

}  // namespace app
