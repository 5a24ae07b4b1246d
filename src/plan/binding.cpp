// Bindings: descriptor sets over the caller's buffers, one per segment, made outside recording.
#include "plan/plan.h"
#include "formats/geometry.h"

namespace nib {
namespace {

const char* const kRoleNames[NIB_ROLE_COUNT] = {"weights", "input", "output", "aux"};

NibResult checkRanges(const NibPlan& plan, const NibBindingDesc& desc) {
  const Log& log = plan.context->log;
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    const NibMemoryRange& need = plan.memory.range[role];
    const NibBufferRange& range = desc.range[role];
    if (need.size_bytes == 0) continue;
    if (range.buffer == VK_NULL_HANDLE) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: the %s range has no buffer", plan.op->name, kRoleNames[role]);
    }
    if (range.offset % kRangeAlignmentBytes != 0) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: the %s range begins at %llu, not at a multiple of %u bytes",
                      plan.op->name, kRoleNames[role], (unsigned long long)range.offset, kRangeAlignmentBytes);
    }
    if (range.size == VK_WHOLE_SIZE || range.size < need.size_bytes) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: the %s range has %lld bytes, needs %llu (VK_WHOLE_SIZE is no size)",
                      plan.op->name, kRoleNames[role], (long long)range.size, (unsigned long long)need.size_bytes);
    }
    for (uint32_t other = 0; other < role; ++other) {
      const NibBufferRange& o = desc.range[other];
      if (plan.memory.range[other].size_bytes == 0 || o.buffer != range.buffer) continue;
      if (range.offset < o.offset + o.size && o.offset < range.offset + range.size) {
        return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: the %s and %s ranges overlap", plan.op->name, kRoleNames[other],
                        kRoleNames[role]);
      }
    }
  }
  return NIB_SUCCESS;
}

void writeSet(const NibPlan& plan, const Phase& phase, const Segment& segment, const NibBindingDesc& desc,
              VkDescriptorSet set, NibBinding::Delta* delta) {
  const NibContext& context = *plan.context;
  const uint64_t alignment = windowAlignment(context);
  VkDescriptorBufferInfo info[kSlotCount];
  const VkDescriptorBufferInfo* any = nullptr;
  for (uint32_t s = 0; s < kSlotCount; ++s) {
    const Slot& slot = phase.slot[s];
    delta->words[s] = 0;
    if (slot.kind == Slot::kUnused) continue;
    const NibBufferRange& range = desc.range[slot.role];
    const Span span = slotSpan(plan, phase, slot, segment.tile_first, segment.tile_end);
    const uint64_t base = (range.offset + span.begin) / alignment * alignment;
    info[s] = {range.buffer, base, range.offset + span.end - base};
    // Modulo 2^32: a window may begin after the range.
    delta->words[s] = uint32_t((range.offset + slot.origin_bytes - base) / 4u);
    any = &info[s];
  }
  VkWriteDescriptorSet writes[kSlotCount];
  for (uint32_t s = 0; s < kSlotCount; ++s) {
    // Every binding of the shared layout is written, so that no driver sees an empty one.
    if (phase.slot[s].kind == Slot::kUnused) info[s] = *any;
    writes[s] = VkWriteDescriptorSet{VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET};
    writes[s].dstSet = set;
    writes[s].dstBinding = s;
    writes[s].descriptorCount = 1;
    writes[s].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC;
    writes[s].pBufferInfo = &info[s];
  }
  context.api.vkUpdateDescriptorSets(context.device, kSlotCount, writes, 0, nullptr);
}

NibResult bindInto(NibBinding& binding, const NibBindingDesc& desc) {
  const NibPlan& plan = *binding.plan;
  NibContext& context = *plan.context;
  if (!binding.sets.reserve(plan.segments.size()) || !binding.deltas.reserve(plan.segments.size())) {
    return context.log.fail(NIB_ERROR_OUT_OF_MEMORY, "%s: out of host memory", plan.op->name);
  }
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    const uint64_t need = plan.memory.range[role].size_bytes;
    binding.slack_bytes[role] = need != 0 ? desc.range[role].size - need : UINT64_MAX;
  }
  for (uint32_t p = 0; p < plan.phase_count; ++p) {
    const Phase& phase = plan.phase[p];
    for (uint32_t i = 0; i < phase.segment_count; ++i) {
      PooledSet set;
      const NibResult result = context.pools.allocate(&set);
      if (result != NIB_SUCCESS) return result;
      NibBinding::Delta delta;
      writeSet(plan, phase, plan.segments[phase.first_segment + i], desc, set.set, &delta);
      binding.sets.push(set);
      binding.deltas.push(delta);
    }
  }
  return NIB_SUCCESS;
}

}  // namespace
}  // namespace nib

using namespace nib;

extern "C" {

NibResult nibCreateBinding(const NibPlan* plan, const NibBindingDesc* desc, NibBinding** out_binding) {
  if (plan == nullptr) return NIB_ERROR_INVALID_ARGUMENT;
  NibContext& context = *plan->context;
  if (desc == nullptr || out_binding == nullptr) {
    return context.log.fail(NIB_ERROR_INVALID_ARGUMENT, "nibCreateBinding: NULL argument");
  }
  *out_binding = nullptr;
  NibResult result = checkRanges(*plan, *desc);
  if (result != NIB_SUCCESS) return result;
  NibBinding* binding = context.allocator.create<NibBinding>(plan);
  if (binding == nullptr) return context.log.fail(NIB_ERROR_OUT_OF_MEMORY, "%s: out of host memory", plan->op->name);
  result = bindInto(*binding, *desc);
  if (result != NIB_SUCCESS) {
    nibDestroyBinding(binding);
    return result;
  }
  *out_binding = binding;
  return NIB_SUCCESS;
}

void nibDestroyBinding(NibBinding* binding) {
  if (binding == nullptr) return;
  NibContext& context = *binding->plan->context;
  for (const PooledSet& set : binding->sets) context.pools.release(set);
  context.allocator.destroy(binding);
}

}  // extern "C"
