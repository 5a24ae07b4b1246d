// Recording: no allocation, no lock, no failure.
#include <cassert>

#include "plan/plan.h"

using namespace nib;

namespace {

bool runInRange(const NibPlan& plan, const NibBinding& binding, const NibRun& run) {
  if (run.n > plan.max_rows || (plan.fixed_rows && run.n != plan.max_rows)) return false;
  if (run.first_slice > plan.memory.slice_count) return false;
  if (run.slice_count != UINT32_MAX && run.slice_count > plan.memory.slice_count - run.first_slice) return false;
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    const uint32_t offset = run.offset_bytes[role];
    if (offset % plan.memory.dynamic_alignment_bytes != 0 || offset > binding.slack_bytes[role]) return false;
  }
  return true;
}

// Dispatches tiles [first, end), which lie within one segment.
void dispatchTiles(VkCommandBuffer command_buffer, const NibPlan& plan, const Phase& phase, uint64_t first, uint64_t end,
                   const NibBinding::Delta& delta, uint32_t rows) {
  const NibContext& context = *plan.context;
  alignas(4) uint8_t push[kPushBytes];
  std::memcpy(push, phase.push, phase.push_bytes);
  while (first < end) {
    const uint64_t most = context.caps.max_workgroup_count_x;
    const uint64_t count = end - first < most ? end - first : most;
    const NibPushHead head{uint32_t(first), uint32_t(first + count), rows,           delta.words[0],
                           delta.words[1],  delta.words[2],          delta.words[3]};
    std::memcpy(push, &head, sizeof head);
    context.api.vkCmdPushConstants(command_buffer, context.pipeline_layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                                   phase.push_bytes, push);
    context.api.vkCmdDispatch(command_buffer, uint32_t(count), 1, 1);
    first += count;
  }
}

}  // namespace

extern "C" void nibCmdRun(VkCommandBuffer command_buffer, const NibPlan* plan, const NibBinding* binding,
                          const NibRun* run) {
  const bool valid = plan != nullptr && binding != nullptr && run != nullptr && binding->plan == plan &&
                     runInRange(*plan, *binding, *run);
  assert(valid && "nibCmdRun: NibRun out of range, or a binding of another plan");
  if (!valid) return;
  const NibContext& context = *plan->context;
  const uint64_t slice_end =
      run->slice_count == UINT32_MAX ? plan->memory.slice_count : uint64_t(run->first_slice) + run->slice_count;

  bool recorded = false;  // whether a barrier is due before the next phase
  for (uint32_t p = 0; p < plan->phase_count; ++p) {
    const Phase& phase = plan->phase[p];
    const uint32_t rows = phase.tiles.rowsOf(plan->kernelRows(run->n));
    const uint64_t from = run->first_slice > phase.first_slice ? run->first_slice - phase.first_slice : 0;
    const uint64_t to = slice_end > phase.first_slice ? slice_end - phase.first_slice : 0;
    const uint64_t tile_count = phase.tiles.tiles(rows);
    uint64_t first = from * phase.tiles_per_slice;
    uint64_t end = to * phase.tiles_per_slice;
    if (end > tile_count) end = tile_count;
    if (first >= end) continue;

    if (recorded) {
      VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
      barrier.srcAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
      barrier.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
      context.api.vkCmdPipelineBarrier(command_buffer, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                                       VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &barrier, 0, nullptr, 0, nullptr);
    }
    recorded = true;
    context.api.vkCmdBindPipeline(command_buffer, VK_PIPELINE_BIND_POINT_COMPUTE, phase.pipeline);
    uint32_t dynamic[kSlotCount];
    for (uint32_t s = 0; s < kSlotCount; ++s) {
      dynamic[s] = phase.slot[s].kind == Slot::kUnused ? 0u : run->offset_bytes[phase.slot[s].role];
    }
    for (uint32_t i = 0; i < phase.segment_count && first < end; ++i) {
      const uint32_t index = phase.first_segment + i;
      const Segment& segment = plan->segments[index];
      if (segment.tile_end <= first) continue;
      const uint64_t stop = segment.tile_end < end ? segment.tile_end : end;
      context.api.vkCmdBindDescriptorSets(command_buffer, VK_PIPELINE_BIND_POINT_COMPUTE, context.pipeline_layout, 0, 1,
                                          &binding->sets[index].set, kSlotCount, dynamic);
      dispatchTiles(command_buffer, *plan, phase, first, stop, binding->deltas[index], rows);
      first = stop;
    }
  }
}
