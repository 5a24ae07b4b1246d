#include "ops/statistics.h"

#include "formats/geometry.h"
#include "ops/tuning.h"

#if !defined(NIB_NO_VULKAN)
#include "ops/dense_spec.h"
#include "plan/plan.h"
#include "shaders/ops/combine.h"
#include "shaders/ops/mean.h"
#include "shaders/ops/reduce.h"
#include "shaders/ops/sum.h"
#endif

namespace nib {
namespace {

constexpr uint32_t kWorkgroup = 128;
constexpr uint32_t kRun = 16;         // elements that an invocation processes at a time
constexpr uint32_t kSteps = 4;        // runs per invocation of a workgroup that shares a partial
constexpr uint32_t kColumnRows = 64;  // rows per partial of a column, at least
constexpr uint32_t kChunk = kWorkgroup * kRun * kSteps;
constexpr uint32_t kFewPartials = 8;  // per row: an invocation merges them faster than a workgroup

// Per-tensor statistics process a contiguous matrix as one long row.
bool flattened(uint32_t granularity, uint32_t rows, uint32_t cols, uint32_t stride) {
  return granularity == NIB_GRANULARITY_TENSOR && (rows == 1 || stride == cols);
}

}  // namespace

uint64_t statisticsPartials(uint32_t granularity, uint32_t rows, uint32_t cols, uint32_t stride) {
  if (granularity == NIB_GRANULARITY_COLUMN) return ceilDiv(rows, kColumnRows) * cols;
  if (flattened(granularity, rows, cols, stride)) return ceilDiv(uint64_t(rows) * cols, kChunk);
  return rows * ceilDiv(cols, kChunk);
}

void statisticsSmallDims(uint32_t granularity, uint32_t rows, uint32_t cols, uint32_t stride, SmallDims* list) {
  const Dims whole{rows, cols};
  if (granularity == NIB_GRANULARITY_COLUMN) {
    if (rows == 1) addDimsAbove(kWorkgroup * kRun, whole, list);
    addColumnDims(whole, colsAbove(256, cols), list);
    if (cols > kWorkgroup * kRun) addColumnDims(whole, colsAbove(kWorkgroup * kRun, cols), list);
    return;
  }
  addDimsAbove(kChunk, whole, list);
  const bool long_rows = granularity == NIB_GRANULARITY_ROW && cols > kFewPartials * kChunk;
  if (long_rows) addDimsAbove(kFewPartials * kChunk, whole, list);
  // A CPU's invocations process so many chunks alone, 128 in a workgroup.
  if (!avoidsExchange(kCpuDeviceType, statisticsPartials(granularity, rows, cols, stride))) return;
  constexpr uint32_t kSolo = kWorkgroup * kChunk;
  if (rows == 1 || flattened(granularity, rows, cols, stride)) {
    const uint32_t few = rows == 1 ? 1 : 3;
    list->add(few, colsAbove(kSolo / few, cols));
  } else if (long_rows) {
    list->add(15, colsAbove(kFewPartials * kChunk, cols));
  } else if (cols > kChunk && (granularity == NIB_GRANULARITY_TENSOR || rows <= kWorkgroup)) {
    list->add(67, colsAbove(kChunk, cols));
  } else {
    // An invocation merges the partial results of a row.
    list->add(139, colsAbove(cols > kChunk ? kChunk : 256, cols));
  }
}

#if !defined(NIB_NO_VULKAN)

namespace {
NIB_SPEC_STRUCT(ReduceSpec, REDUCE_SPEC)
NIB_SPEC_STRUCT(CombineSpec, COMBINE_SPEC)
NIB_SPEC_STRUCT(SumSpec, SUM_SPEC)
NIB_SPEC_STRUCT(MeanSpec, MEAN_SPEC)

// How kernels traverse the matrix in chunks, each with a partial result, and how they merge the partial results.
struct Walk {
  bool columns, flat, tensor;
  bool solo;        // an invocation processes a chunk, instead of a workgroup
  bool solo_merge;  // an invocation merges a row's partial results, instead of a workgroup
  bool vec, wide;
  uint32_t steps, chunks;
  uint32_t push_chunks;     // of reduce and sum
  uint32_t chunk_elements;  // of combine and mean
  TileRule tiles, merge_tiles;
  Slot source;
  uint64_t tile_bytes;
};

Walk walkOf(const Statistics& s, const PlanBuilder& builder) {
  const uint64_t bytes = typeBytes(s.source_type);
  Walk w{};
  w.columns = s.granularity == NIB_GRANULARITY_COLUMN;
  w.flat = flattened(s.granularity, s.rows, s.cols, s.stride);
  w.tensor = s.granularity == NIB_GRANULARITY_TENSOR;
  const uint64_t partials = statisticsPartials(s.granularity, s.rows, s.cols, s.stride);
  w.solo = !w.columns && avoidsExchange(builder.caps().device_type, partials);
  // The scratch size is the same on every device; one with longer chunks uses less of it.
  const uint32_t column_rows = columnRows(builder.caps().device_type, s.rows, kColumnRows);
  w.steps = w.columns ? column_rows : w.solo ? kChunk / kRun : kSteps;
  w.vec = w.flat ? uint64_t(s.rows) * s.cols % 4 == 0 && s.cols % 4 == 0 : vectorized(s.rows, s.cols, s.stride);
  // A contiguous matrix whose rows are multiples of eight is one such row.
  w.wide = wide(w.flat ? 1u : s.rows, s.cols, s.stride, bytes);
  w.chunks = uint32_t(ceilDiv(s.cols, w.columns ? kWorkgroup * kRun : kChunk));
  w.push_chunks = w.flat ? UINT32_MAX : w.chunks;
  w.chunk_elements = w.columns ? column_rows : kChunk;
  w.solo_merge = !w.columns && !w.tensor && w.chunks <= kFewPartials;
  const uint32_t tile_chunks = w.solo ? kWorkgroup : 1u;
  if (w.columns) {
    w.tiles.row_block = column_rows;
    w.tiles.mul = w.chunks;
    w.source = itemSlot(NIB_ROLE_INPUT, 0, s.stride * bytes, kWorkgroup * kRun * bytes, s.cols * bytes);
    w.tile_bytes = uint64_t(kWorkgroup) * kRun * column_rows * bytes;
    w.merge_tiles.fixed = uint32_t(ceilDiv(s.cols, kWorkgroup));
    return w;
  }
  w.tile_bytes = kChunk * bytes * tile_chunks;
  if (w.flat) {
    w.tiles.mul = s.cols;
    w.tiles.div = uint64_t(kChunk) * tile_chunks;
    w.source = itemSlot(NIB_ROLE_INPUT, 0, s.cols * bytes, bytes, s.cols * bytes);
  } else {
    w.tiles.mul = w.chunks;
    w.tiles.div = tile_chunks;
    w.source = itemSlot(NIB_ROLE_INPUT, 0, s.stride * bytes, kChunk * bytes, s.cols * bytes);
  }
  if (w.tensor) {
    w.merge_tiles.fixed = 1;
  } else if (w.solo_merge) {
    w.merge_tiles.div = kWorkgroup;
  }
  return w;
}

constexpr uint64_t kMergeTileBytes = uint64_t(kWorkgroup) * 64;

}  // namespace

NibResult addStatistics(const Statistics& s, PlanBuilder& builder) {
  const Walk w = walkOf(s, builder);
  ReduceSpec reduce;
  // The chunk size determines the scratch size, so the workgroup has the size that every device supports.
  reduce.WG = kWorkgroup;
  reduce.STEPS = w.steps;
  reduce.SOLO = w.solo;
  reduce.WHAT = uint32_t(s.what);
  reduce.SOURCE_TYPE = s.source_type;
  reduce.VEC = w.vec;
  reduce.WIDE = w.wide;
  reduce.STATUS = s.status;
  reduce.COLUMNS = w.columns;
  reduce.FLATTEN = w.flat;
  const ReducePush reduce_push{{}, s.cols, s.stride, w.push_chunks, s.partial_word};
  const Slot reduce_slots[kSlotCount] = {Slot{}, w.source, Slot{}, wholeSlot(NIB_ROLE_AUX)};
  NibResult result =
      builder.add("reduce", 0, reduce, reduce_push, kWorkgroup * 12, w.tiles, reduce_slots, w.tile_bytes);
  if (result != NIB_SUCCESS) return result;

  CombineSpec combine;
  combine.WG = kWorkgroup;
  combine.COLUMNS = w.columns;
  combine.TENSOR = w.tensor;
  combine.FLATTEN = w.flat;
  combine.SOLO = w.solo_merge;
  const CombinePush combine_push{{}, s.cols, w.chunks, w.chunk_elements, s.partial_word, s.result_word};
  const bool rows_of_output = s.result_role == NIB_ROLE_OUTPUT && s.granularity == NIB_GRANULARITY_ROW;
  const Slot result_slot = wholeSlot(s.result_role).moving(rows_of_output ? sizeof(NibExtent) : 0);
  const Slot combine_slots[kSlotCount] = {Slot{}, Slot{}, result_slot, wholeSlot(NIB_ROLE_AUX)};
  return builder.add("combine", 0, combine, combine_push, kWorkgroup * 12, w.merge_tiles, combine_slots,
                     kMergeTileBytes);
}

NibResult addMeans(const Statistics& s, PlanBuilder& builder) {
  const Walk w = walkOf(s, builder);
  SumSpec sum;
  sum.WG = kWorkgroup;
  sum.STEPS = w.steps;
  sum.SOURCE_TYPE = s.source_type;
  sum.VEC = w.vec;
  sum.WIDE = w.wide;
  sum.COLUMNS = w.columns;
  sum.SOLO = w.solo;
  sum.FLATTEN = w.flat;
  sum.TENSOR = w.tensor;
  const SumPush sum_push{{}, s.cols, s.stride, w.push_chunks, s.partial_word, s.result_word};
  const Slot sum_slots[kSlotCount] = {Slot{}, w.source, Slot{}, wholeSlot(NIB_ROLE_AUX)};
  NibResult result = builder.add("sum", 0, sum, sum_push, kWorkgroup * 16, w.tiles, sum_slots, w.tile_bytes);
  if (result != NIB_SUCCESS) return result;

  MeanSpec mean;
  mean.WG = kWorkgroup;
  mean.COLUMNS = w.columns;
  mean.TENSOR = w.tensor;
  mean.FLATTEN = w.flat;
  mean.SOLO = w.solo_merge;
  const MeanPush mean_push{{}, s.cols, w.chunks, w.chunk_elements, s.partial_word, s.result_word};
  const Slot mean_slots[kSlotCount] = {Slot{}, Slot{}, Slot{}, wholeSlot(NIB_ROLE_AUX)};
  return builder.add("mean", 0, mean, mean_push, kWorkgroup * 16, w.merge_tiles, mean_slots, kMergeTileBytes);
}

#endif

}  // namespace nib
