// The interface that the CPU reference and a Vulkan device implement. The public classes of kit.h are handles to these.
#ifndef NIB_KIT_BACKEND_H
#define NIB_KIT_BACKEND_H

#include <nibble/kit.h>

#include "kit/line_log.h"

namespace nib::kit::detail {

class VulkanBackend;

class BufferState {
 public:
  virtual ~BufferState() = default;
  uint64_t size_bytes = 0;
  void* mapped = nullptr;  // coherent
  bool cached = false;     // reading through `mapped` is fast
};

class PlanState {
 public:
  virtual ~PlanState() = default;
  NibMemory memory{sizeof(NibMemory)};
  std::shared_ptr<Backend> backend;
};

// buffer NULL = the plan does not use the role.
struct BoundRange {
  std::shared_ptr<BufferState> buffer;
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = 0;
};

// Writes the offsets of moved parts into an array of NIB_PART_COUNT.
inline void setPartOffsets(std::span<const PartOffset> parts, uint64_t* offset_bytes) {
  for (const PartOffset& part : parts) offset_bytes[part.part] = part.offset_bytes;
}

class BindingState {
 public:
  virtual ~BindingState() = default;
  std::shared_ptr<PlanState> plan;
  BoundRange range[NIB_ROLE_COUNT];
  uint64_t part_offset_bytes[NIB_PART_COUNT] = {};
};

class TimerState {
 public:
  virtual ~TimerState() = default;
  virtual bool onDevice() const = 0;
  virtual void hostBegin(uint32_t slot) = 0;
  virtual void hostEnd(uint32_t slot) = 0;
  virtual double seconds(uint32_t slot) const = 0;
  uint32_t slot_count = 1;
};

class Backend : public std::enable_shared_from_this<Backend> {
 public:
  explicit Backend(Log log) : log_(std::move(log)) {}
  virtual ~Backend() = default;

  virtual std::shared_ptr<BufferState> createBuffer(uint64_t size_bytes, Memory memory) = 0;
  virtual void upload(const BufferState& to, uint64_t offset_bytes, const void* data, uint64_t size_bytes) = 0;
  virtual void download(const BufferState& from, uint64_t offset_bytes, void* data, uint64_t size_bytes) = 0;
  virtual void fill(const BufferState& buffer, uint64_t offset_bytes, uint64_t size_bytes, uint32_t word) = 0;
  virtual std::shared_ptr<PlanState> createPlan(const NibOpDesc* desc, size_t desc_size_bytes) = 0;
  // The caller checks ranges against the plan's sizes.
  virtual std::shared_ptr<BindingState> createBinding(std::shared_ptr<PlanState> plan,
                                                      const BoundRange (&ranges)[NIB_ROLE_COUNT],
                                                      std::span<const PartOffset> parts) = 0;
  virtual RunStats run(const BindingState& binding, const RunOptions& options) = 0;
  virtual std::vector<std::string> kernels(const PlanState& plan) const = 0;
  virtual std::shared_ptr<TimerState> createTimer(uint32_t slots) = 0;
  virtual bool verifyPlan(const PlanState& plan) = 0;
  virtual Bytes verdicts() const = 0;
  virtual uint32_t validationErrors() const { return 0; }
  virtual uint64_t allocatedBytes() const { return 0; }
  virtual std::vector<std::string> validationMessages() const { return {}; }
  virtual VulkanBackend* vulkan() { return nullptr; }

  DeviceInfo info;

 protected:
  LineLog log_;
};

struct Access {
  static const std::shared_ptr<Backend>& backend(const Device& device) { return device.backend_; }
  static Device device(std::shared_ptr<Backend> backend) { return Device(std::move(backend)); }
};

std::shared_ptr<Backend> makeCpuBackend(Log log, uint32_t index, uint32_t threads);

#if !defined(NIB_NO_VULKAN)
// Lists devices with an instance of its own; empty without Vulkan. open: also open each device to find its tier.
std::vector<DeviceInfo> listVulkanDevices(bool open);
// index: a position in listVulkanDevices.
std::shared_ptr<Backend> openVulkanBackend(const DeviceOptions& options, uint32_t index);
std::shared_ptr<Backend> adoptVulkanBackend(const AdoptDesc& desc);
#endif

}  // namespace nib::kit::detail
#endif
