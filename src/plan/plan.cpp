#include "plan/plan.h"

#include "base/sized.h"
#include "formats/geometry.h"

namespace nib {

namespace {

// A slow device runs a slice of this size in a few milliseconds.
constexpr uint64_t kSliceBytes = uint64_t(4) << 20;

bool switchedOff(const void* user, const KernelRow& row) {
  return isSwitchedOff(*static_cast<const NibContext*>(user), row);
}

}  // namespace

const Log PlanBuilder::kSilent;

uint32_t PlanBuilder::workgroupSize(uint32_t wanted) const {
  uint32_t size = 1;
  while (size * 2 <= wanted && size * 2 <= caps().max_workgroup_invocations && size * 2 <= caps().max_workgroup_size_x)
    size *= 2;
  return size;
}

const uint32_t* PlanBuilder::tuned(NibTunable tunable, uint32_t format, uint32_t tokens) const {
  const NibTuning* best = nullptr;
  for (const NibTuning& t : plan_.context->tuning) {
    if (t.tunable != uint32_t(tunable) || t.format != format || t.tokens > tokens) continue;
    if (best == nullptr || t.tokens >= best->tokens) best = &t;
  }
  return best != nullptr ? best->value : nullptr;
}

bool PlanBuilder::offers(const char* name, uint32_t format, uint32_t workgroup, uint32_t shared_bytes,
                         uint32_t push_bytes) const {
  const vk::KernelLimits need{workgroup, shared_bytes, push_bytes};
  return vk::chooseKernel(kKernelTable, kKernelCount, name, format, caps(), need, switchedOff, plan_.context,
                          nullptr) != nullptr;
}

Span allRowsSpan(const NibPlan& plan, const Slot& slot) {
  const uint64_t size = slot.end_bytes != 0 ? slot.end_bytes : plan.memory.range[slot.role].size_bytes;
  Span span{slot.part_offset, slot.part_offset + uint64_t(plan.rows.all - 1) * slot.row_bytes + slot.row_size_bytes};
  span.end = (span.end + 3) & ~uint64_t(3);
  if (span.end > size) span.end = size;
  return span;
}

Span windowSpan(const NibPlan& plan, const Slot& slot, uint32_t first_row, uint64_t shift, uint64_t second_shift) {
  const uint64_t size = slot.end_bytes != 0 ? slot.end_bytes : plan.memory.range[slot.role].size_bytes;
  const uint64_t rows = slot.slot_rows - first_row < slot.window_rows ? slot.slot_rows - first_row : slot.window_rows;
  const auto spanOf = [&](uint64_t offset, uint64_t row_bytes, uint64_t row_size_bytes, uint64_t moved) {
    const uint64_t begin = offset + first_row * row_bytes;
    Span span{begin & ~uint64_t(3), wholeWordsBytes(begin + (rows - 1) * row_bytes + row_size_bytes)};
    if (span.end > size) span.end = size;
    return Span{span.begin + moved, span.end + moved};
  };
  Span span = spanOf(slot.part_offset, slot.row_bytes, slot.row_size_bytes, shift);
  if (slot.second.part != kNoPart) {
    const Span second = spanOf(slot.second.offset, slot.second.row_bytes, slot.second.row_size_bytes, second_shift);
    if (second.begin < span.begin) span.begin = second.begin;
    if (second.end > span.end) span.end = second.end;
  }
  return span;
}

Span slotSpan(const NibPlan& plan, const Phase& phase, const Slot& slot, uint64_t first, uint64_t end) {
  const uint64_t size = slot.end_bytes != 0 ? slot.end_bytes : plan.memory.range[slot.role].size_bytes;
  if (slot.kind == Slot::kWhole) return {slot.part_offset, size};
  if (slot.kind == Slot::kAnyRow) return windowSpan(plan, slot, 0);
  const TileRule& rule = phase.tiles;
  const uint32_t rows = rule.rowsOf(plan.kernelRows(plan.rows.max));
  const uint64_t total = rule.items(rows);
  uint64_t first_item = first * rule.div;
  // A run may start with up to share - 1 idle items, which shift a tile's items that far back.
  const uint64_t lead = rule.share > 1 && plan.rows.all != 0 ? rule.share - 1 : 0;
  first_item -= first_item < lead ? first_item : lead;
  if (first_item >= total) first_item = total - 1;
  uint64_t last_item = end * rule.div - 1;
  if (last_item >= total) last_item = total - 1;
  if (slot.kind == Slot::kShared) {
    const bool one_block = first_item / rule.mul == last_item / rule.mul;
    Span span{slot.part_offset, slot.part_offset + slot.row_size_bytes};
    if (one_block) {
      const uint64_t end_byte = slot.part_offset + (last_item % rule.mul / slot.same_items + 1) * slot.item_bytes;
      span.begin += first_item % rule.mul / slot.same_items * slot.item_bytes & ~uint64_t(3);
      if (end_byte < span.end) span.end = end_byte;
    }
    span.end = (span.end + 3) & ~uint64_t(3);
    if (span.end > size) span.end = size;
    return span;
  }
  // Every item covers all rows of its row block, so the span reaches from the first item's first row to the last item's
  // last row.
  uint64_t last_row = last_item / rule.mul * rule.row_block + rule.row_block - 1;
  if (last_row >= rows) last_row = rows - 1;
  uint64_t row_end = (last_item % rule.mul + 1) * slot.item_bytes;
  if (row_end > slot.row_size_bytes || slot.item_bytes == 0) row_end = slot.row_size_bytes;
  Span span;
  span.begin = slot.part_offset + first_item / rule.mul * rule.row_block * slot.row_bytes +
               first_item % rule.mul * slot.item_bytes;
  span.end = slot.part_offset + last_row * slot.row_bytes + row_end;
  span.begin &= ~uint64_t(3);
  span.end = (span.end + 3) & ~uint64_t(3);
  if (span.end > size) span.end = size;
  return span;
}

Slot PlanBuilder::anyRowSlot(NibRole role, uint64_t part_offset, uint32_t rows, uint64_t row_bytes,
                             uint64_t row_size_bytes) const {
  Slot slot = itemSlot(role, part_offset, row_bytes, 0, row_size_bytes);
  slot.kind = Slot::kAnyRow;
  slot.slot_rows = rows;
  const uint64_t size = wholeWordsBytes(row_size_bytes);
  uint64_t most = largestWindow() & ~uint64_t(3);
  const auto fit = [&] { return size <= most ? (most - size) / row_bytes + 1 : 0; };
  // Windows after the first may begin within a word.
  if (fit() < rows && row_bytes % 4 != 0) most -= 4;
  slot.window_rows = uint32_t(fit() < rows ? fit() : rows);
  return slot;
}

Slot PlanBuilder::anyRowSlot(NibRole role, uint32_t rows, const PartRows& first, const PartRows& second) const {
  Slot slot = anyRowSlot(role, first.offset, rows, first.row_bytes, first.row_size_bytes).of(first.part, {second.part});
  slot.second = {uint32_t(second.part), second.offset, second.row_bytes, second.row_size_bytes};
  // The span of a window grows with its rows, and from window to window in one direction.
  uint32_t good = 0, bad = slot.window_rows + 1;
  while (bad - good > 1) {
    const uint32_t middle = good + (bad - good) / 2;
    slot.window_rows = middle;
    bool fits = true;
    for (const uint32_t row : {0u, rows - middle}) {
      const Span span = windowSpan(plan_, slot, row);
      fits = fits && span.end - span.begin <= largestWindow() - (middle < rows ? 8u : 0u);  // not all begin on words
    }
    (fits ? good : bad) = middle;
  }
  slot.window_rows = good;
  return slot;
}

uint32_t PlanBuilder::shareWindows(std::initializer_list<Slot*> slots) {
  uint32_t rows = UINT32_MAX;
  for (const Slot* slot : slots) {
    if (slot->kind == Slot::kAnyRow && slot->window_rows < rows) rows = slot->window_rows;
  }
  for (Slot* slot : slots) {
    if (slot->kind == Slot::kAnyRow) slot->window_rows = rows;
  }
  return rows;
}

Slot PlanBuilder::placedSlot(const Slot& slot) const {
  if (slot.kind == Slot::kUnused) return slot;
  const Placement::Operand& operand = placement_.operand[slot.role];
  Slot placed = slot;
  placed.role = operand.role;
  placed.part_offset += operand.offset_bytes;
  placed.second.offset += operand.offset_bytes;
  placed.origin_bytes = operand.offset_bytes;
  placed.end_bytes = operand.size_bytes != 0 ? operand.offset_bytes + operand.size_bytes : 0;
  if (placement_.whole) placed.first_row_bytes = 0;
  if (operand.scratch) {
    placed.first_row_bytes = 0;
    placed.base_part = kNoPart;
    placed.parts = 0;
  } else if (operand.input_codes) {
    const auto inputPart = [](uint32_t part) -> uint32_t {
      switch (part) {
        case NIB_PART_CODES: return NIB_PART_INPUT_CODES;
        case NIB_PART_SCALES: return NIB_PART_INPUT_SCALES;
        case NIB_PART_ZEROS: return NIB_PART_INPUT_ZEROS;
        default: return kNoPart;
      }
    };
    placed.base_part = slot.base_part != kNoPart ? inputPart(slot.base_part) : kNoPart;
    if (slot.second.part != kNoPart) placed.second.part = inputPart(slot.second.part);
    placed.parts = 0;
    for (uint32_t part = 0; part < NIB_PART_COUNT; ++part) {
      if (slot.parts & partBit(part)) placed.parts |= partBit(inputPart(part));
    }
  }
  return placed;
}

NibResult PlanBuilder::addPhase(const char* name, uint32_t format, const uint32_t* spec, uint32_t spec_count,
                                const void* push, uint32_t push_bytes, uint32_t shared_bytes, const TileRule& tiles,
                                const Slot (&slot)[kSlotCount], uint64_t bytes_per_tile,
                                std::initializer_list<PartWord> part_words, const uint32_t* first_row) {
  NibContext& context = *plan_.context;
  if (plan_.phase_count == kMaxPhases) return log().fail(NIB_ERROR_UNSUPPORTED, "%s: too many phases", plan_.op->name);
  vk::ChooseReport why{};
  const vk::KernelLimits need{spec[0], shared_bytes, push_bytes};
  const KernelRow* row =
      vk::chooseKernel(kKernelTable, kKernelCount, name, format, context.caps, need, switchedOff, &context, &why);
  if (row == nullptr) {
    return log().fail(NIB_ERROR_UNSUPPORTED, "%s: no kernel %s fits this device: %s", plan_.op->name, name,
                      why.text[0] != '\0' ? why.text : "not in this build");
  }
  Phase& phase = plan_.phase[plan_.phase_count];
  phase = Phase{};
  phase.row = row;
  phase.spec_hash = fnv1a64(spec, size_t(spec_count) * 4u);
  // Another subgroup size is another pipeline, which has its own verdict.
  const uint32_t subgroup_size = vk::requiredSubgroupSize(context.caps, row->features, spec[0]);
  if (subgroup_size != 0) phase.spec_hash = fnv1a64(&subgroup_size, sizeof subgroup_size, phase.spec_hash);
  phase.tiles = tiles;
  if (placement_.rows != 0) phase.tiles.rows = placement_.rows;
  phase.sees_first_row = placement_.sees_first_row;
  const uint32_t max_lead = tiles.share > 1 && plan_.rows.all != 0 && phase.sees_first_row ? tiles.share - 1 : 0;
  phase.tile_count = tiles.tiles(phase.tiles.rowsOf(plan_.kernelRows(plan_.rows.max)), max_lead);
  phase.push_bytes = push_bytes;
  std::memcpy(phase.push, push, push_bytes);
  for (uint32_t s = 0; s < kSlotCount; ++s) phase.slot[s] = placedSlot(slot[s]);
  const auto wordOf = [&](const uint32_t* member) {
    return uint32_t((reinterpret_cast<const uint8_t*>(member) - static_cast<const uint8_t*>(push)) / 4);
  };
  if (first_row != nullptr) phase.first_row_word = wordOf(first_row);
  for (const PartWord& word : part_words) {
    const Slot& moved = phase.slot[word.slot];
    if (moved.parts == 0) continue;
    uint32_t part = word.part;
    if (placement_.operand[slot[word.slot].role].input_codes) {
      part = part == NIB_PART_SCALES ? NIB_PART_INPUT_SCALES : NIB_PART_INPUT_ZEROS;
    }
    phase.part_word[phase.part_word_count++] = {uint16_t(wordOf(word.word)), uint16_t(part), uint16_t(word.slot)};
  }
  if (plan_.draft) {
    ++plan_.phase_count;
    return plan_.wanted == nullptr ? NIB_SUCCESS : want(*row, spec, spec_count);
  }
  {
    std::lock_guard<std::mutex> lock(context.verdict_mutex);
    if (context.verdicts.find(vk::verdictKey(context.caps, kernelHash(*row), phase.spec_hash)) ==
        vk::Verdict::kFailed) {
      return log().fail(NIB_ERROR_BROKEN_DEVICE, "%s: kernel %s failed its self-test on %s and there is no other",
                        plan_.op->name, row->module, context.caps.device_name);
    }
  }
  NibResult result = context.pipelines.get(*row, spec, spec_count, plan_.compile, &phase.pipeline);
  if (result != NIB_SUCCESS) return result;
  result = addSegments(phase);
  if (result != NIB_SUCCESS) {
    context.pipelines.release(phase.pipeline);
    return result;
  }
  phase.bytes_per_tile = bytes_per_tile;

  phase.tiles_per_slice = kSliceBytes / (bytes_per_tile > 0 ? bytes_per_tile : 1);
  if (phase.tiles_per_slice == 0) phase.tiles_per_slice = 1;
  phase.first_slice = plan_.memory.slice_count;
  phase.slice_count = uint32_t((phase.tile_count + phase.tiles_per_slice - 1) / phase.tiles_per_slice);
  plan_.memory.slice_count += phase.slice_count;
  ++plan_.phase_count;
  return NIB_SUCCESS;
}

NibResult PlanBuilder::want(const KernelRow& row, const uint32_t* spec, uint32_t spec_count) {
  if (spec_count > PipelineStore::kMaxSpec) return NIB_ERROR_UNSUPPORTED;
  PipelineWanted wanted{&row, spec_count, {}};
  std::memcpy(wanted.spec, spec, spec_count * sizeof(uint32_t));
  for (const PipelineWanted& other : *plan_.wanted) {
    if (std::memcmp(&other, &wanted, sizeof wanted) == 0) return NIB_SUCCESS;
  }
  return plan_.wanted->push(wanted) ? NIB_SUCCESS
                                    : log().fail(NIB_ERROR_OUT_OF_MEMORY, "%s: out of host memory", row.module);
}

// Splits the phase into segments, each of as many tiles as fit windows of the device's largest storage range at any
// offset of the caller's buffers. A slot that moves with first_row has one window over all rows if they fit. Otherwise
// a dynamic offset slides its window, which reaches 4 GiB; a larger matrix can only be written from its first row on.
NibResult PlanBuilder::addSegments(Phase& phase) {
  const NibContext& context = *plan_.context;
  const uint64_t alignment = windowAlignment(context);
  constexpr uint64_t kMaxDynamicOffset = UINT32_MAX;
  for (Slot& s : phase.slot) {
    if (s.first_row_bytes == 0 || s.kind != Slot::kItems || plan_.rows.all == 0 || phase.tiles.absolute) continue;
    const Span all = allRowsSpan(plan_, s);
    s.covers_all_rows = all.end - all.begin <= largestWindow();
    if (s.covers_all_rows) continue;
    if (all.end > kMaxDynamicOffset) {
      plan_.rows.all = 0;
    } else {
      s.sliding_bytes = 1;  // the real size is computed below
    }
  }
  const uint64_t margin = 2 * alignment;
  auto fits = [&](uint64_t first, uint64_t end) {
    for (const Slot& s : phase.slot) {
      if (s.kind == Slot::kUnused || s.covers_all_rows) continue;
      const Span span = slotSpan(plan_, phase, s, first, end);
      if (span.end - span.begin + (s.sliding_bytes != 0 ? margin : 0) > largestWindow()) return false;
    }
    return true;
  };
  phase.first_segment = uint32_t(plan_.segments.size());
  // These segments are for the first window of the kAnyRow slots; each further window repeats them.
  const Slot* any_row = nullptr;
  for (const Slot& s : phase.slot) {
    if (s.kind == Slot::kAnyRow) any_row = &s;
  }
  const bool fits_row = any_row == nullptr || any_row->window_rows != 0;
  for (uint64_t first = 0; first < phase.tile_count;) {
    uint64_t good = first, bad = phase.tile_count + 1;  // binary search for the segment's end
    if (const uint64_t step = phase.tiles.step_tiles; step != 0 && bad > (first / step + 1) * step + 1) {
      bad = (first / step + 1) * step + 1;
    }
    while (fits_row && bad - good > 1) {
      const uint64_t middle = good + (bad - good) / 2;
      (fits(first, middle) ? good : bad) = middle;
    }
    if (good == first) {
      return log().fail(NIB_ERROR_UNSUPPORTED,
                        "%s: one tile of %s, or its scales or scratch, needs more than the device's %llu bytes of "
                        "storage range; split the tensor by rows",
                        plan_.op->name, phase.row->module, (unsigned long long)context.caps.max_storage_range_bytes);
    }
    if (!plan_.segments.push({first, good, 0}))
      return log().fail(NIB_ERROR_OUT_OF_MEMORY, "%s: out of host memory", plan_.op->name);
    for (Slot& s : phase.slot) {
      if (s.sliding_bytes == 0) continue;
      const Span span = slotSpan(plan_, phase, s, first, good);
      if (span.end - span.begin + alignment > s.sliding_bytes) s.sliding_bytes = span.end - span.begin + alignment;
    }
    first = good;
  }
  const size_t once = plan_.segments.size();
  for (uint64_t row = any_row != nullptr ? any_row->window_rows : 1; any_row != nullptr && row < any_row->slot_rows;
       row += any_row->window_rows) {
    for (size_t i = phase.first_segment; i < once; ++i) {
      Segment segment = plan_.segments[i];
      segment.first_row = uint32_t(row);
      if (!plan_.segments.push(segment))
        return log().fail(NIB_ERROR_OUT_OF_MEMORY, "%s: out of host memory", plan_.op->name);
    }
  }
  phase.segment_count = uint32_t(plan_.segments.size()) - phase.first_segment;
  return NIB_SUCCESS;
}

NibResult planInto(NibPlan& plan, const AnyDesc& desc) {
  NibContext& context = *plan.context;
  PlanBuilder builder(plan);
  plan.desc = desc;
  NibResult result = plan.op->getMemory(desc.get(), builder.log(), &plan.memory);
  if (result != NIB_SUCCESS) return result;
  plan.rows = plan.op->runRows(desc.get());
  for (NibMemoryRange& range : plan.memory.range) {
    range.alignment_bytes = kRangeAlignmentBytes;
    range.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT;
  }
  plan.memory.dynamic_alignment_bytes = uint32_t(windowAlignment(context));
  plan.memory.slice_count = 0;
  return plan.op->build(desc.get(), plan.memory, builder);
}

namespace {

void releasePipelines(const NibPlan& plan) {
  if (plan.context->destroyed) return;
  for (uint32_t p = 0; p < plan.phase_count; ++p) plan.context->pipelines.release(plan.phase[p].pipeline);
}

void freePlan(NibPlan* plan) {
  for (NibPlan* fewer : plan->fewer) freePlan(fewer);
  releasePipelines(*plan);
  plan->context->allocator.destroy(plan);
}

bool haveSameKernels(const NibPlan& a, const NibPlan& b) {
  if (a.phase_count != b.phase_count) return false;
  for (uint32_t p = 0; p < a.phase_count; ++p) {
    if (a.phase[p].row != b.phase[p].row || a.phase[p].spec_hash != b.phase[p].spec_hash) return false;
  }
  return true;
}

// Whether the operands of fewer rows are the first of the whole's: the same parts, which bindings may move to where the
// whole's are. Scratch is its own.
bool liesWithin(const NibMemory& few, const NibMemory& whole) {
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    if (few.range[role].size_bytes > whole.range[role].size_bytes) return false;
  }
  for (uint32_t p = 0; p < NIB_PART_COUNT; ++p) {
    const NibMemoryPart& a = few.part[p];
    const NibMemoryPart& b = whole.part[p];
    if (p == NIB_PART_SCRATCH) continue;
    if ((a.size_bytes == 0) != (b.size_bytes == 0) || a.size_bytes > b.size_bytes) return false;
    if (a.size_bytes != 0 && a.role != b.role) return false;
    if (p == NIB_PART_STATUS && a.offset_bytes != b.offset_bytes) return false;
  }
  return true;
}

NibPlan* newPlan(NibContext* context, const OpRow* op, PipelineStore::Compile compile) {
  NibPlan* plan = context->allocator.create<NibPlan>(context);
  if (plan == nullptr) {
    context->log.fail(NIB_ERROR_OUT_OF_MEMORY, "%s: out of host memory", op->name);
    return nullptr;
  }
  plan->op = op;
  plan->compile = compile;
  return plan;
}

NibResult addFewer(NibPlan& plan) {
  FewerRows list;
  listFewer(plan, &list);
  if (!plan.fewer.reserve(list.count)) {
    return plan.context->log.fail(NIB_ERROR_OUT_OF_MEMORY, "%s: out of host memory", plan.op->name);
  }
  for (uint32_t i = list.count; i-- > 0;) {  // ascending
    NibPlan* fewer = newPlan(plan.context, plan.op, plan.compile);
    if (fewer == nullptr) return NIB_ERROR_OUT_OF_MEMORY;
    plan.fewer.push(fewer);
    const NibResult result = planInto(*fewer, list.desc[i]);
    if (result != NIB_SUCCESS) return result;
    if (fewer->memory.slice_count > plan.memory.slice_count) plan.memory.slice_count = fewer->memory.slice_count;
  }
  return NIB_SUCCESS;
}

}  // namespace

void listFewer(const NibPlan& plan, FewerRows* list) {
  // Compares each number of rows with the next larger that has kernels of its own.
  NibPlan drafts[2] = {NibPlan(plan.context), NibPlan(plan.context)};
  const NibPlan* larger = &plan;
  uint32_t rows = 1;
  while (rows < plan.rows.max && rows <= UINT32_MAX / 2) rows *= 2;
  for (rows /= 2; rows != 0 && list->count < kMostFewer; rows /= 2) {
    AnyDesc& desc = list->desc[list->count];
    if (!plan.op->withRows(plan.desc.get(), rows, desc.bytes)) return;
    NibPlan& draft = larger == &drafts[0] ? drafts[1] : drafts[0];
    draft.op = plan.op;
    draft.draft = true;
    draft.phase_count = 0;
    if (planInto(draft, desc) != NIB_SUCCESS) continue;
    if (!liesWithin(draft.memory, plan.memory) || haveSameKernels(draft, *larger)) continue;
    ++list->count;
    larger = &draft;
  }
}

const NibPlan& planFor(const NibPlan& plan, const NibRun& run, uint32_t* out_index) {
  for (uint32_t i = 0; i < plan.fewer.size(); ++i) {
    const NibPlan& fewer = *plan.fewer[i];
    *out_index = i;
    if (fewer.rows.problem(run.n, run.first_row).text == nullptr) return fewer;
  }
  *out_index = uint32_t(plan.fewer.size());
  return plan;
}

NibResult createPlan(NibContext* context, const NibOpDesc* desc, PipelineStore::Compile compile, bool alone,
                     NibPlan** out_plan) {
  if (desc == nullptr || out_plan == nullptr) {
    return context->log.fail(NIB_ERROR_INVALID_ARGUMENT, "nibCreatePlan: NULL argument");
  }
  *out_plan = nullptr;
  const OpRow* op = nullptr;
  AnyDesc whole;
  NibResult result = readDesc(desc, context->log, &op, &whole);
  if (result != NIB_SUCCESS) return result;
  NibPlan* plan = newPlan(context, op, compile);
  if (plan == nullptr) return NIB_ERROR_OUT_OF_MEMORY;
  result = planInto(*plan, whole);
  if (result == NIB_SUCCESS && !alone) result = addFewer(*plan);
  if (result != NIB_SUCCESS) {
    freePlan(plan);
    return result;
  }
  addChild(*context, context->plans);
  *out_plan = plan;
  return NIB_SUCCESS;
}

void releasePlan(const NibPlan& plan) {
  if (plan.references.fetch_sub(1) != 1) return;
  NibContext& context = *plan.context;
  freePlan(const_cast<NibPlan*>(&plan));
  removeChild(context, context.plans);
}

}  // namespace nib

using namespace nib;

extern "C" {

NibResult nibCreatePlan(NibContext* context, const NibOpDesc* desc, NibPlan** out_plan) {
  if (context == nullptr) return NIB_ERROR_INVALID_ARGUMENT;
  return createPlan(context, desc, PipelineStore::Compile::kIfNeeded, false, out_plan);
}

NibResult nibTryCreatePlan(NibContext* context, const NibOpDesc* desc, NibPlan** out_plan) {
  if (context == nullptr) return NIB_ERROR_INVALID_ARGUMENT;
  return createPlan(context, desc, PipelineStore::Compile::kNever, false, out_plan);
}

void nibDestroyPlan(NibPlan* plan) {
  if (plan == nullptr) return;
  // After its context, a plan has only host memory, and the log was told.
  const uint32_t bindings = plan->references - 1;
  if (bindings != 0 && !plan->context->destroyed) {
    plan->context->log.say(NIB_SEVERITY_WARNING,
                           "%s: a plan was destroyed before %u bindings of it: destroy those first", plan->op->name,
                           bindings);
  }
  plan->destroyed = true;
  releasePlan(*plan);
}

NibResult nibPlanGetMemory(const NibPlan* plan, NibMemory* out_memory) {
  if (plan == nullptr) return NIB_ERROR_INVALID_ARGUMENT;
  if (out_memory != nullptr && writeSized(plan->memory, out_memory)) return NIB_SUCCESS;
  return plan->context->log.fail(NIB_ERROR_INVALID_ARGUMENT,
                                 "nibPlanGetMemory: set out_memory->struct_bytes to sizeof(NibMemory)");
}

const char* nibPlanGetKernel(const NibPlan* plan, uint32_t index) {
  if (index < plan->phase_count) return plan->phase[index].row->module;
  index -= plan->phase_count;
  for (const NibPlan* fewer : plan->fewer) {
    if (index < fewer->phase_count) return fewer->phase[index].row->module;
    index -= fewer->phase_count;
  }
  return nullptr;
}

}  // extern "C"
