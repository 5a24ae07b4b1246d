// A VkDevice with one compute queue, created by the kit or adopted, with its memory and with pools of command buffers,
// fences and staging blocks. Thread-safe.
#ifndef NIB_KIT_VULKAN_DEVICE_H
#define NIB_KIT_VULKAN_DEVICE_H

#include "kit/vulkan_instance.h"

#include <atomic>
#include <functional>
#include <mutex>

namespace nib::kit::detail {

class VulkanDevice;

// A command buffer with its own pool and fence; it holds one recording at a time.
struct Commands {
  VkCommandPool pool = VK_NULL_HANDLE;
  VkCommandBuffer buffer = VK_NULL_HANDLE;
  VkFence fence = VK_NULL_HANDLE;
  bool pending = false;  // submitted and not yet waited for
  // False from begin() until a wait() has succeeded. After a failure it stays false, and release() destroys the
  // commands instead of keeping them for another user.
  bool clean = true;
};

struct RawBuffer {
  VkBuffer buffer = VK_NULL_HANDLE;
  VkDeviceMemory memory = VK_NULL_HANDLE;
  uint64_t size_bytes = 0;
  void* mapped = nullptr;
  bool cached = false;
};

struct StagingBlock {
  RawBuffer buffer;
  Commands commands;
};

class VulkanDevice {
 public:
  // features: NIB_FEATURE_* to enable; those that the device lacks are ignored.
  static std::shared_ptr<VulkanDevice> create(const std::shared_ptr<Instance>& instance,
                                              VkPhysicalDevice physical_device, uint32_t features);
  static std::shared_ptr<VulkanDevice> adopt(const AdoptDesc& desc);
  ~VulkanDevice();
  VulkanDevice(const VulkanDevice&) = delete;
  VulkanDevice& operator=(const VulkanDevice&) = delete;

  // whenIdle() destroys buffers that a failed submission may still use.
  RawBuffer createBuffer(uint64_t size_bytes, Memory wanted);
  void destroyBuffer(RawBuffer& buffer);

  // Records, submits and waits. Returns the seconds from submission to the fence. If it throws, the device has ended
  // the work or was lost, or whenIdle() keeps the objects that the work may use.
  double submit(const std::function<void(VkCommandBuffer)>& record);

  // For transfers that keep several submissions in flight. wait() returns at once if the commands are not pending.
  void begin(Commands& commands);
  void end(Commands& commands);  // also submits
  void wait(Commands& commands);
  StagingBlock acquireStaging();
  void release(StagingBlock& block) noexcept;
  void release(const Commands& commands) noexcept;

  // Throws unless result is VK_SUCCESS. A device that was lost once stays lost.
  void require(VkResult result, const char* what);
  // Throws if the device is lost, or if a failed submission may still be running.
  void requireUsable(const char* what);
  // Returns true if no failed submission may still be running. Waits for the queue if one may; false if that wait
  // fails.
  bool drain();
  // Calls `destroy` now, or, while a failed submission may still be running, later and in order: when drain() succeeds,
  // or never. `destroy` may not throw.
  template <class Destroy>
  void whenIdle(Destroy destroy) noexcept {
    if (maybe_running_) {
      const std::lock_guard lock(drain_mutex_);
      if (!drainLocked()) {
        try {
          deferred_.emplace_back(std::move(destroy));
        } catch (const std::bad_alloc&) {  // leaked
        }
        return;
      }
    }
    destroy();
  }

  static constexpr uint64_t kStagingBytes = 8u << 20;
  static constexpr uint32_t kStagingDepth = 3;  // one copied by the host, one by the device, one spare

  std::shared_ptr<Instance> instance_owner;  // NULL = adopted
  PFN_vkGetInstanceProcAddr get = nullptr;
  VkInstance instance = VK_NULL_HANDLE;
  VkPhysicalDevice physical_device = VK_NULL_HANDLE;
  VkDevice handle = VK_NULL_HANDLE;
  VkQueue queue = VK_NULL_HANDLE;
  uint32_t queue_family = 0;
  uint32_t api_version = 0;
  uint32_t features = 0;  // declared to nibCreateContext
  VkPipelineCache pipeline_cache = VK_NULL_HANDLE;
  InstanceApi instance_api;
  DeviceApi api;
  DeviceInfo info;
  uint64_t memory_limit_bytes = 0;  // of all buffers together; 0 = none
  double timestamp_period_seconds = 0;
  uint64_t timestamp_mask = 0;  // 0 = no timestamps

  uint64_t allocatedBytes() const { return allocated_bytes_; }

 private:
  VulkanDevice() = default;
  void finishSetup();
  void countMemory(uint64_t bytes, const std::string& what);
  Commands acquireCommands();
  Commands createCommands();
  void destroyCommands(const Commands& commands);
  // A submission failed and may still be running.
  void markMaybeRunning();
  bool drainLocked();  // with drain_mutex_

  VkPhysicalDeviceMemoryProperties memory_{};
  VkDeviceSize max_allocation_bytes_ = 0;
  std::atomic<uint64_t> allocated_bytes_{0};
  bool unified_ = false;
  std::mutex own_queue_mutex_;
  std::mutex* queue_mutex_ = &own_queue_mutex_;
  std::mutex pool_mutex_;
  std::vector<Commands> free_commands_;
  std::vector<StagingBlock> free_staging_;
  std::atomic<bool> lost_{false};
  std::atomic<bool> maybe_running_{false};
  std::mutex drain_mutex_;  // locked before the queue's
  std::vector<std::function<void()>> deferred_;
};

}  // namespace nib::kit::detail
#endif
