// NIB_OP_HISTOGRAM: validation, memory, kernels. Four phases: partial extents, extents, widening the histograms to
// larger values, counting.
#include "plan/op.h"

#include <cstring>

#include "formats/geometry.h"
#include "ops/source_desc.h"
#include "ops/statistics.h"
#include "ops/tuning.h"
#include "plan/probe.h"
#include "reference/histogram.h"
#include "reference/reference.h"

#if !defined(NIB_NO_VULKAN)
#include "ops/dense_spec.h"
#include "plan/plan.h"
#include "shaders/ops/histogram.h"
#include "shaders/ops/widen.h"
#endif

namespace nib {
namespace {

static_assert(sizeof(NibHistogramHead) == 8 * 4, "histogram.glsl has heads of eight words");

constexpr uint32_t kWorkgroup = 128;  // every device supports it, and no histogram has fewer bins
constexpr uint32_t kRun = 8;
constexpr uint32_t kSteps = 32;      // runs per invocation: a workgroup adds to every bin once, for 32768 elements
constexpr uint32_t kCpuSteps = 256;  // a CPU needs no more workgroups than it has threads

uint32_t strideOf(const NibHistogramDesc& d) { return d.source_stride != 0 ? d.source_stride : d.cols; }

NibResult checkKind(const NibHistogramDesc& d, const Log& log) {
  if ((d.flags & ~uint32_t(NIB_HISTOGRAM_SIGNED | NIB_HISTOGRAM_ACCUMULATE)) != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "histogram: flags 0x%x has unknown bits", d.flags);
  }
  if (d.granularity > NIB_GRANULARITY_COLUMN) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "histogram: granularity %u must be TENSOR, ROW or COLUMN",
                    d.granularity);
  }
  if (d.bins < NIB_HISTOGRAM_MIN_BINS || d.bins > NIB_HISTOGRAM_MAX_BINS || (d.bins & (d.bins - 1)) != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "histogram: bins %u must be a power of two from %d to %d", d.bins,
                    int(NIB_HISTOGRAM_MIN_BINS), int(NIB_HISTOGRAM_MAX_BINS));
  }
  // Kernels count words of the output range in 32 bits.
  const uint64_t histograms = histogramCount(d);
  if (histograms * d.bins > kMaxElements / 4) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "histogram: bins %u for each of %llu histograms are more than 2^30 - 2^19 together", d.bins,
                    (unsigned long long)histograms);
  }
  return NIB_SUCCESS;
}

uint64_t partialBytes(const NibHistogramDesc& d) {
  return statisticsPartials(d.granularity, d.rows, d.cols, strideOf(d)) * 16u;
}

NibResult getMemory(const NibHistogramDesc& d, const Log& log, NibMemory* memory) {
  uint32_t stride = d.source_stride;
  NibResult result = checkDense("histogram", "source", d.rows, d.cols, d.source_type, false, log, &stride);
  if (result == NIB_SUCCESS) result = checkKind(d, log);
  if (result != NIB_SUCCESS) return result;
  const uint64_t count = histogramCount(d);
  setRange(memory, NIB_ROLE_INPUT, denseBytes(d.rows, d.cols, d.source_type, stride));
  const uint64_t heads = count * sizeof(NibHistogramHead), counts = count * d.bins * 8u;
  const uint64_t counts_offset = alignUp(heads, kPartAlignmentBytes);
  setRange(memory, NIB_ROLE_OUTPUT, counts_offset + counts);
  setPart(memory, NIB_PART_HEADS, 0, heads);
  setPart(memory, NIB_PART_COUNTS, counts_offset, counts);
  const uint64_t scratch = partialBytes(d) + count * sizeof(NibExtent);
  setRange(memory, NIB_ROLE_AUX, scratch);
  setPart(memory, NIB_PART_SCRATCH, 0, scratch);
  return NIB_SUCCESS;
}

// Histograms to accumulate into: of values smaller than, as large as and larger than the source's, and empty ones.
void fillHistograms(const NibHistogramDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  auto* heads = partOf<uint8_t>(memory, binding, NIB_ROLE_OUTPUT, NIB_PART_HEADS);
  auto* counts = partOf<uint32_t>(memory, binding, NIB_ROLE_OUTPUT, NIB_PART_COUNTS);
  constexpr uint32_t kExponents[] = {123, 0, 132, 140, 0, 131};
  probe::Sequence sequence(0x51ed270bu);
  for (uint64_t h = 0; h < histogramCount(d); ++h) {
    const uint32_t exponent = kExponents[h % 6];
    const NibHistogramHead head{exponent, 0, exponent != 0 ? -0.5f : 0.0f, exponent != 0 ? 0.25f : 0.0f, exponent, h};
    std::memcpy(heads + h * sizeof head, &head, sizeof head);
    for (uint32_t i = 0; i < 2 * d.bins; ++i) {
      const bool low = i % 2 == 0;
      // Low words close to overflow, so that carries occur.
      counts[h * 2 * d.bins + i] = exponent == 0 ? 0u
                                   : low         ? 0xfffffff0u + sequence.next() % 16u
                                                 : sequence.next() % 8u;
    }
  }
}

void fillProbe(const NibHistogramDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  probe::fillDense(binding.range[NIB_ROLE_INPUT].data, d.source_type, memory.range[NIB_ROLE_INPUT].size_bytes,
                   0x9e3779b9u);
  if ((d.flags & NIB_HISTOGRAM_ACCUMULATE) != 0) fillHistograms(d, memory, binding);
}

void smallDims(const NibHistogramDesc& d, SmallDims* list) {
  const Dims whole{d.rows, d.cols};
  if (d.granularity == NIB_GRANULARITY_COLUMN) {
    // Large histograms of many columns would exceed the limit of a small problem.
    if (d.rows == 1) list->add(1, colsAbove(kWorkgroup, d.cols));
    addColumnDims(whole, colsAbove(kWorkgroup, d.cols), list);
  } else {
    for (const uint32_t steps : {kSteps, kCpuSteps}) {
      const uint32_t chunk = kWorkgroup * kRun * steps;
      if (d.cols > chunk) {
        addDimsAbove(chunk, whole, list);
      } else if (d.granularity == NIB_GRANULARITY_TENSOR && uint64_t(d.rows) * d.cols > chunk) {
        list->add(3, colsAbove(chunk / 3, d.cols));
      }
    }
  }
  statisticsSmallDims(d.granularity, d.rows, d.cols, strideOf(d), list);
}

bool accumulates(const NibHistogramDesc& d) { return (d.flags & NIB_HISTOGRAM_ACCUMULATE) != 0; }

#if !defined(NIB_NO_VULKAN)

constexpr uint32_t kColumnRows = 64;

NIB_SPEC_STRUCT(HistogramSpec, HISTOGRAM_SPEC)
NIB_SPEC_STRUCT(WidenSpec, WIDEN_SPEC)

Slot histogramsSlot() { return wholeSlot(NIB_ROLE_OUTPUT).of(NIB_PART_HEADS, {NIB_PART_COUNTS}); }

NibResult addWiden(const NibHistogramDesc& d, uint32_t extent_word, uint32_t count_word, PlanBuilder& builder) {
  WidenSpec spec;
  spec.WG = kWorkgroup;
  spec.BINS = d.bins;
  spec.SIGNED = (d.flags & NIB_HISTOGRAM_SIGNED) != 0;
  spec.FRESH = (d.flags & NIB_HISTOGRAM_ACCUMULATE) == 0;
  const bool row = d.granularity == NIB_GRANULARITY_ROW;
  const WidenPush push{
      {}, d.granularity == NIB_GRANULARITY_COLUMN ? 1u : d.cols, row ? 0u : 1u, extent_word, count_word};
  TileRule tiles;
  if (!row) tiles.fixed = uint32_t(histogramCount(d));
  const Slot slots[kSlotCount] = {Slot{}, Slot{}, histogramsSlot(), wholeSlot(NIB_ROLE_AUX)};
  return builder.add("widen", 0, spec, push, 0, tiles, slots, uint64_t(d.bins) * 8u,
                     {{&push.count_word, NIB_PART_COUNTS, 2}});
}

NibResult addCounts(const NibHistogramDesc& d, uint32_t count_word, PlanBuilder& builder) {
  const uint32_t stride = strideOf(d);
  const uint64_t bytes = typeBytes(d.source_type);
  const bool columns = d.granularity == NIB_GRANULARITY_COLUMN, tensor = d.granularity == NIB_GRANULARITY_TENSOR;
  const bool flat = tensor && (d.rows == 1 || stride == d.cols);
  const uint32_t column_rows = columnRows(builder.caps().device_type, d.rows, kColumnRows);
  const uint32_t steps = isCpu(builder.caps().device_type) ? kCpuSteps : kSteps;
  const uint64_t chunk = uint64_t(kWorkgroup) * kRun * steps;
  HistogramSpec spec;
  spec.WG = kWorkgroup;
  spec.STEPS = columns ? column_rows : steps;
  spec.SOURCE_TYPE = d.source_type;
  spec.BINS = d.bins;
  spec.SIGNED = (d.flags & NIB_HISTOGRAM_SIGNED) != 0;
  spec.SHARED = columns ? 1u : d.bins;
  // A CPU's atomic additions rarely contend, but branches cost it time.
  spec.RUNS = !isCpu(builder.caps().device_type);
  spec.SIDE_LOG = 0;
  for (const uint32_t side = spec.SIGNED ? d.bins / 2 : d.bins; 1u << spec.SIDE_LOG < side;) ++spec.SIDE_LOG;
  spec.VEC = flat ? d.cols % 4u == 0 : vectorized(d.rows, d.cols, stride);
  spec.WIDE = wide(flat ? 1u : d.rows, d.cols, stride, bytes);
  spec.COLUMNS = columns;
  spec.TENSOR = tensor;
  spec.FLATTEN = flat;
  const uint32_t chunks = uint32_t(ceilDiv(d.cols, columns ? kWorkgroup : chunk));
  const HistogramPush push{{}, d.cols, stride, chunks, count_word};
  TileRule tiles;
  Slot source;
  uint64_t tile_bytes = chunk * bytes;
  if (columns) {
    tiles.row_block = column_rows;
    tiles.mul = chunks;
    source = itemSlot(NIB_ROLE_INPUT, 0, stride * bytes, kWorkgroup * bytes, d.cols * bytes);
    tile_bytes = uint64_t(kWorkgroup) * column_rows * bytes;
  } else if (flat) {
    tiles.mul = d.cols;
    tiles.div = chunk;
    source = itemSlot(NIB_ROLE_INPUT, 0, d.cols * bytes, bytes, d.cols * bytes);
  } else {
    tiles.mul = chunks;
    source = itemSlot(NIB_ROLE_INPUT, 0, stride * bytes, chunk * bytes, d.cols * bytes);
  }
  const Slot slots[kSlotCount] = {Slot{}, source, histogramsSlot(), Slot{}};
  return builder.add("histogram", 0, spec, push, spec.SHARED * 4u, tiles, slots, tile_bytes,
                     {{&push.count_word, NIB_PART_COUNTS, 2}});
}

NibResult build(const NibHistogramDesc& d, const NibMemory& memory, PlanBuilder& builder) {
  const uint32_t extent_word = uint32_t(partialBytes(d) / 4u);
  const uint32_t count_word = uint32_t(memory.part[NIB_PART_COUNTS].offset_bytes / 4u);
  const Statistics statistics{ExtentOf::kFinite, d.granularity, d.rows, d.cols,       strideOf(d),
                              d.source_type,     false,         0,      NIB_ROLE_AUX, extent_word};
  NibResult result = addStatistics(statistics, builder);
  if (result == NIB_SUCCESS) result = addWiden(d, extent_word, count_word, builder);
  if (result == NIB_SUCCESS) result = addCounts(d, count_word, builder);
  return result;
}

#endif

constexpr Op<NibHistogramDesc> kHistogram = {
    .op = NIB_OP_HISTOGRAM,
    .name = "histogram",
    .getMemory = getMemory,
    .runRows =
        [](const NibHistogramDesc& d) {
          return RunRows{d.rows, false, d.granularity == NIB_GRANULARITY_ROW ? d.rows : 0};
        },
    .runReference = histogramReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims = sourceDims<NibHistogramDesc>,
    .resized = resizedSource<NibHistogramDesc>,
    .smallDims = smallDims,
    .fillProbe = fillProbe,
    .accumulates = accumulates,
};

}  // namespace

NIB_DEFINE_OP(histogram, NibHistogramDesc, kHistogram)

}  // namespace nib
