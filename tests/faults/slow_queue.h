// A queue that runs nothing before a wait succeeds, like a very slow device: reading, reusing or freeing something
// before its submission was waited for then fails every time, not only when a race is lost.
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

  // Holds back a submission of one command buffer; any other submission is forwarded at once, after those that were
  // held back.
  VkResult submit(VkQueue queue, uint32_t count, const VkSubmitInfo* infos, VkFence fence);
  // Forwards the held submissions. Returns the first failure, which is then the driver's own.
  VkResult flush();
  // The device is lost: held submissions never run, and running ones have ended.
  void lose();
  // A wait of this thread failed: its submissions may still be running until the queue is flushed.
  void doubt();

  void allocated(VkCommandPool pool, uint32_t count, const VkCommandBuffer* buffers);
  // Each ends the process if the object belongs to a kept submission.
  void checkPool(VkCommandPool pool);
  void checkFence(VkFence fence);
  // Ends the process if this thread's submissions may still be running: they may use any memory and any descriptors.
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
