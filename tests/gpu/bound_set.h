// A descriptor set of nibble's layout, for shaders of tests that run on nibble's pipeline layout.
#ifndef NIB_TESTS_BOUND_SET_H
#define NIB_TESTS_BOUND_SET_H

#include <array>

#include "gpu/gpu_test.h"
#include "plan/context.h"

namespace nib::tests {

// The buffers of bindings 0 to 3 must outlive the set. A binding that the shader lacks may repeat a buffer.
class BoundSet {
 public:
  BoundSet(NibContext& context, const std::array<const kit::Buffer*, 4>& buffers) : context_(context) {
    REQUIRE(context.pools.allocate(&set_) == NIB_SUCCESS);
    VkDescriptorBufferInfo info[4];
    VkWriteDescriptorSet writes[4];
    for (uint32_t b = 0; b < 4; ++b) {
      info[b] = {buffers[b]->handle(), 0, VK_WHOLE_SIZE};
      writes[b] = VkWriteDescriptorSet{VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET};
      writes[b].dstSet = set_.set;
      writes[b].dstBinding = b;
      writes[b].descriptorCount = 1;
      writes[b].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC;
      writes[b].pBufferInfo = &info[b];
    }
    context.api.vkUpdateDescriptorSets(context.device, 4, writes, 0, nullptr);
  }
  BoundSet(const BoundSet&) = delete;
  BoundSet& operator=(const BoundSet&) = delete;
  ~BoundSet() { context_.pools.release(set_); }

  // Records a dispatch of the pipeline with the set and the push constants.
  template <class Push>
  void dispatch(VkCommandBuffer commands, VkPipeline pipeline, const Push& push, uint32_t workgroups) const {
    const uint32_t offsets[4] = {};
    context_.api.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    context_.api.vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, context_.pipeline_layout, 0, 1,
                                         &set_.set, 4, offsets);
    context_.api.vkCmdPushConstants(commands, context_.pipeline_layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof push,
                                    &push);
    context_.api.vkCmdDispatch(commands, workgroups, 1, 1);
  }

 private:
  NibContext& context_;
  PooledSet set_{};
};

}  // namespace nib::tests
#endif
