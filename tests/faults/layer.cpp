// A Vulkan layer between the loader and the driver: counts the calls of calls.inc, makes them fail as
// NIBBLE_FAULTS_FAIL says (see plan.h), and runs submissions only when they are waited for (see slow_queue.h).
#include <vulkan/vk_layer.h>
#include <vulkan/vulkan_core.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <type_traits>

#include "plan.h"
#include "slow_queue.h"

namespace nib::faults {
namespace {

// The next functions of one instance or device.
struct Table {
  PFN_vkGetInstanceProcAddr get_instance = nullptr;
  PFN_vkGetDeviceProcAddr get_device = nullptr;
  VkInstance instance = VK_NULL_HANDLE;
  VkDevice device = VK_NULL_HANDLE;
  std::unique_ptr<SlowQueue> queue;
  // The next layer's functions that this one replaces. Found when the instance or device is made: later, the loader may
  // answer with this layer's own.
  std::map<std::string, PFN_vkVoidFunction> replaced;

  PFN_vkVoidFunction find(const char* name) const {
    if (const auto found = replaced.find(name); found != replaced.end()) return found->second;
    return device != VK_NULL_HANDLE ? get_device(device, name) : get_instance(instance, name);
  }
};

struct Row {
  const char* name;
  PFN_vkVoidFunction function;
};
std::span<const Row> instanceRows();
std::span<const Row> deviceRows();

void findReplaced(std::span<const Row> rows, Table& table) {
  for (const Row& row : rows) table.replaced[row.name] = table.find(row.name);
}

std::mutex tables_mutex;
std::map<void*, std::shared_ptr<Table>>& tables() {
  static std::map<void*, std::shared_ptr<Table>> map;
  return map;
}

// Handles of one instance, or of one device, begin with the same pointer.
void* keyOf(const void* handle) { return *static_cast<void* const*>(handle); }

std::shared_ptr<Table> tableOf(const void* handle) {
  const std::lock_guard lock(tables_mutex);
  const auto found = tables().find(keyOf(handle));
  if (found == tables().end()) violation("a call with an unknown handle");
  return found->second;
}

void addTable(const void* handle, std::shared_ptr<Table> table) {
  const std::lock_guard lock(tables_mutex);
  tables()[keyOf(handle)] = std::move(table);
}

std::shared_ptr<Table> takeTable(const void* handle) {
  const std::lock_guard lock(tables_mutex);
  auto node = tables().extract(keyOf(handle));
  if (node.empty()) violation("a call with an unknown handle");
  return node.mapped();
}

#define NIB_NEXT(table, name) reinterpret_cast<PFN_##name>((table).find(#name))

// A driver may leave anything in a handle that it failed to create.
template <class T>
void leaveGarbage(T argument) {
  if constexpr (std::is_pointer_v<T>) {
    using Output = std::remove_pointer_t<T>;
    if constexpr (std::is_pointer_v<Output> && !std::is_const_v<Output>) {
      if (argument != nullptr) *argument = reinterpret_cast<Output>(uintptr_t{0xdeadbee8});
    }
  }
}
// Not for these: the specification says that they write nothing, or the loader handles the output.
constexpr bool leavesGarbage(Call call) {
  return call != k_vkAllocateCommandBuffers && call != k_vkAllocateDescriptorSets &&
         call != k_vkCreateComputePipelines && call != k_vkCreateDevice && call != k_vkEnumeratePhysicalDevices;
}

Fault useOn(Call call, Table& table) {
  const Fault fault = use(call);
  if (fault.loses_device && table.queue) table.queue->lose();
  return fault;
}

// ------------------------------------------------------------------------------------- calls that only fail
template <Call kCall, class F>
struct Failing;
template <Call kCall, class First, class... Rest>
struct Failing<kCall, VkResult(VKAPI_PTR*)(First, Rest...)> {
  static VKAPI_ATTR VkResult VKAPI_CALL call(First first, Rest... rest) {
    const std::shared_ptr<Table> table = tableOf(first);
    const Fault fault = useOn(kCall, *table);
    if (fault.result == VK_SUCCESS) {
      return reinterpret_cast<VkResult(VKAPI_PTR*)(First, Rest...)>(table->find(nameOf(kCall)))(first, rest...);
    }
    if constexpr (leavesGarbage(kCall)) (leaveGarbage(rest), ...);
    return fault.result;
  }
};

// ------------------------------------------------------------------------------------- instance and device
// The link that the loader put into the chain for this layer.
template <class Info>
Info* linkOf(const void* next, VkStructureType type) {
  for (const auto* item = static_cast<const VkBaseInStructure*>(next); item != nullptr; item = item->pNext) {
    if (item->sType != type) continue;
    auto* info = reinterpret_cast<Info*>(const_cast<VkBaseInStructure*>(item));
    if (info->function == VK_LAYER_LINK_INFO) return info;
  }
  return nullptr;
}

VKAPI_ATTR VkResult VKAPI_CALL createInstance(const VkInstanceCreateInfo* info, const VkAllocationCallbacks* callbacks,
                                              VkInstance* instance) {
  if (const Fault fault = use(k_vkCreateInstance); fault.result != VK_SUCCESS) return fault.result;
  auto* link = linkOf<VkLayerInstanceCreateInfo>(info->pNext, VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO);
  if (link == nullptr) return VK_ERROR_INITIALIZATION_FAILED;
  auto table = std::make_shared<Table>();
  table->get_instance = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  const auto create = reinterpret_cast<PFN_vkCreateInstance>(table->get_instance(VK_NULL_HANDLE, "vkCreateInstance"));
  const VkResult result = create(info, callbacks, instance);
  if (result != VK_SUCCESS) return result;
  table->instance = *instance;
  findReplaced(instanceRows(), *table);
  addTable(*instance, table);
  return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL destroyInstance(VkInstance instance, const VkAllocationCallbacks* callbacks) {
  if (instance == VK_NULL_HANDLE) return;
  const std::shared_ptr<Table> table = takeTable(instance);
  NIB_NEXT(*table, vkDestroyInstance)(instance, callbacks);
}

VKAPI_ATTR VkResult VKAPI_CALL createDevice(VkPhysicalDevice physical_device, const VkDeviceCreateInfo* info,
                                            const VkAllocationCallbacks* callbacks, VkDevice* device) {
  if (const Fault fault = use(k_vkCreateDevice); fault.result != VK_SUCCESS) return fault.result;
  auto* link = linkOf<VkLayerDeviceCreateInfo>(info->pNext, VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO);
  if (link == nullptr) return VK_ERROR_INITIALIZATION_FAILED;
  auto table = std::make_shared<Table>();
  table->get_instance = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  table->get_device = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  const auto create =
      reinterpret_cast<PFN_vkCreateDevice>(table->get_instance(tableOf(physical_device)->instance, "vkCreateDevice"));
  const VkResult result = create(physical_device, info, callbacks, device);
  if (result != VK_SUCCESS) return result;
  table->device = *device;
  findReplaced(deviceRows(), *table);
  table->queue = std::make_unique<SlowQueue>(
      *device, SlowQueue::Functions{NIB_NEXT(*table, vkQueueSubmit), NIB_NEXT(*table, vkQueueWaitIdle),
                                    NIB_NEXT(*table, vkGetFenceStatus)});
  addTable(*device, table);
  return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL destroyDevice(VkDevice device, const VkAllocationCallbacks* callbacks) {
  if (device == VK_NULL_HANDLE) return;
  const std::shared_ptr<Table> table = takeTable(device);
  table->queue->checkEnded();
  NIB_NEXT(*table, vkDestroyDevice)(device, callbacks);
}

// ------------------------------------------------------------------------------------- the device as a card
// With NIBBLE_FAULTS_DISCRETE the device says that it is a card, whose memory the kit does not map.
VkPhysicalDeviceType typeOf(VkPhysicalDeviceType type) {
  return std::getenv("NIBBLE_FAULTS_DISCRETE") != nullptr ? VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU : type;
}

VKAPI_ATTR void VKAPI_CALL getPhysicalDeviceProperties(VkPhysicalDevice physical_device,
                                                       VkPhysicalDeviceProperties* properties) {
  NIB_NEXT(*tableOf(physical_device), vkGetPhysicalDeviceProperties)(physical_device, properties);
  properties->deviceType = typeOf(properties->deviceType);
}

VKAPI_ATTR void VKAPI_CALL getPhysicalDeviceProperties2(VkPhysicalDevice physical_device,
                                                        VkPhysicalDeviceProperties2* properties) {
  NIB_NEXT(*tableOf(physical_device), vkGetPhysicalDeviceProperties2)(physical_device, properties);
  properties->properties.deviceType = typeOf(properties->properties.deviceType);
}

// ------------------------------------------------------------------------------------- the queue
VKAPI_ATTR VkResult VKAPI_CALL queueSubmit(VkQueue queue, uint32_t count, const VkSubmitInfo* infos, VkFence fence) {
  const std::shared_ptr<Table> table = tableOf(queue);
  const Fault fault = useOn(k_vkQueueSubmit, *table);
  if (fault.result == VK_SUCCESS) return table->queue->submit(queue, count, infos, fence);
  // A submission that lost the device may have begun; one that lacked memory has not.
  if (fault.result == VK_ERROR_DEVICE_LOST && !isLost()) {
    table->queue->submit(queue, count, infos, fence);
    table->queue->doubt();
  }
  return fault.result;
}

VKAPI_ATTR VkResult VKAPI_CALL queueWaitIdle(VkQueue queue) {
  const std::shared_ptr<Table> table = tableOf(queue);
  if (const Fault fault = useOn(k_vkQueueWaitIdle, *table); fault.result != VK_SUCCESS) {
    // Objects of a device that is known to be lost may be destroyed.
    if (fault.result == VK_ERROR_DEVICE_LOST) table->queue->lose();
    return fault.result;
  }
  if (const VkResult flushed = table->queue->flush(); flushed != VK_SUCCESS) return flushed;
  return NIB_NEXT(*table, vkQueueWaitIdle)(queue);
}

VKAPI_ATTR VkResult VKAPI_CALL waitForFences(VkDevice device, uint32_t count, const VkFence* fences, VkBool32 all,
                                             uint64_t timeout) {
  const std::shared_ptr<Table> table = tableOf(device);
  const Fault fault = useOn(k_vkWaitForFences, *table);
  if (fault.result != VK_SUCCESS) {
    table->queue->doubt();
    return fault.result;
  }
  if (const VkResult flushed = table->queue->flush(); flushed != VK_SUCCESS) return flushed;
  return NIB_NEXT(*table, vkWaitForFences)(device, count, fences, all, timeout);
}

VKAPI_ATTR VkResult VKAPI_CALL resetFences(VkDevice device, uint32_t count, const VkFence* fences) {
  const std::shared_ptr<Table> table = tableOf(device);
  for (uint32_t i = 0; i < count; ++i) table->queue->checkFence(fences[i]);
  return Failing<k_vkResetFences, PFN_vkResetFences>::call(device, count, fences);
}

VKAPI_ATTR void VKAPI_CALL destroyFence(VkDevice device, VkFence fence, const VkAllocationCallbacks* callbacks) {
  const std::shared_ptr<Table> table = tableOf(device);
  table->queue->checkFence(fence);
  NIB_NEXT(*table, vkDestroyFence)(device, fence, callbacks);
}

VKAPI_ATTR VkResult VKAPI_CALL allocateCommandBuffers(VkDevice device, const VkCommandBufferAllocateInfo* info,
                                                      VkCommandBuffer* buffers) {
  const VkResult result =
      Failing<k_vkAllocateCommandBuffers, PFN_vkAllocateCommandBuffers>::call(device, info, buffers);
  if (result == VK_SUCCESS) tableOf(device)->queue->allocated(info->commandPool, info->commandBufferCount, buffers);
  return result;
}

VKAPI_ATTR VkResult VKAPI_CALL resetCommandPool(VkDevice device, VkCommandPool pool, VkCommandPoolResetFlags flags) {
  tableOf(device)->queue->checkPool(pool);
  return Failing<k_vkResetCommandPool, PFN_vkResetCommandPool>::call(device, pool, flags);
}

VKAPI_ATTR void VKAPI_CALL destroyCommandPool(VkDevice device, VkCommandPool pool,
                                              const VkAllocationCallbacks* callbacks) {
  const std::shared_ptr<Table> table = tableOf(device);
  table->queue->checkPool(pool);
  NIB_NEXT(*table, vkDestroyCommandPool)(device, pool, callbacks);
}

// ------------------------------------------------------------------------------------- what submissions use
template <class F>
struct Ending;
template <class Result, class... Rest>
struct Ending<Result(VKAPI_PTR*)(VkDevice, Rest...)> {
  template <const char* kName>
  static VKAPI_ATTR Result VKAPI_CALL call(VkDevice device, Rest... rest) {
    const std::shared_ptr<Table> table = tableOf(device);
    table->queue->checkMemory(kName);
    return reinterpret_cast<Result(VKAPI_PTR*)(VkDevice, Rest...)>(table->find(kName))(device, rest...);
  }
};

#define NIB_ENDING_CALLS(X)  \
  X(vkFreeMemory)            \
  X(vkDestroyBuffer)         \
  X(vkDestroyPipeline)       \
  X(vkDestroyDescriptorPool) \
  X(vkFreeDescriptorSets)    \
  X(vkDestroyQueryPool)
#define NIB_ENDING_NAME(name) constexpr char kEnding_##name[] = #name;
NIB_ENDING_CALLS(NIB_ENDING_NAME)

// ------------------------------------------------------------------------------------- before an instance exists
VKAPI_ATTR VkResult VKAPI_CALL enumerateInstanceVersion(const VkEnumerateInstanceVersionChain* chain,
                                                        uint32_t* version) {
  const Fault fault = use(k_vkEnumerateInstanceVersion);
  return fault.result != VK_SUCCESS ? fault.result : chain->CallDown(version);
}

VKAPI_ATTR VkResult VKAPI_CALL
enumerateInstanceExtensionProperties(const VkEnumerateInstanceExtensionPropertiesChain* chain, const char* layer,
                                     uint32_t* count, VkExtensionProperties* properties) {
  const Fault fault = use(k_vkEnumerateInstanceExtensionProperties);
  return fault.result != VK_SUCCESS ? fault.result : chain->CallDown(layer, count, properties);
}

// ------------------------------------------------------------------------------------- lookup
VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL getInstanceProcAddr(VkInstance instance, const char* name);
VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL getDeviceProcAddr(VkDevice device, const char* name);

#define NIB_OWN(name, function) \
  { #name, reinterpret_cast < PFN_vkVoidFunction>(&(function)) }
#define NIB_FAILING(name) NIB_OWN(name, (Failing<k_##name, PFN_##name>::call))
#define NIB_ENDING(name) \
  {#name, reinterpret_cast<PFN_vkVoidFunction>(&Ending<PFN_##name>::template call<kEnding_##name>)},

const Row kInstanceRows[] = {
    NIB_OWN(vkGetInstanceProcAddr, getInstanceProcAddr),
    NIB_OWN(vkGetDeviceProcAddr, getDeviceProcAddr),
    NIB_OWN(vkCreateInstance, createInstance),
    NIB_OWN(vkDestroyInstance, destroyInstance),
    NIB_OWN(vkCreateDevice, createDevice),
    NIB_OWN(vkGetPhysicalDeviceProperties, getPhysicalDeviceProperties),
    NIB_OWN(vkGetPhysicalDeviceProperties2, getPhysicalDeviceProperties2),
    NIB_FAILING(vkEnumeratePhysicalDevices),
    NIB_FAILING(vkEnumerateDeviceExtensionProperties),
};

const Row kDeviceRows[] = {NIB_OWN(vkGetDeviceProcAddr, getDeviceProcAddr),
                           NIB_OWN(vkDestroyDevice, destroyDevice),
                           NIB_OWN(vkQueueSubmit, queueSubmit),
                           NIB_OWN(vkQueueWaitIdle, queueWaitIdle),
                           NIB_OWN(vkWaitForFences, waitForFences),
                           NIB_OWN(vkResetFences, resetFences),
                           NIB_OWN(vkDestroyFence, destroyFence),
                           NIB_OWN(vkAllocateCommandBuffers, allocateCommandBuffers),
                           NIB_OWN(vkResetCommandPool, resetCommandPool),
                           NIB_OWN(vkDestroyCommandPool, destroyCommandPool),
                           NIB_FAILING(vkCreateFence),
                           NIB_FAILING(vkCreateCommandPool),
                           NIB_FAILING(vkBeginCommandBuffer),
                           NIB_FAILING(vkEndCommandBuffer),
                           NIB_FAILING(vkCreateBuffer),
                           NIB_FAILING(vkAllocateMemory),
                           NIB_FAILING(vkBindBufferMemory),
                           NIB_FAILING(vkMapMemory),
                           NIB_FAILING(vkCreateQueryPool),
                           NIB_FAILING(vkGetQueryPoolResults),
                           NIB_FAILING(vkCreateShaderModule),
                           NIB_FAILING(vkCreateComputePipelines),
                           NIB_FAILING(vkCreatePipelineLayout),
                           NIB_FAILING(vkCreateDescriptorSetLayout),
                           NIB_FAILING(vkCreateDescriptorPool),
                           NIB_FAILING(vkAllocateDescriptorSets),
                           NIB_ENDING_CALLS(NIB_ENDING)};

std::span<const Row> instanceRows() { return kInstanceRows; }
std::span<const Row> deviceRows() { return kDeviceRows; }

PFN_vkVoidFunction ownOf(std::span<const Row> rows, const char* name) {
  const auto row =
      std::find_if(rows.begin(), rows.end(), [&](const Row& one) { return std::strcmp(one.name, name) == 0; });
  return row != rows.end() ? row->function : nullptr;
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL getInstanceProcAddr(VkInstance instance, const char* name) {
  if (const PFN_vkVoidFunction own = ownOf(kInstanceRows, name)) return own;
  if (instance == VK_NULL_HANDLE) return nullptr;
  const PFN_vkVoidFunction next = tableOf(instance)->find(name);
  // A function that the driver lacks stays missing.
  const PFN_vkVoidFunction own = next != nullptr ? ownOf(kDeviceRows, name) : nullptr;
  return own != nullptr ? own : next;
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL getDeviceProcAddr(VkDevice device, const char* name) {
  const PFN_vkVoidFunction next = tableOf(device)->find(name);
  const PFN_vkVoidFunction own = next != nullptr ? ownOf(kDeviceRows, name) : nullptr;
  return own != nullptr ? own : next;
}

}  // namespace
}  // namespace nib::faults

extern "C" {

VK_LAYER_EXPORT VKAPI_ATTR VkResult VKAPI_CALL
vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface* version) {
  version->loaderLayerInterfaceVersion = CURRENT_LOADER_LAYER_INTERFACE_VERSION;
  version->pfnGetInstanceProcAddr = &nib::faults::getInstanceProcAddr;
  version->pfnGetDeviceProcAddr = &nib::faults::getDeviceProcAddr;
  version->pfnGetPhysicalDeviceProcAddr = nullptr;
  return VK_SUCCESS;
}

// Named by "pre_instance_functions" of the manifest.
VK_LAYER_EXPORT VKAPI_ATTR VkResult VKAPI_CALL
nibFaultsEnumerateInstanceVersion(const VkEnumerateInstanceVersionChain* chain, uint32_t* version) {
  return nib::faults::enumerateInstanceVersion(chain, version);
}

VK_LAYER_EXPORT VKAPI_ATTR VkResult VKAPI_CALL
nibFaultsEnumerateInstanceExtensionProperties(const VkEnumerateInstanceExtensionPropertiesChain* chain,
                                              const char* layer, uint32_t* count, VkExtensionProperties* properties) {
  return nib::faults::enumerateInstanceExtensionProperties(chain, layer, count, properties);
}

}  // extern "C"
