// How a run is cut into slices, and what they cost.
#include "base/sized.h"
#include "plan/plan.h"

namespace nib {

PhaseRows rowsOf(const NibPlan& plan, const Phase& phase, const NibRun& run) {
  const uint32_t first_row = phase.sees_first_row ? run.first_row : 0;
  uint32_t rows = phase.tiles.rowsOf(plan.kernelRows(run.n));
  if (phase.tiles.absolute && rows != 0) rows += first_row;
  return {rows, first_row};
}

TileSpan tilesOf(const NibPlan& plan, const Phase& phase, const NibRun& run, uint64_t first_slice, uint64_t slice_end) {
  const auto [rows, first_row] = rowsOf(plan, phase, run);
  const uint64_t from = first_slice > phase.first_slice ? first_slice - phase.first_slice : 0;
  const uint64_t to = slice_end > phase.first_slice ? slice_end - phase.first_slice : 0;
  TileSpan span{from * phase.tiles_per_slice, to * phase.tiles_per_slice};
  const TileRule& rule = phase.tiles;
  const uint64_t count = rule.tiles(rows, rule.lead(first_row));
  if (span.end > count) span.end = count;
  if (rule.absolute && rule.fixed == 0) {
    const uint64_t before = first_row / rule.row_block * rule.mul / rule.div;
    if (span.first < before) span.first = before;
  }
  return span;
}

namespace {

// Work of slices [first, end) of a run: memory traffic, and what a kernel's multiply-adds count besides.
uint64_t workOf(const NibPlan& plan, const NibRun& run, uint64_t first, uint64_t end) {
  uint64_t work = 0;
  for (uint32_t p = 0; p < plan.phase_count; ++p) {
    const Phase& phase = plan.phase[p];
    const TileSpan span = tilesOf(plan, phase, run, first, end);
    if (span.first < span.end) work += (span.end - span.first) * phase.bytes_per_tile;
  }
  return work;
}

uint64_t endOf(const NibPlan& plan, const NibRun& run) {
  const uint64_t all = plan.memory.slice_count;
  const uint64_t left = all > run.first_slice ? all - run.first_slice : 0;
  return run.first_slice + (run.slice_count < left ? run.slice_count : left);
}

bool isRun(const NibPlan& plan, const NibRun* caller_run, NibRun* run) {
  return caller_run != nullptr && readSized(*caller_run, run) &&
         plan.rows.problem(run->n, run->first_row).text == nullptr && run->first_slice <= plan.memory.slice_count;
}

}  // namespace
}  // namespace nib

using namespace nib;

extern "C" {

NibResult nibGetCost(const NibPlan* plan, const NibRun* caller_run, NibCost* out_cost) {
  if (plan == nullptr) return NIB_ERROR_INVALID_ARGUMENT;
  NibRun run;
  if (!isRun(*plan, caller_run, &run)) {
    return plan->context->log.fail(NIB_ERROR_INVALID_ARGUMENT, "nibGetCost: run is not one of the plan (nibCheckRun)");
  }
  NibCost cost{};
  uint32_t index = 0;
  const NibPlan& taken = planFor(*plan, run, &index);
  const uint64_t end = endOf(taken, run);
  cost.work = workOf(taken, run, run.first_slice, end);
  for (uint64_t s = run.first_slice; s < end; ++s) cost.slices += workOf(taken, run, s, s + 1) != 0 ? 1u : 0u;
  const uint64_t whole = workOf(taken, run, 0, taken.memory.slice_count);
  if (whole != 0) {
    const double share = double(cost.work) / double(whole);
    cost.multiply_adds = uint64_t(double(plan->op->multiplyAdds(plan->desc.get(), run.n)) * share + 0.5);
  }
  if (out_cost != nullptr && writeSized(cost, out_cost)) return NIB_SUCCESS;
  return plan->context->log.fail(NIB_ERROR_INVALID_ARGUMENT,
                                 "nibGetCost: set out_cost->struct_bytes to sizeof(NibCost)");
}

uint32_t nibSlicesFor(const NibPlan* plan, const NibRun* caller_run, double microseconds, double work_per_microsecond) {
  NibRun run;
  if (plan == nullptr || !isRun(*plan, caller_run, &run)) return 0;
  // Slices are cut in phases, so the last that is not empty may lie before the run's end.
  uint32_t index = 0;
  const NibPlan& taken = planFor(*plan, run, &index);
  uint64_t end = endOf(taken, run);
  while (end > run.first_slice && workOf(taken, run, end - 1, end) == 0) --end;
  const double most = microseconds * work_per_microsecond;
  double work = 0;
  uint64_t slice = run.first_slice;
  while (slice < end) {
    work += double(workOf(taken, run, slice, slice + 1));
    // Written so that a NaN stops.
    if (slice > run.first_slice && !(work <= most)) break;
    ++slice;
  }
  return uint32_t(slice - run.first_slice);
}

}  // extern "C"
