// A timer with the timestamps of a VulkanDevice, or with host times if the device has none.
#ifndef NIB_KIT_VULKAN_TIMER_H
#define NIB_KIT_VULKAN_TIMER_H

#include "kit/vulkan_backend.h"

#include <chrono>

namespace nib::kit::detail {

class VulkanTimer final : public TimerState, public std::enable_shared_from_this<VulkanTimer> {
 public:
  VulkanTimer(std::shared_ptr<Backend> backend, std::shared_ptr<VulkanDevice> device, uint32_t slots);
  ~VulkanTimer() override;

  bool onDevice() const override { return pool_ != VK_NULL_HANDLE; }
  void hostBegin(uint32_t slot) override;
  void hostEnd(uint32_t slot) override;
  double seconds(uint32_t slot) const override;
  void begin(VkCommandBuffer commands, uint32_t slot);
  void end(VkCommandBuffer commands, uint32_t slot);

  // Lives while this thread records, submits and waits. Unless finish() is called, slots that began meanwhile count as
  // not recorded, because their timestamps may never be written. Without timestamps these slots share the submission's
  // time.
  class Submission {
   public:
    Submission();
    ~Submission();
    Submission(const Submission&) = delete;
    Submission& operator=(const Submission&) = delete;
    void finish(double seconds);
  };

 private:
  enum class Source { kNone, kHost, kDevice, kSubmission };
  std::shared_ptr<Backend> backend_;
  std::shared_ptr<VulkanDevice> device_;
  VkQueryPool pool_ = VK_NULL_HANDLE;
  std::vector<Source> source_;
  std::vector<double> seconds_;
  std::vector<std::chrono::steady_clock::time_point> host_begin_;
};

}  // namespace nib::kit::detail
#endif
