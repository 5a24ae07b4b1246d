// Recording. It allocates nothing, takes no lock and cannot fail.
#include "base/sized.h"
#include "plan/plan.h"

using namespace nib;

namespace {

// Why a run cannot be recorded, or NULL.
const char* runProblem(const NibPlan& plan, const NibBinding& binding, const NibRun& run) {
  if (binding.plan != &plan) return "the binding belongs to another plan";
  if (plan.context->destroyed) return "the context was destroyed";
  if (plan.destroyed) return "the plan was destroyed";
  if (const char* problem = plan.rows.problem(run.n, run.first_row).text) return problem;
  if (run.first_slice > plan.memory.slice_count) return "first_slice must be at most NibMemory.slice_count";
  if (run.slice_count != UINT32_MAX && run.slice_count > plan.memory.slice_count - run.first_slice) {
    return "first_slice + slice_count must be at most NibMemory.slice_count, or slice_count UINT32_MAX";
  }
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    const uint32_t offset = run.offset_bytes[role];
    if (offset % plan.memory.dynamic_alignment_bytes != 0) {
      return "offset_bytes must be multiples of NibMemory.dynamic_alignment_bytes";
    }
    if (offset > binding.slack_bytes[role]) return "offset_bytes goes beyond the end of a range";
  }
  return nullptr;
}

// The same of an application's arguments. *out_run gets the run.
const char* callProblem(const NibPlan* plan, const NibBinding* binding, const NibRun* run, NibRun* out_run) {
  if (plan == nullptr) return "plan is NULL";
  if (binding == nullptr) return "binding is NULL";
  if (run == nullptr) return "run is NULL";
  if (!readSized(*run, out_run)) return "run->struct_bytes must be sizeof(NibRun)";
  return runProblem(*plan, *binding, *out_run);
}

// Later dispatches see the writes of earlier ones.
void computeBarrier(const NibContext& context, VkCommandBuffer command_buffer) {
  VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
  barrier.srcAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
  barrier.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
  context.api.vkCmdPipelineBarrier(command_buffer, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                                   VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &barrier, 0, nullptr, 0, nullptr);
}

// One phase of a run.
struct Recorder {
  VkCommandBuffer command_buffer;
  const NibPlan& plan;
  const NibBinding& binding;
  const NibRun& run;
  const Phase& phase;
  uint32_t rows;       // as the kernel sees them
  uint32_t first_row;  // of the result, as the kernel sees it
  bool& recorded;      // a dispatch of this run is recorded, so the next one needs a barrier
  alignas(4) uint8_t push[kPushBytes];

  // Dispatches tiles [first, end) of one segment. A phase of several dispatches has barriers between them: most write
  // disjoint words, but attention's steps and windows that accumulate do not, and windows overlap in their first and
  // last bytes, which a validation layer reports. Only phases that exceed the device's workgroup count or largest
  // window have several.
  void dispatch(uint64_t first, uint64_t end, const uint32_t (&delta)[kSlotCount]) {
    const NibContext& context = *plan.context;
    while (first < end) {
      const uint64_t max_count = context.caps.max_workgroup_count_x;
      const uint64_t count = end - first < max_count ? end - first : max_count;
      const NibPushHead head{uint32_t(first), uint32_t(first + count), rows, first_row, delta[0], delta[1], delta[2],
                             delta[3]};
      std::memcpy(push, &head, sizeof head);
      if (recorded) computeBarrier(context, command_buffer);
      recorded = true;
      context.api.vkCmdPushConstants(command_buffer, context.pipeline_layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                                     phase.push_bytes, push);
      context.api.vkCmdDispatch(command_buffer, uint32_t(count), 1, 1);
      first += count;
    }
  }

  // Dynamic offsets and deltas of a segment's windows in this run.
  void offsetWindows(const NibBinding::Windows& windows, uint32_t (&dynamic)[kSlotCount],
                     uint32_t (&delta)[kSlotCount]) {
    const uint64_t alignment = plan.memory.dynamic_alignment_bytes;
    for (uint32_t s = 0; s < kSlotCount; ++s) {
      const Slot& slot = phase.slot[s];
      const NibBinding::Window& window = windows.slot[s];
      dynamic[s] = 0;
      delta[s] = 0;
      if (slot.kind == Slot::kUnused) continue;
      const uint64_t moved = phase.tiles.absolute ? 0 : run.first_row * slot.first_row_bytes;
      uint64_t slid = 0;
      if (window.largest_offset != UINT64_MAX) {
        slid = (window.sliding_from + moved) / alignment * alignment;
        if (slid > window.largest_offset) slid = window.largest_offset;
      }
      dynamic[s] = uint32_t(run.offset_bytes[slot.role] + slid);
      delta[s] = window.delta_words + uint32_t(moved / 4u) - uint32_t(slid / 4u);
    }
  }

  // Which rows of a kAnyRow slot its window holds.
  void setFirstRow(const Segment& segment) {
    if (phase.first_row_word != 0) std::memcpy(push + phase.first_row_word * 4u, &segment.first_row, 4);
  }

  // Copies the push constants and sets the first words of parts to those of this binding.
  void patchPush() {
    std::memcpy(push, phase.push, phase.push_bytes);
    for (uint32_t i = 0; i < phase.part_word_count; ++i) {
      const auto& entry = phase.part_word[i];
      const uint32_t base = phase.slot[entry.slot].base_part;
      uint32_t word;
      std::memcpy(&word, push + entry.push_word * 4u, 4);
      word += binding.part_words[entry.part] - (base != kNoPart ? binding.part_words[base] : 0u);
      std::memcpy(push + entry.push_word * 4u, &word, 4);
    }
  }
};

void recordRun(VkCommandBuffer command_buffer, const NibPlan& plan, const NibBinding& binding, const NibRun& run) {
  const NibContext& context = *plan.context;
  const uint64_t slice_end =
      run.slice_count == UINT32_MAX ? plan.memory.slice_count : uint64_t(run.first_slice) + run.slice_count;

  bool recorded = false;
  for (uint32_t p = 0; p < plan.phase_count; ++p) {
    const Phase& phase = plan.phase[p];
    const auto [rows, first_row] = rowsOf(plan, phase, run);
    const auto [first, end] = tilesOf(plan, phase, run, run.first_slice, slice_end);
    if (first >= end) continue;

    context.api.vkCmdBindPipeline(command_buffer, VK_PIPELINE_BIND_POINT_COMPUTE, phase.pipeline);
    const uint32_t pushed_rows = phase.tiles.push_n ? run.n : rows;
    Recorder recorder{command_buffer, plan, binding, run, phase, pushed_rows, first_row, recorded, {}};
    recorder.patchPush();
    for (uint32_t i = 0; i < phase.segment_count; ++i) {
      const uint32_t index = phase.first_segment + i;
      const Segment& segment = plan.segments[index];
      const uint64_t from = segment.tile_first > first ? segment.tile_first : first;
      const uint64_t stop = segment.tile_end < end ? segment.tile_end : end;
      if (from >= stop) continue;
      uint32_t dynamic[kSlotCount], delta[kSlotCount];
      recorder.offsetWindows(binding.windows[index], dynamic, delta);
      context.api.vkCmdBindDescriptorSets(command_buffer, VK_PIPELINE_BIND_POINT_COMPUTE, context.pipeline_layout, 0, 1,
                                          &binding.sets[index].set, kSlotCount, dynamic);
      recorder.setFirstRow(segment);
      recorder.dispatch(from, stop, delta);
    }
  }
}

}  // namespace

extern "C" {

const char* nibCheckRun(const NibPlan* plan, const NibBinding* binding, const NibRun* caller_run) {
  NibRun run;
  return callProblem(plan, binding, caller_run, &run);
}

void nibCmdRun(VkCommandBuffer command_buffer, const NibPlan* plan, const NibBinding* binding,
               const NibRun* caller_run) {
  NibRun run;
  if (const char* problem = callProblem(plan, binding, caller_run, &run)) {
    // Once per binding, so that a mistake in every frame does not flood the log.
    if (plan != nullptr && (binding == nullptr || !binding->refused.exchange(true))) {
      plan->context->log.say(NIB_SEVERITY_ERROR, "%s: nibCmdRun records nothing: %s", plan->op->name, problem);
    }
    return;
  }
  uint32_t index = 0;
  const NibPlan& taken = planFor(*plan, run, &index);
  recordRun(command_buffer, taken, index < plan->fewer.size() ? *binding->fewer[index] : *binding, run);
}

}  // extern "C"
