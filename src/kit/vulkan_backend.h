// A nibble context on a VulkanDevice. Several contexts may share one device (Device::restricted).
#ifndef NIB_KIT_VULKAN_BACKEND_H
#define NIB_KIT_VULKAN_BACKEND_H

#include "kit/backend.h"
#include "kit/vulkan_device.h"

#include <atomic>

namespace nib::kit::detail {

class VulkanBuffer final : public BufferState {
 public:
  explicit VulkanBuffer(std::shared_ptr<VulkanDevice> owner) : device(std::move(owner)) {}
  ~VulkanBuffer() override {
    if (!adopted) device->destroyBuffer(raw);
  }
  std::shared_ptr<VulkanDevice> device;
  RawBuffer raw;
  bool adopted = false;  // the application's
};

class VulkanPlan final : public PlanState {
 public:
  explicit VulkanPlan(std::shared_ptr<VulkanDevice> owner) : device(std::move(owner)) {}
  // A binding whose destruction is put off needs its plan until then.
  ~VulkanPlan() override {
    device->whenIdle([plan = handle] { nibDestroyPlan(plan); });
  }
  std::shared_ptr<VulkanDevice> device;
  NibPlan* handle = nullptr;
  // The estimate that sizes submissions. 0 = the plan has not run yet. Threads may race on it; any of their values is
  // good enough.
  mutable std::atomic<double> seconds_per_slice{0};
};

class VulkanBinding final : public BindingState {
 public:
  explicit VulkanBinding(std::shared_ptr<VulkanDevice> owner) : device(std::move(owner)) {}
  ~VulkanBinding() override {
    device->whenIdle([binding = handle] { nibDestroyBinding(binding); });
  }
  std::shared_ptr<VulkanDevice> device;
  NibBinding* handle = nullptr;
};

class VulkanBackend final : public Backend {
 public:
  VulkanBackend(std::shared_ptr<VulkanDevice> owner, Log log, const Bytes& verdicts, const NibRestrict* restriction,
                const std::vector<NibTuning>& tuning);
  ~VulkanBackend() override {
    device->whenIdle([doomed = context] { nibDestroyContext(doomed); });
  }

  std::shared_ptr<BufferState> createBuffer(uint64_t size_bytes, Memory memory) override;
  std::shared_ptr<BufferState> adoptBuffer(VkBuffer buffer, uint64_t size_bytes, void* mapped) const;
  void upload(const BufferState& to, uint64_t offset_bytes, const void* data, uint64_t size_bytes) override;
  void download(const BufferState& from, uint64_t offset_bytes, void* data, uint64_t size_bytes) override;
  void fill(const BufferState& buffer, uint64_t offset_bytes, uint64_t size_bytes, uint32_t word) override;
  std::shared_ptr<PlanState> createPlan(const NibOpDesc* desc, size_t desc_size_bytes) override;
  std::shared_ptr<BindingState> createBinding(std::shared_ptr<PlanState> plan,
                                              const BoundRange (&ranges)[NIB_ROLE_COUNT],
                                              std::span<const PartOffset> parts) override;
  RunStats run(const BindingState& binding, const RunOptions& options) override;
  std::vector<std::string> kernels(const PlanState& plan) const override;
  std::shared_ptr<TimerState> createTimer(uint32_t slots) override;
  bool verifyPlan(const PlanState& plan) override;
  Bytes verdicts() const override;
  uint32_t validationErrors() const override;
  uint64_t allocatedBytes() const override { return device->allocatedBytes(); }
  std::vector<std::string> validationMessages() const override;
  VulkanBackend* vulkan() override { return this; }

  double submit(const std::function<void(VkCommandBuffer)>& record);

  std::shared_ptr<VulkanDevice> device;
  NibContext* context = nullptr;
  Log user_log;
};

// The number of slices for the next submission: about 20 ms at the given rate. While the rate is unknown (0) it repeats
// last_count, or starts with 1. unbounded: all that remain. A pure function.
uint32_t nextSliceCount(uint32_t remaining, uint32_t last_count, double seconds_per_slice, bool unbounded);

}  // namespace nib::kit::detail
#endif
