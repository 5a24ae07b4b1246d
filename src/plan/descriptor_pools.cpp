#include "plan/descriptor_pools.h"

#include "plan/context.h"
#include "vk/result.h"

namespace nib {

DescriptorPools::DescriptorPools(NibContext& context) : context_(context), pools_(context.allocator) {}

NibResult DescriptorPools::allocate(PooledSet* out_set) {
  std::lock_guard<std::mutex> lock(mutex_);
  Pool* free_pool = nullptr;
  for (Pool& pool : pools_) {
    if (pool.used < kSetsPerPool) free_pool = &pool;
  }
  if (free_pool == nullptr) {
    const VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC, kSetsPerPool * kSlotCount};
    VkDescriptorPoolCreateInfo info{VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO};
    info.flags = VK_DESCRIPTOR_POOL_CREATE_FREE_DESCRIPTOR_SET_BIT;
    info.maxSets = kSetsPerPool;
    info.poolSizeCount = 1;
    info.pPoolSizes = &size;
    Pool pool{VK_NULL_HANDLE, 0};
    const VkResult result =
        context_.api.vkCreateDescriptorPool(context_.device, &info, context_.vulkan_callbacks, &pool.pool);
    if (result != VK_SUCCESS) {
      return vk::failed(context_.log, "binding", "vkCreateDescriptorPool", result);
    }
    if (!pools_.push(pool)) {
      context_.api.vkDestroyDescriptorPool(context_.device, pool.pool, context_.vulkan_callbacks);
      return context_.log.fail(NIB_ERROR_OUT_OF_MEMORY, "binding: out of host memory");
    }
    free_pool = &pools_[pools_.size() - 1];
  }
  VkDescriptorSetAllocateInfo info{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO};
  info.descriptorPool = free_pool->pool;
  info.descriptorSetCount = 1;
  info.pSetLayouts = &context_.set_layout;
  out_set->pool = free_pool->pool;
  // All sets have the same layout, so a pool with a free set cannot be fragmented.
  const VkResult result = context_.api.vkAllocateDescriptorSets(context_.device, &info, &out_set->set);
  if (result != VK_SUCCESS) {
    return vk::failed(context_.log, "binding", "vkAllocateDescriptorSets", result);
  }
  ++free_pool->used;
  return NIB_SUCCESS;
}

void DescriptorPools::release(const PooledSet& set) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (Pool& pool : pools_) {
    if (pool.pool == set.pool) --pool.used;
  }
  context_.api.vkFreeDescriptorSets(context_.device, set.pool, 1, &set.set);
}

void DescriptorPools::destroyAll() {
  for (const Pool& pool : pools_)
    context_.api.vkDestroyDescriptorPool(context_.device, pool.pool, context_.vulkan_callbacks);
  pools_.resize(0);
}

}  // namespace nib
