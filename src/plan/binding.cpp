// Bindings: descriptor sets over the caller's buffers, one per segment, allocated and written before recording.
#include "base/sized.h"
#include "formats/geometry.h"
#include "plan/plan.h"

namespace nib {
namespace {

// No buffer is larger, so that sums of offsets and sizes do not wrap.
constexpr uint64_t kMaxRangeEnd = uint64_t(1) << 62;

NibResult checkRanges(const NibPlan& plan, const NibMemory& memory, const NibBindingDesc& desc) {
  const Log& log = plan.context->log;
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    const NibMemoryRange& need = memory.range[role];
    const NibBufferRange& range = desc.range[role];
    if (need.size_bytes == 0) continue;
    if (range.buffer == VK_NULL_HANDLE) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: the %s range has no buffer", plan.op->name, roleName(role));
    }
    if (range.offset % kRangeAlignmentBytes != 0) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: the %s range begins at %llu, not at a multiple of %u bytes",
                      plan.op->name, roleName(role), (unsigned long long)range.offset, kRangeAlignmentBytes);
    }
    if (range.size == VK_WHOLE_SIZE) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                      "%s: the size of the %s range is VK_WHOLE_SIZE: give a number of bytes, at least %llu",
                      plan.op->name, roleName(role), (unsigned long long)need.size_bytes);
    }
    if (range.size < need.size_bytes) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: the %s range has %llu bytes, needs %llu", plan.op->name,
                      roleName(role), (unsigned long long)range.size, (unsigned long long)need.size_bytes);
    }
    if (range.offset > kMaxRangeEnd || range.size > kMaxRangeEnd - range.offset) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                      "%s: the %s range of %llu bytes at offset %llu is no part of a buffer", plan.op->name,
                      roleName(role), (unsigned long long)range.size, (unsigned long long)range.offset);
    }
  }
  return NIB_SUCCESS;
}

// The bytes of the role's range from the first to the last part of the set `parts`, at the offsets of the binding.
Span partsSpan(const NibMemory& memory, uint64_t parts) {
  Span span{UINT64_MAX, 0};
  for (uint32_t p = 0; p < NIB_PART_COUNT; ++p) {
    const NibMemoryPart& part = memory.part[p];
    if ((parts & partBit(p)) == 0 || part.size_bytes == 0) continue;
    if (part.offset_bytes < span.begin) span.begin = part.offset_bytes;
    const uint64_t end = wholeWordsBytes(part.offset_bytes + part.size_bytes);
    if (end > span.end) span.end = end;
  }
  return span;
}

class SetWriter {
 public:
  SetWriter(const NibPlan& plan, const NibMemory& memory, const NibBindingDesc& desc, const NibBinding& binding)
      : plan_(plan), memory_(memory), desc_(desc), binding_(binding), alignment_(windowAlignment(*plan.context)) {}

  NibResult write(const Phase& phase, const Segment& segment, VkDescriptorSet set, NibBinding::Windows* windows) const {
    VkDescriptorBufferInfo info[kSlotCount];
    const VkDescriptorBufferInfo* any = nullptr;
    for (uint32_t s = 0; s < kSlotCount; ++s) {
      windows->slot[s] = {0, 0, UINT64_MAX};
      if (phase.slot[s].kind == Slot::kUnused) continue;
      const NibResult result = describe(phase, phase.slot[s], segment, &info[s], &windows->slot[s]);
      if (result != NIB_SUCCESS) return result;
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
    plan_.context->api.vkUpdateDescriptorSets(plan_.context->device, kSlotCount, writes, 0, nullptr);
    return NIB_SUCCESS;
  }

 private:
  bool anyMoved(uint64_t parts) const {
    for (uint32_t p = 0; p < NIB_PART_COUNT; ++p) {
      if ((parts & partBit(p)) != 0 && binding_.part_words[p] != 0) return true;
    }
    return false;
  }

  // Chooses the buffer window that a slot's descriptor covers for a segment.
  NibResult describe(const Phase& phase, const Slot& slot, const Segment& segment, VkDescriptorBufferInfo* info,
                     NibBinding::Window* window) const {
    const NibBufferRange& range = desc_.range[slot.role];
    // How far the binding moves the base part, to which the kernel's indices are relative, from its offset in the plan.
    // Modulo 2^64, as it may be negative.
    const auto shiftOf = [&](uint32_t part) -> uint64_t {
      return part != kNoPart ? memory_.part[part].offset_bytes - plan_.memory.part[part].offset_bytes : 0;
    };
    const uint64_t shift = shiftOf(slot.base_part);
    Span span = slot.covers_all_rows || slot.sliding_bytes != 0
                    ? allRowsSpan(plan_, slot)
                    : slotSpan(plan_, phase, slot, segment.tile_first, segment.tile_end);
    if (slot.kind == Slot::kAnyRow) {
      const uint64_t second_shift = slot.base_part != kNoPart ? shiftOf(slot.second.part) : 0;
      span = windowSpan(plan_, slot, segment.first_row, shift, second_shift);
    } else if (slot.kind == Slot::kWhole && anyMoved(slot.parts)) {
      span = partsSpan(memory_, slot.parts);
    } else {
      span.begin += shift;
      span.end += shift;
    }
    const uint64_t base = (range.offset + span.begin) / alignment_ * alignment_;
    uint64_t size = range.offset + span.end - base;
    if (slot.sliding_bytes != 0) {
      // At the largest dynamic offset, a multiple of the alignment, the window ends where the rows end.
      const uint64_t part_size = slot.sliding_bytes + (size - slot.sliding_bytes) % alignment_;
      const Span first = slotSpan(plan_, phase, slot, segment.tile_first, segment.tile_end);
      window->largest_offset = size - part_size;
      window->sliding_from = range.offset + first.begin + shift - base;
      size = part_size;
    } else if (size > plan_.context->caps.max_storage_range_bytes) {
      return plan_.context->log.fail(NIB_ERROR_UNSUPPORTED,
                                     "%s: the parts of %s that one descriptor must cover span %llu bytes, the device's "
                                     "storage range has %llu; put them closer together",
                                     plan_.op->name, roleName(slot.role), (unsigned long long)size,
                                     (unsigned long long)plan_.context->caps.max_storage_range_bytes);
    }
    *info = {range.buffer, base, size};
    // Modulo 2^32: a window may begin after the origin.
    window->delta_words = uint32_t((range.offset + slot.origin_bytes + shift - base) / 4u);
    return NIB_SUCCESS;
  }

  const NibPlan& plan_;
  const NibMemory& memory_;
  const NibBindingDesc& desc_;
  const NibBinding& binding_;
  uint64_t alignment_;
};

NibResult bindInto(NibBinding& binding, const NibMemory& memory, const NibBindingDesc& desc) {
  const NibPlan& plan = *binding.plan;
  NibContext& context = *plan.context;
  if (!binding.sets.reserve(plan.segments.size()) || !binding.windows.reserve(plan.segments.size())) {
    return context.log.fail(NIB_ERROR_OUT_OF_MEMORY, "%s: out of host memory", plan.op->name);
  }
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    const uint64_t need = memory.range[role].size_bytes;
    binding.slack_bytes[role] = need != 0 ? desc.range[role].size - need : UINT64_MAX;
  }
  for (uint32_t p = 0; p < NIB_PART_COUNT; ++p) {
    binding.part_words[p] = uint32_t((memory.part[p].offset_bytes - plan.memory.part[p].offset_bytes) / 4u);
  }
  const SetWriter writer(plan, memory, desc, binding);
  for (uint32_t p = 0; p < plan.phase_count; ++p) {
    const Phase& phase = plan.phase[p];
    for (uint32_t i = 0; i < phase.segment_count; ++i) {
      PooledSet set;
      NibResult result = context.pools.allocate(&set);
      if (result != NIB_SUCCESS) return result;
      binding.sets.push(set);
      NibBinding::Windows windows;
      result = writer.write(phase, plan.segments[phase.first_segment + i], set.set, &windows);
      if (result != NIB_SUCCESS) return result;
      binding.windows.push(windows);
    }
  }
  return NIB_SUCCESS;
}

void release(NibBinding* binding) {
  if (binding == nullptr) return;
  NibContext& context = *binding->plan->context;
  for (NibBinding* fewer : binding->fewer) release(fewer);
  // The context's end has taken the sets with their pools.
  if (!context.destroyed) {
    for (const PooledSet& set : binding->sets) context.pools.release(set);
  }
  context.allocator.destroy(binding);
}

// A binding of the plan, and of its plans for fewer rows. memory: as moveParts left the plan's. NULL on an error, which
// is *result.
NibBinding* create(const NibPlan& plan, const NibMemory& memory, const NibBindingDesc& desc, NibResult* result) {
  NibContext& context = *plan.context;
  NibBinding* binding = context.allocator.create<NibBinding>(&plan);
  if (binding == nullptr || !binding->fewer.reserve(plan.fewer.size())) {
    release(binding);
    *result = context.log.fail(NIB_ERROR_OUT_OF_MEMORY, "%s: out of host memory", plan.op->name);
    return nullptr;
  }
  *result = bindInto(*binding, memory, desc);
  for (size_t i = 0; i < plan.fewer.size() && *result == NIB_SUCCESS; ++i) {
    // Where fewer rows would put a part elsewhere, it is moved to where this plan has it.
    NibBindingDesc moved = desc;
    for (uint32_t p = 0; p < NIB_PART_COUNT; ++p) {
      const NibMemoryPart& part = memory.part[p];
      if (part.size_bytes == 0 || p == NIB_PART_STATUS || p == NIB_PART_SCRATCH) continue;
      if (part.offset_bytes != plan.fewer[i]->memory.part[p].offset_bytes)
        moved.part_offset_bytes[p] = part.offset_bytes;
    }
    NibMemory few = plan.fewer[i]->memory;
    *result = moveParts(*plan.op, moved.part_offset_bytes, context.log, &few);
    if (*result != NIB_SUCCESS) break;
    NibBinding* fewer = create(*plan.fewer[i], few, moved, result);
    if (fewer != nullptr) binding->fewer.push(fewer);
  }
  if (*result == NIB_SUCCESS) return binding;
  release(binding);
  return nullptr;
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
  if (plan->destroyed || context.destroyed) {
    return context.log.fail(NIB_ERROR_INVALID_ARGUMENT, "nibCreateBinding: the plan or its context was destroyed");
  }
  NibBindingDesc whole;
  if (!readSized(*desc, &whole)) {
    return context.log.fail(NIB_ERROR_INVALID_ARGUMENT,
                            "nibCreateBinding: set desc->struct_bytes to sizeof(NibBindingDesc)");
  }
  NibMemory memory = plan->memory;
  NibResult result = moveParts(*plan->op, whole.part_offset_bytes, context.log, &memory);
  if (result == NIB_SUCCESS) result = checkRanges(*plan, memory, whole);
  if (result == NIB_SUCCESS) {
    OperandRange ranges[NIB_ROLE_COUNT];
    for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
      const NibBufferRange& range = whole.range[role];
      ranges[role] = {range.buffer, range.offset, range.size};
    }
    result = checkOverlaps(*plan->op, plan->desc.get(), memory, ranges, whole.part_offset_bytes, context.log);
  }
  if (result != NIB_SUCCESS) return result;
  NibBinding* binding = create(*plan, memory, whole, &result);
  if (binding == nullptr) return result;
  ++plan->references;
  addChild(context, context.bindings);
  *out_binding = binding;
  return NIB_SUCCESS;
}

void nibDestroyBinding(NibBinding* binding) {
  if (binding == nullptr) return;
  const NibPlan& plan = *binding->plan;
  NibContext& context = *plan.context;
  release(binding);
  releasePlan(plan);
  removeChild(context, context.bindings);
}

}  // extern "C"
