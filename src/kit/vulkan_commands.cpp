// Command buffers, submissions and waits. After one of these fails, no object of that submission is reused, and objects
// that it may still use are destroyed only when the device is idle or lost.
#include "kit/vulkan_device.h"

#include <chrono>

namespace nib::kit::detail {
namespace {

// Idle staging blocks kept for the next transfers; further ones are freed.
constexpr size_t kMaxIdleStaging = 8;

// False without memory for a longer list.
template <class T>
bool keep(std::vector<T>& list, const T& item) noexcept {
  try {
    list.push_back(item);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

}  // namespace

// ---------------------------------------------------------------------------------------------- failures
void VulkanDevice::require(VkResult result, const char* what) {
  if (result == VK_ERROR_DEVICE_LOST) lost_ = true;
  check(result, what);
}

void VulkanDevice::requireUsable(const char* what) {
  // Once a device is lost, waits may succeed and memory may hold anything.
  if (lost_) check(VK_ERROR_DEVICE_LOST, what);
  if (drain()) return;
  throw Error(std::string(what) + ": an earlier submission failed and may still be running on " + info.name +
              ": start the program again");
}

bool VulkanDevice::drain() {
  if (!maybe_running_) return true;
  const std::lock_guard lock(drain_mutex_);
  return drainLocked();
}

bool VulkanDevice::drainLocked() {
  if (!maybe_running_) return true;
  VkResult idle;
  {
    // Not vkDeviceWaitIdle, which needs every queue of the device; an adopted device's others are the application's.
    const std::lock_guard lock(*queue_mutex_);
    idle = api.QueueWaitIdle(queue);
  }
  if (idle == VK_ERROR_DEVICE_LOST) lost_ = true;
  if (idle != VK_SUCCESS && idle != VK_ERROR_DEVICE_LOST) return false;
  for (const std::function<void()>& destroy : deferred_) destroy();
  deferred_.clear();
  maybe_running_ = false;
  return true;
}

void VulkanDevice::markMaybeRunning() {
  const std::lock_guard lock(drain_mutex_);
  maybe_running_ = true;
  drainLocked();
}

// ---------------------------------------------------------------------------------------------- pools
Commands VulkanDevice::createCommands() {
  Commands commands;
  try {
    VkCommandPoolCreateInfo pool{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    pool.flags = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT;
    pool.queueFamilyIndex = queue_family;
    checkCreated(api.CreateCommandPool(handle, &pool, nullptr, &commands.pool), commands.pool,
                 "creating a command pool");
    VkCommandBufferAllocateInfo allocate{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
    allocate.commandPool = commands.pool;
    allocate.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    allocate.commandBufferCount = 1;
    check(api.AllocateCommandBuffers(handle, &allocate, &commands.buffer), "allocating a command buffer");
    const VkFenceCreateInfo fence{VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    checkCreated(api.CreateFence(handle, &fence, nullptr, &commands.fence), commands.fence, "creating a fence");
  } catch (...) {
    destroyCommands(commands);
    throw;
  }
  return commands;
}

void VulkanDevice::destroyCommands(const Commands& commands) {
  whenIdle([this, commands] {
    if (commands.fence) api.DestroyFence(handle, commands.fence, nullptr);
    if (commands.pool) api.DestroyCommandPool(handle, commands.pool, nullptr);
  });
}

Commands VulkanDevice::acquireCommands() {
  {
    const std::lock_guard lock(pool_mutex_);
    if (!free_commands_.empty()) {
      const Commands commands = free_commands_.back();
      free_commands_.pop_back();
      return commands;
    }
  }
  return createCommands();
}

void VulkanDevice::release(const Commands& commands) noexcept {
  if (commands.clean) {
    const std::lock_guard lock(pool_mutex_);
    if (keep(free_commands_, commands)) return;
  }
  destroyCommands(commands);
}

StagingBlock VulkanDevice::acquireStaging() {
  {
    const std::lock_guard lock(pool_mutex_);
    if (!free_staging_.empty()) {
      const StagingBlock block = free_staging_.back();
      free_staging_.pop_back();
      return block;
    }
  }
  StagingBlock block;
  block.commands = createCommands();
  try {
    block.buffer = createBuffer(kStagingBytes, Memory::kHost);
  } catch (...) {
    destroyCommands(block.commands);
    throw;
  }
  return block;
}

void VulkanDevice::release(StagingBlock& block) noexcept {
  if (block.commands.clean) {
    const std::lock_guard lock(pool_mutex_);
    if (free_staging_.size() < kMaxIdleStaging && keep(free_staging_, block)) return;
  }
  destroyBuffer(block.buffer);
  destroyCommands(block.commands);
}

// ---------------------------------------------------------------------------------------------- submissions
void VulkanDevice::begin(Commands& commands) {
  requireUsable("submitting");
  commands.clean = false;
  require(api.ResetCommandPool(handle, commands.pool, 0), "resetting a command pool");
  VkCommandBufferBeginInfo info_begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  info_begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  require(api.BeginCommandBuffer(commands.buffer, &info_begin), "beginning a command buffer");
  // Makes the writes of earlier submissions visible: submission order alone does not.
  VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
  barrier.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
  barrier.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_READ_BIT |
                          VK_ACCESS_TRANSFER_WRITE_BIT;
  constexpr VkPipelineStageFlags kStages = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
  api.CmdPipelineBarrier(commands.buffer, kStages, kStages, 0, 1, &barrier, 0, nullptr, 0, nullptr);
}

void VulkanDevice::end(Commands& commands) {
  VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
  barrier.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
  barrier.dstAccessMask = VK_ACCESS_HOST_READ_BIT;
  api.CmdPipelineBarrier(commands.buffer, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                         VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, nullptr, 0, nullptr);
  require(api.EndCommandBuffer(commands.buffer), "ending a command buffer");
  VkSubmitInfo submit_info{VK_STRUCTURE_TYPE_SUBMIT_INFO};
  submit_info.commandBufferCount = 1;
  submit_info.pCommandBuffers = &commands.buffer;
  VkResult submitted;
  {
    const std::lock_guard lock(*queue_mutex_);
    submitted = api.QueueSubmit(queue, 1, &submit_info, commands.fence);
  }
  // The fence of a failed submission may never be signaled: it is not waited for.
  if (submitted != VK_SUCCESS) markMaybeRunning();
  require(submitted, "submitting");
  commands.pending = true;
}

void VulkanDevice::wait(Commands& commands) {
  if (!commands.pending) return;
  commands.pending = false;
  const VkResult waited = api.WaitForFences(handle, 1, &commands.fence, VK_TRUE, UINT64_MAX);
  if (waited != VK_SUCCESS) markMaybeRunning();
  require(waited, "waiting for the device");
  require(api.ResetFences(handle, 1, &commands.fence), "resetting a fence");
  // Another thread may have seen the device lost, and this wait may have ended because of that.
  if (lost_) check(VK_ERROR_DEVICE_LOST, "waiting for the device");
  commands.clean = true;
}

double VulkanDevice::submit(const std::function<void(VkCommandBuffer)>& record) {
  struct Acquired {
    VulkanDevice& device;
    Commands commands;
    ~Acquired() { device.release(commands); }
  } acquired{*this, acquireCommands()};
  Commands& commands = acquired.commands;
  begin(commands);
  record(commands.buffer);
  const auto start = std::chrono::steady_clock::now();
  end(commands);
  wait(commands);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace nib::kit::detail
