// Descriptor sets of the context's layout. Pools of a fixed size are added as they are needed.
#ifndef NIB_PLAN_DESCRIPTOR_POOLS_H
#define NIB_PLAN_DESCRIPTOR_POOLS_H

#include <mutex>

#include "base/memory.h"
#include "vk/api.h"

namespace nib {

struct PooledSet {
  VkDescriptorPool pool;
  VkDescriptorSet set;
};

class DescriptorPools {
 public:
  explicit DescriptorPools(NibContext& context);
  // Thread-safe.
  NibResult allocate(PooledSet* out_set);
  void release(const PooledSet& set);
  void destroyAll();

 private:
  static constexpr uint32_t kSetsPerPool = 64;
  struct Pool {
    VkDescriptorPool pool;
    uint32_t used;
  };
  NibContext& context_;
  std::mutex mutex_;
  Array<Pool> pools_;
};

}  // namespace nib
#endif
