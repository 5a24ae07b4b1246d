#include "bench/record.h"

#if !defined(NIB_NO_VULKAN)
#include "plan/context.h"

namespace nib::bench {

Batch submitBatch(const kit::Device& device, kit::Timer& timer, uint32_t repetitions,
                  const std::function<void(VkCommandBuffer)>& record) {
  const vk::Api& api = device.context()->api;
  VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
  barrier.srcAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_READ_BIT |
                          VK_ACCESS_TRANSFER_WRITE_BIT;
  barrier.dstAccessMask = barrier.srcAccessMask;
  constexpr VkPipelineStageFlags kStages = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
  Batch batch;
  batch.wall_seconds = device.submit([&](VkCommandBuffer commands) {
    for (uint32_t i = 0; i < repetitions; ++i) {
      if (i > 0) {
        api.vkCmdPipelineBarrier(commands, kStages, kStages, 0, 1, &barrier, 0, nullptr, 0, nullptr);
      }
      timer.begin(commands, i);
      record(commands);
      timer.end(commands, i);
    }
  });
  if (timer.onDevice()) {
    for (uint32_t i = 0; i < repetitions; ++i) batch.device_seconds.push_back(timer.seconds(i));
  }
  return batch;
}

}  // namespace nib::bench
#endif
