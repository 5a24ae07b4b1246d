// A queue that runs nothing before a wait succeeds, as a very slow device: what is read, reused or freed before its
// submission was waited for is then wrong every time, and not only when a race is lost.
#ifndef NIB_TESTS_FAULTS_SLOW_QUEUE_H
#define NIB_TESTS_FAULTS_SLOW_QUEUE_H

#include <vulkan/vulkan_core.h>

#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace nib::faults {

class SlowQueue {
 public:
  struct Functions {
    PFN_vkQueueSubmit submit = nullptr;
    PFN_vkQueueWaitIdle wait_idle = nullptr;
    PFN_vkGetFenceStatus fence_status = nullptr;
  };
  SlowQueue(VkDevice device, const Functions& next) : device_(device), next_(next) {}

  // Keeps a submission of one command buffer; another is handed on at once, after those that were kept.
  VkResult submit(VkQueue queue, uint32_t count, const VkSubmitInfo* infos, VkFence fence);
  // Hands the kept submissions on. The first failure, which then is the driver's own, is returned.
  VkResult flush();
  // The device is lost: what was kept never runs, and what runs has ended.
  void lose();
  // A wait of this thread failed: what it submitted is in doubt until the queue is flushed.
  void doubt();

  void allocated(VkCommandPool pool, uint32_t count, const VkCommandBuffer* buffers);
  // Each ends the process if the object belongs to a kept submission.
  void checkPool(VkCommandPool pool);
  void checkFence(VkFence fence);
  // Ends the process if this thread's submission is in doubt: it may use any memory and any descriptors.
  void checkMemory(const char* call);
  // Ends the process if anything was not waited for.
  void checkEnded();

 private:
  struct Kept {
    VkQueue queue;
    VkCommandBuffer commands;
    VkFence fence;
    std::thread::id thread;
    bool in_doubt;
  };
  VkResult flushLocked();

  VkDevice device_;
  Functions next_;
  std::mutex mutex_;
  std::vector<Kept> kept_;
  std::map<VkCommandBuffer, VkCommandPool> pools_;
  VkQueue last_ = VK_NULL_HANDLE;
};

}  // namespace nib::faults
#endif
