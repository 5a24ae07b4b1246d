// Commands of a step besides the ops' own: barriers and the copy of inputs. Recorders that taps get.
#ifndef NIB_GRAPH_RECORD_H
#define NIB_GRAPH_RECORD_H

#include <nibble/graph.h>

namespace nib::graph {

#if !defined(NIB_NO_VULKAN)
class Commands {
 public:
  explicit Commands(const kit::Device& device);
  // Before a step: waits for earlier shaders and transfers.
  void beginStep(VkCommandBuffer commands) const noexcept;
  // Between compute dispatches.
  void barrier(VkCommandBuffer commands) const noexcept;
  // Copies, with barriers before and after.
  void copyInputs(VkCommandBuffer commands, VkBuffer from, VkDeviceSize from_offset, VkBuffer to,
                  VkDeviceSize to_offset, VkDeviceSize size) const noexcept;

 private:
  PFN_vkCmdPipelineBarrier pipeline_barrier_ = nullptr;
  PFN_vkCmdCopyBuffer copy_buffer_ = nullptr;
};

class VulkanRecorder final : public Recorder {
 public:
  VulkanRecorder(const Commands& commands, VkCommandBuffer buffer) : commands_(commands), buffer_(buffer) {}
  void run(const kit::Binding& binding, const kit::RunOptions& options) override;
  void barrier() override { commands_.barrier(buffer_); }

 private:
  const Commands& commands_;
  VkCommandBuffer buffer_;
};
#else
class Commands {
 public:
  explicit Commands(const kit::Device&) {}
};
#endif

class CpuRecorder final : public Recorder {
 public:
  explicit CpuRecorder(const kit::Device& device) : device_(device) {}
  void run(const kit::Binding& binding, const kit::RunOptions& options) override { device_.run(binding, options); }
  void barrier() override {}

 private:
  kit::Device device_;
};

}  // namespace nib::graph
#endif
