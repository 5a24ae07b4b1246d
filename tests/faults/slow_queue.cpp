#include "slow_queue.h"

#include <string>

#include "plan.h"

namespace nib::faults {

VkResult SlowQueue::submit(VkQueue queue, uint32_t count, const VkSubmitInfo* infos, VkFence fence) {
  const std::lock_guard lock(mutex_);
  last_ = queue;
  const bool plain = count == 1 && infos[0].pNext == nullptr && infos[0].waitSemaphoreCount == 0 &&
                     infos[0].commandBufferCount == 1 && infos[0].signalSemaphoreCount == 0;
  if (fence != VK_NULL_HANDLE) {
    for (const Kept& kept : kept_) {
      if (kept.fence == fence) violation("a fence was submitted again before its submission ended");
    }
    if (next_.fence_status(device_, fence) == VK_SUCCESS) violation("a signaled fence was submitted");
  }
  if (plain) {
    kept_.push_back({queue, infos[0].pCommandBuffers[0], fence, std::this_thread::get_id(), false});
    return VK_SUCCESS;
  }
  const VkResult flushed = flushLocked();
  return flushed != VK_SUCCESS ? flushed : next_.submit(queue, count, infos, fence);
}

VkResult SlowQueue::flush() {
  const std::lock_guard lock(mutex_);
  return flushLocked();
}

VkResult SlowQueue::flushLocked() {
  VkResult result = VK_SUCCESS;
  for (const Kept& kept : kept_) {
    VkSubmitInfo info{VK_STRUCTURE_TYPE_SUBMIT_INFO};
    info.commandBufferCount = 1;
    info.pCommandBuffers = &kept.commands;
    if (result == VK_SUCCESS) result = next_.submit(kept.queue, 1, &info, kept.fence);
  }
  kept_.clear();
  return result;
}

void SlowQueue::lose() {
  const std::lock_guard lock(mutex_);
  kept_.clear();
  if (last_ != VK_NULL_HANDLE) next_.wait_idle(last_);
}

void SlowQueue::doubt() {
  const std::lock_guard lock(mutex_);
  for (Kept& kept : kept_) kept.in_doubt = kept.in_doubt || kept.thread == std::this_thread::get_id();
}

void SlowQueue::allocated(VkCommandPool pool, uint32_t count, const VkCommandBuffer* buffers) {
  const std::lock_guard lock(mutex_);
  for (uint32_t i = 0; i < count; ++i) pools_[buffers[i]] = pool;
}

void SlowQueue::checkPool(VkCommandPool pool) {
  const std::lock_guard lock(mutex_);
  for (const Kept& kept : kept_) {
    if (pools_[kept.commands] == pool) violation("commands were reset or destroyed before their submission ended");
  }
}

void SlowQueue::checkFence(VkFence fence) {
  const std::lock_guard lock(mutex_);
  for (const Kept& kept : kept_) {
    if (kept.fence == fence) violation("a fence was reset or destroyed before its submission ended");
  }
}

void SlowQueue::checkMemory(const char* call) {
  const std::lock_guard lock(mutex_);
  for (const Kept& kept : kept_) {
    if (!kept.in_doubt || kept.thread != std::this_thread::get_id()) continue;
    std::string text = std::string(call) + " while a submission whose wait failed may still be running";
    violation(text.c_str());
  }
}

void SlowQueue::checkEnded() {
  const std::lock_guard lock(mutex_);
  if (!kept_.empty()) violation("the device was destroyed while a submission may still be running");
}

}  // namespace nib::faults
