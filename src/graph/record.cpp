#include "graph/record.h"

namespace nib::graph {
#if !defined(NIB_NO_VULKAN)

Commands::Commands(const kit::Device& device) {
  if (device.isCpu()) return;
  const auto find_device_proc =
      reinterpret_cast<PFN_vkGetDeviceProcAddr>(device.getInstanceProcAddr()(device.instance(), "vkGetDeviceProcAddr"));
  pipeline_barrier_ =
      reinterpret_cast<PFN_vkCmdPipelineBarrier>(find_device_proc(device.handle(), "vkCmdPipelineBarrier"));
  copy_buffer_ = reinterpret_cast<PFN_vkCmdCopyBuffer>(find_device_proc(device.handle(), "vkCmdCopyBuffer"));
}

void Commands::barrier(VkCommandBuffer commands) const noexcept {
  const VkMemoryBarrier memory{VK_STRUCTURE_TYPE_MEMORY_BARRIER, nullptr, VK_ACCESS_SHADER_WRITE_BIT,
                               VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT};
  pipeline_barrier_(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &memory,
                    0, nullptr, 0, nullptr);
}

void Commands::beginStep(VkCommandBuffer commands) const noexcept {
  const VkMemoryBarrier memory{VK_STRUCTURE_TYPE_MEMORY_BARRIER, nullptr,
                               VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                               VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT};
  pipeline_barrier_(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                    VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &memory, 0, nullptr, 0, nullptr);
}

void Commands::copyInputs(VkCommandBuffer commands, VkBuffer from, VkDeviceSize from_offset, VkBuffer to,
                          VkDeviceSize to_offset, VkDeviceSize size) const noexcept {
  // The previous step has copied and read the inputs that are overwritten here.
  const VkMemoryBarrier before{VK_STRUCTURE_TYPE_MEMORY_BARRIER, nullptr, VK_ACCESS_TRANSFER_WRITE_BIT,
                               VK_ACCESS_TRANSFER_WRITE_BIT};
  pipeline_barrier_(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                    VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &before, 0, nullptr, 0, nullptr);
  const VkBufferCopy region{from_offset, to_offset, size};
  copy_buffer_(commands, from, to, 1, &region);
  const VkMemoryBarrier memory{VK_STRUCTURE_TYPE_MEMORY_BARRIER, nullptr, VK_ACCESS_TRANSFER_WRITE_BIT,
                               VK_ACCESS_SHADER_READ_BIT};
  pipeline_barrier_(commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &memory, 0,
                    nullptr, 0, nullptr);
}

void VulkanRecorder::run(const kit::Binding& binding, const kit::RunOptions& options) {
  binding.record(buffer_, options);
}

#endif
}  // namespace nib::graph
