#include "kit/vulkan_device.h"

#include "kit/vulkan_memory.h"

#include <algorithm>
#include <new>

namespace nib::kit::detail {

std::shared_ptr<VulkanDevice> VulkanDevice::create(const std::shared_ptr<Instance>& instance,
                                                   VkPhysicalDevice physical_device, uint32_t features) {
  const InstanceApi& api = instance->api;
  NibRequirements requirements{sizeof(NibRequirements)};
  const NibResult result =
      nibGetRequirements(instance->get, instance->handle, physical_device, instance->api_version, &requirements);
  if (result != NIB_SUCCESS) throw Error(std::string("querying a device's features: ") + nibResultString(result));
  const std::optional<uint32_t> family = findComputeFamily(api, physical_device);
  if (!family) throw Error("the device has no compute queue");

  std::shared_ptr<VulkanDevice> self(new VulkanDevice);
  self->instance_owner = instance;
  self->get = instance->get;
  self->instance = instance->handle;
  self->physical_device = physical_device;
  self->instance_api = api;
  self->api_version = instance->api_version;
  self->features = requirements.features & features;
  self->queue_family = *family;

  std::vector<const char*> extensions(requirements.extensions, requirements.extensions + requirements.extension_count);
  // The specification requires that it is enabled if the device offers it.
  if (offersExtension(api, physical_device, "VK_KHR_portability_subset")) {
    extensions.push_back("VK_KHR_portability_subset");
  }
  NibFeatureChain chain;
  const float priority = 0.5f;
  VkDeviceQueueCreateInfo queue_info{VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
  queue_info.queueFamilyIndex = *family;
  queue_info.queueCount = 1;
  queue_info.pQueuePriorities = &priority;
  VkDeviceCreateInfo info{VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO};
  info.pNext = nibFillFeatureChain(&chain, self->features, requirements.api_version, nullptr);
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue_info;
  info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  checkCreated(api.CreateDevice(physical_device, &info, nullptr, &self->handle), self->handle,
               "creating a Vulkan device");
  self->api = loadDeviceApi(api, self->handle);
  self->api.GetDeviceQueue(self->handle, *family, 0, &self->queue);
  self->finishSetup();
  return self;
}

std::shared_ptr<VulkanDevice> VulkanDevice::adopt(const AdoptDesc& desc) {
  if (!desc.get_instance_proc_addr || !desc.instance || !desc.physical_device || !desc.device || !desc.queue) {
    throw Error("adopt: get_instance_proc_addr, instance, physical_device, device and queue must be set");
  }
  std::shared_ptr<VulkanDevice> self(new VulkanDevice);
  self->get = desc.get_instance_proc_addr;
  self->instance = desc.instance;
  self->physical_device = desc.physical_device;
  self->instance_api = loadInstanceApi(desc.get_instance_proc_addr, desc.instance);
  self->api = loadDeviceApi(self->instance_api, desc.device);
  self->handle = desc.device;
  self->queue = desc.queue;
  self->queue_family = desc.queue_family;
  self->api_version = desc.api_version;
  self->features = desc.features;
  self->pipeline_cache = desc.pipeline_cache;
  if (desc.queue_mutex) self->queue_mutex_ = desc.queue_mutex;
  self->finishSetup();
  return self;
}

void VulkanDevice::finishSetup() {
  info = describe(get, instance_api, instance, physical_device, api_version);
  VkPhysicalDeviceProperties properties{};
  instance_api.GetPhysicalDeviceProperties(physical_device, &properties);
  instance_api.GetPhysicalDeviceMemoryProperties(physical_device, &memory_);
  unified_ = isUnified(memory_, properties.deviceType);

  VkPhysicalDeviceMaintenance3Properties limits{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES};
  VkPhysicalDeviceProperties2 properties2{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
  properties2.pNext = &limits;
  instance_api.GetPhysicalDeviceProperties2(physical_device, &properties2);
  max_allocation_bytes_ = limits.maxMemoryAllocationSize;

  const std::vector<VkQueueFamilyProperties> families = queueFamilies(instance_api, physical_device);
  const uint32_t bits = queue_family < families.size() ? families[queue_family].timestampValidBits : 0;
  timestamp_mask = bits >= 64 ? UINT64_MAX : (uint64_t{1} << bits) - 1;
  timestamp_period_seconds = properties.limits.timestampPeriod * 1e-9;
  if (timestamp_period_seconds <= 0) timestamp_mask = 0;
  info.timestamps = timestamp_mask != 0;
}

VulkanDevice::~VulkanDevice() {
  if (!drain()) {
    // Nothing may be destroyed while a submission may still run, not even the instance: all of it is leaked.
    if (instance_owner) (void)new (std::nothrow) std::shared_ptr<Instance>(instance_owner);
    return;
  }
  for (StagingBlock& block : free_staging_) {
    destroyBuffer(block.buffer);
    destroyCommands(block.commands);
  }
  for (Commands& commands : free_commands_) destroyCommands(commands);
  // An adopted device belongs to the application.
  if (instance_owner && handle && api.DestroyDevice) api.DestroyDevice(handle, nullptr);
}

// ---------------------------------------------------------------------------------------------- memory
void VulkanDevice::countMemory(uint64_t bytes, const std::string& what) {
  const uint64_t before = allocated_bytes_.fetch_add(bytes);
  if (memory_limit_bytes == 0 || before + bytes <= memory_limit_bytes) return;
  allocated_bytes_.fetch_sub(bytes);
  throw Error(what + ": " + std::to_string(before) + " of the " + std::to_string(memory_limit_bytes) +
              " bytes of device memory that may be used are taken");
}

RawBuffer VulkanDevice::createBuffer(uint64_t size_bytes, Memory wanted) {
  RawBuffer result;
  result.size_bytes = size_bytes;
  const std::string what = "a buffer of " + std::to_string(size_bytes) + " bytes on " + info.name;
  VkBufferCreateInfo buffer_info{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
  // Rounded up to whole words: vkCmdFillBuffer and 32-bit loads access the last word whole.
  buffer_info.size = (size_bytes + 3) / 4 * 4;
  buffer_info.usage =
      VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  buffer_info.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
  countMemory(size_bytes, what);
  try {
    checkCreated(api.CreateBuffer(handle, &buffer_info, nullptr, &result.buffer), result.buffer, what.c_str());
    VkMemoryRequirements requirements{};
    api.GetBufferMemoryRequirements(handle, result.buffer, &requirements);
    if (max_allocation_bytes_ != 0 && requirements.size > max_allocation_bytes_) {
      throw Error(what + ": the driver allows " + std::to_string(max_allocation_bytes_) +
                  " at once; split the tensor by rows");
    }
    VkResult failure = VK_ERROR_OUT_OF_DEVICE_MEMORY;
    for (const uint32_t type : rankMemoryTypes(memory_, requirements.memoryTypeBits, unified_, wanted)) {
      VkMemoryAllocateInfo allocate{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
      allocate.allocationSize = requirements.size;
      allocate.memoryTypeIndex = type;
      // Some drivers accept an allocation larger than the heap and fail at first use.
      if (requirements.size > memory_.memoryHeaps[memory_.memoryTypes[type].heapIndex].size) continue;
      const VkResult allocated = api.AllocateMemory(handle, &allocate, nullptr, &result.memory);
      if (allocated != VK_SUCCESS) {
        failure = allocated;
        result.memory = VK_NULL_HANDLE;
        continue;
      }
      const VkMemoryPropertyFlags flags = memory_.memoryTypes[type].propertyFlags;
      const bool map = isMappable(flags) && (unified_ || wanted == Memory::kHost);
      result.cached = (flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT) != 0;
      check(api.BindBufferMemory(handle, result.buffer, result.memory, 0), what.c_str());
      if (map) check(api.MapMemory(handle, result.memory, 0, VK_WHOLE_SIZE, 0, &result.mapped), what.c_str());
      return result;
    }
    check(failure, what.c_str());
  } catch (...) {
    destroyBuffer(result);
    throw;
  }
  return result;
}

void VulkanDevice::destroyBuffer(RawBuffer& buffer) {
  whenIdle([this, raw = buffer] {
    allocated_bytes_.fetch_sub(raw.size_bytes);
    if (raw.buffer) api.DestroyBuffer(handle, raw.buffer, nullptr);
    if (raw.memory) api.FreeMemory(handle, raw.memory, nullptr);
  });
  buffer = {};
}

}  // namespace nib::kit::detail
