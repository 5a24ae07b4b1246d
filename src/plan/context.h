// The application's device as nibble uses it: handles, function table, capabilities, callbacks, and what plans share.
#ifndef NIB_PLAN_CONTEXT_H
#define NIB_PLAN_CONTEXT_H

#include <atomic>
#include <mutex>

#include "base/log.h"
#include "base/memory.h"
#include "plan/descriptor_pools.h"
#include "plan/kernel_code.h"
#include "plan/kernel_table.h"
#include "plan/pipeline_store.h"
#include "plan/verdicts.h"
#include "vk/api.h"
#include "vk/caps.h"

struct NibContext {
  explicit NibContext(const nib::HostMemory& callbacks)
      : allocator(callbacks), pipelines(*this), pools(*this), verdicts(callbacks), tuning(callbacks) {}

  nib::HostMemory allocator;
  nib::Log log;
  nib::vk::Api api{};
  nib::vk::Caps caps{};
  VkDevice device = VK_NULL_HANDLE;
  VkPipelineCache pipeline_cache = VK_NULL_HANDLE;
  uint32_t flags = 0;  // NIB_CONTEXT_*
  VkAllocationCallbacks vulkan_allocator{};
  const VkAllocationCallbacks* vulkan_callbacks = nullptr;  // NULL, or the member above
  // One layout for all kernels: four dynamic storage buffers and 128 bytes of push constants.
  VkDescriptorSetLayout set_layout = VK_NULL_HANDLE;
  VkPipelineLayout pipeline_layout = VK_NULL_HANDLE;
  nib::PipelineStore pipelines;
  nib::DescriptorPools pools;
  mutable std::mutex verdict_mutex;
  nib::vk::Verdicts verdicts;
  nib::Array<NibTuning> tuning;  // a copy of NibContextDesc.tuning

  // Children that are alive. A context that is destroyed before them has no Vulkan objects left; its host memory stays
  // until the last child is destroyed.
  std::atomic<uint32_t> plans{0}, bindings{0}, verifications{0};
  std::atomic<uint32_t> references{1};  // the application's, and one of every child
  std::atomic<bool> destroyed{false};
};

namespace nib {

inline constexpr uint32_t kSlotCount = 4;
inline constexpr uint32_t kPushBytes = 128;

// Names a Vulkan object "nibble NAME" for debuggers, if the application asked for it.
void nameObject(const NibContext& context, VkObjectType type, uint64_t handle, const char* name);
template <class Handle>
void nameObject(const NibContext& context, VkObjectType type, Handle handle, const char* name) {
  uint64_t number = 0;
  std::memcpy(&number, &handle, sizeof handle);
  nameObject(context, type, number, name);
}

// Counts a child of the context, and ends it. `count` is the context's member for its kind.
void addChild(NibContext& context, std::atomic<uint32_t>& count);
void removeChild(NibContext& context, std::atomic<uint32_t>& count);

// Whether a self-test failed with this module on this device. Always false for rows that need no feature.
bool isSwitchedOff(const NibContext& context, const KernelRow& row);

}  // namespace nib
#endif
