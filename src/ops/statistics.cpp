#include "ops/statistics.h"

#include "ops/geometry.h"

#if !defined(NIB_NO_VULKAN)
#include "core/plan.h"
#include "ops/dense_spec.h"
#include "ops/tuning.h"
#include "shaders/ops/combine.h"
#include "shaders/ops/reduce.h"
#endif

namespace nib {
namespace {

constexpr uint32_t kWorkgroup = 128;
constexpr uint32_t kRun = 16;          // elements an invocation takes at a time
constexpr uint32_t kSteps = 4;         // runs per invocation of a workgroup that shares a partial
constexpr uint32_t kColumnRows = 64;   // rows per partial of a column, at least
constexpr uint32_t kChunk = kWorkgroup * kRun * kSteps;
constexpr uint32_t kFewPartials = 8;  // of a row: an invocation merges them sooner than a workgroup would

// Rows of a contiguous matrix are one long row to a tensor's statistics.
bool flattened(uint32_t granularity, uint32_t rows, uint32_t cols, uint32_t stride) {
  return granularity == NIB_GRANULARITY_TENSOR && (rows == 1 || stride == cols);
}

}  // namespace

uint64_t statisticsPartials(uint32_t granularity, uint32_t rows, uint32_t cols, uint32_t stride) {
  if (granularity == NIB_GRANULARITY_COLUMN) return ceilDiv(rows, kColumnRows) * cols;
  if (flattened(granularity, rows, cols, stride)) return ceilDiv(uint64_t(rows) * cols, kChunk);
  return rows * ceilDiv(cols, kChunk);
}

#if !defined(NIB_NO_VULKAN)

namespace {
NIB_SPEC_STRUCT(ReduceSpec, REDUCE_SPEC)
NIB_SPEC_STRUCT(CombineSpec, COMBINE_SPEC)
}  // namespace

NibResult addStatistics(const Statistics& s, PlanBuilder& builder) {
  const bool columns = s.granularity == NIB_GRANULARITY_COLUMN;
  const bool flat = flattened(s.granularity, s.rows, s.cols, s.stride);
  const uint64_t bytes = typeBytes(s.source_type);

  ReduceSpec reduce;
  // The chunk is part of the scratch layout, so the workgroup is what every device has.
  reduce.WG = kWorkgroup;
  const uint64_t partials = statisticsPartials(s.granularity, s.rows, s.cols, s.stride);
  const bool solo = !columns && avoidsExchange(builder.caps().device_type, partials);
  // Scratch is the same everywhere, so a device may fill less of it.
  const uint32_t column_rows = columnRows(builder.caps().device_type, s.rows, kColumnRows);
  reduce.STEPS = columns ? column_rows : solo ? kChunk / kRun : kSteps;
  reduce.SOLO = solo;
  reduce.WHAT = uint32_t(s.what);
  reduce.SOURCE_TYPE = s.source_type;
  reduce.VEC = flat ? uint64_t(s.rows) * s.cols % 4 == 0 && s.cols % 4 == 0 : vectorized(s.rows, s.cols, s.stride);
  // A contiguous matrix of whole eights is one row of them.
  reduce.WIDE = wide(flat ? 1u : s.rows, s.cols, s.stride, bytes);
  reduce.STATUS = s.status;
  reduce.COLUMNS = columns;
  reduce.FLATTEN = flat;
  const uint32_t across = uint32_t(ceilDiv(s.cols, columns ? kWorkgroup * kRun : kChunk));
  const ReducePush reduce_push{{}, s.cols, s.stride, flat ? UINT32_MAX : across, s.partial_word};
  TileRule tiles;
  Slot source;
  if (columns) {
    tiles.row_block = column_rows;
    tiles.mul = across;
    source = itemSlot(NIB_ROLE_INPUT, 0, s.stride * bytes, kWorkgroup * kRun * bytes, s.cols * bytes);
  } else if (flat) {
    tiles.mul = s.cols;
    tiles.div = uint64_t(kChunk) * (solo ? kWorkgroup : 1u);
    source = itemSlot(NIB_ROLE_INPUT, 0, s.cols * bytes, bytes, s.cols * bytes);
  } else {
    tiles.mul = across;
    tiles.div = solo ? kWorkgroup : 1u;
    source = itemSlot(NIB_ROLE_INPUT, 0, s.stride * bytes, kChunk * bytes, s.cols * bytes);
  }
  const Slot reduce_slots[kSlotCount] = {Slot{}, source, Slot{}, wholeSlot(NIB_ROLE_AUX)};
  NibResult result = builder.add("reduce", 0, reduce, reduce_push, kWorkgroup * 12, tiles, reduce_slots,
                                 columns ? uint64_t(kWorkgroup) * kRun * column_rows * bytes : kChunk * bytes * (solo ? kWorkgroup : 1u));
  if (result != NIB_SUCCESS) return result;

  CombineSpec combine;
  combine.WG = kWorkgroup;
  combine.COLUMNS = columns;
  combine.TENSOR = s.granularity == NIB_GRANULARITY_TENSOR;
  combine.FLATTEN = flat;
  combine.SOLO = !columns && !combine.TENSOR && across <= kFewPartials;
  const CombinePush combine_push{{}, s.cols, across, columns ? column_rows : kChunk, s.partial_word, s.result_word};
  TileRule combine_tiles;
  if (columns) {
    combine_tiles.fixed = uint32_t(ceilDiv(s.cols, kWorkgroup));
  } else if (combine.TENSOR) {
    combine_tiles.fixed = 1;
  } else if (combine.SOLO) {
    combine_tiles.div = kWorkgroup;
  }
  const Slot combine_slots[kSlotCount] = {Slot{}, Slot{}, wholeSlot(s.result_role), wholeSlot(NIB_ROLE_AUX)};
  return builder.add("combine", 0, combine, combine_push, kWorkgroup * 12, combine_tiles, combine_slots,
                     uint64_t(kWorkgroup) * 64);
}

#endif

}  // namespace nib
