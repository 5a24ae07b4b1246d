// NIB_OP_LOG_HISTOGRAM: validation, memory, kernel.
#include "plan/op.h"

#include "formats/geometry.h"
#include "ops/source_desc.h"
#include "ops/tuning.h"
#include "reference/reference.h"

#if !defined(NIB_NO_VULKAN)
#include "ops/dense_spec.h"
#include "plan/plan.h"
#include "shaders/ops/log_histogram.h"
#endif

namespace nib {
namespace {

constexpr uint32_t kWorkgroup = 128;
constexpr uint32_t kColumnWorkgroup = 64;  // a small problem has more columns, each with all bins
constexpr uint32_t kRun = 8;
constexpr uint32_t kSteps = 32;      // runs per invocation
constexpr uint32_t kCpuSteps = 256;  // a CPU needs no more workgroups than it has threads

uint32_t strideOf(const NibLogHistogramDesc& d) { return d.source_stride != 0 ? d.source_stride : d.cols; }

bool byColumn(const NibLogHistogramDesc& d) { return d.granularity == NIB_GRANULARITY_COLUMN; }

uint64_t countsOf(const NibLogHistogramDesc& d) {
  return uint64_t(byColumn(d) ? d.cols : 1u) * NIB_LOG_HISTOGRAM_BINS(d.mantissa_bits);
}

NibResult getMemory(const NibLogHistogramDesc& d, const Log& log, NibMemory* memory) {
  uint32_t stride = d.source_stride;
  const NibResult result = checkDense("log_histogram", "source", d.rows, d.cols, d.source_type, false, log, &stride);
  if (result != NIB_SUCCESS) return result;
  if (d.flags != 0) return log.fail(NIB_ERROR_INVALID_ARGUMENT, "log_histogram: flags 0x%x has unknown bits", d.flags);
  if (d.granularity != NIB_GRANULARITY_TENSOR && !byColumn(d)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "log_histogram: granularity %u must be TENSOR or COLUMN",
                    d.granularity);
  }
  const uint32_t most = uint32_t(byColumn(d) ? +NIB_LOG_HISTOGRAM_MAX_COLUMN_BITS : +NIB_LOG_HISTOGRAM_MAX_BITS);
  if (d.mantissa_bits > most) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "log_histogram: mantissa_bits %u must be at most %u", d.mantissa_bits,
                    most);
  }
  // Kernels count words of the output range in 32 bits.
  if (countsOf(d) > kMaxElements / 4) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "log_histogram: mantissa_bits %u for each of %u columns give more than 2^30 - 2^19 bins together",
                    d.mantissa_bits, d.cols);
  }
  setRange(memory, NIB_ROLE_INPUT, denseBytes(d.rows, d.cols, d.source_type, stride));
  setRange(memory, NIB_ROLE_OUTPUT, countsOf(d) * 8u);
  return NIB_SUCCESS;
}

void fillProbe(const NibLogHistogramDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  fillSourceProbe(d, memory, binding);
  auto* words = static_cast<uint32_t*>(binding.range[NIB_ROLE_OUTPUT].data);
  probe::Sequence sequence(0x51ed270bu);
  for (uint64_t i = 0; i < 2 * countsOf(d); ++i) {
    // Low words close to overflow, so that carries occur.
    words[i] = i % 2 == 0 ? 0xfffffff0u + sequence.next() % 16u : sequence.next() % 8u;
  }
}

void smallDims(const NibLogHistogramDesc& d, SmallDims* list) {
  const Dims whole{d.rows, d.cols};
  if (byColumn(d)) {
    const uint32_t cols = colsAbove(kColumnWorkgroup, d.cols);
    if (d.rows == 1) list->add(1, cols);
    addColumnDims(whole, cols, list);
    return;
  }
  usualSmallDims(whole, list);
  for (const uint32_t steps : {kSteps, kCpuSteps}) {
    const uint32_t chunk = kWorkgroup * kRun * steps;
    if (d.cols > chunk) {
      addDimsAbove(chunk, whole, list);
    } else if (uint64_t(d.rows) * d.cols > chunk) {
      list->add(3, colsAbove(chunk / 3, d.cols));
    }
  }
}

#if !defined(NIB_NO_VULKAN)

constexpr uint32_t kColumnRows = 64;

NIB_SPEC_STRUCT(LogHistogramSpec, LOG_HISTOGRAM_SPEC)

NibResult build(const NibLogHistogramDesc& d, const NibMemory&, PlanBuilder& builder) {
  const uint32_t stride = strideOf(d);
  const uint64_t bytes = typeBytes(d.source_type);
  const bool columns = byColumn(d), flat = !columns && (d.rows == 1 || stride == d.cols);
  const uint32_t steps = columns ? columnRows(builder.caps().device_type, d.rows, kColumnRows)
                         : isCpu(builder.caps().device_type) ? kCpuSteps
                                                             : kSteps;
  const uint64_t chunk = uint64_t(kWorkgroup) * kRun * steps;
  LogHistogramSpec spec;
  spec.WG = columns ? kColumnWorkgroup : kWorkgroup;
  spec.STEPS = steps;
  spec.SOURCE_TYPE = d.source_type;
  spec.MANTISSA_BITS = d.mantissa_bits;
  spec.VEC = flat ? d.cols % 4u == 0 : vectorized(d.rows, d.cols, stride);
  spec.WIDE = wide(flat ? 1u : d.rows, d.cols, stride, bytes);
  spec.COLUMNS = columns;
  spec.FLATTEN = flat;
  const uint32_t chunks = uint32_t(ceilDiv(d.cols, columns ? kColumnWorkgroup : chunk));
  const LogHistogramPush push{{}, d.cols, stride, chunks};
  TileRule tiles;
  Slot source;
  uint64_t tile_bytes = chunk * bytes;
  if (columns) {
    tiles.row_block = steps;
    tiles.mul = chunks;
    source = itemSlot(NIB_ROLE_INPUT, 0, stride * bytes, kColumnWorkgroup * bytes, d.cols * bytes);
    tile_bytes = uint64_t(kColumnWorkgroup) * steps * bytes;
  } else if (flat) {
    tiles.mul = d.cols;
    tiles.div = chunk;
    source = itemSlot(NIB_ROLE_INPUT, 0, d.cols * bytes, bytes, d.cols * bytes);
  } else {
    tiles.mul = chunks;
    source = itemSlot(NIB_ROLE_INPUT, 0, stride * bytes, chunk * bytes, d.cols * bytes);
  }
  const Slot slots[kSlotCount] = {Slot{}, source, wholeSlot(NIB_ROLE_OUTPUT), Slot{}};
  return builder.add("log_histogram", 0, spec, push, 4, tiles, slots, tile_bytes);
}

#endif

constexpr Op<NibLogHistogramDesc> kLogHistogram = {
    .op = NIB_OP_LOG_HISTOGRAM,
    .name = "log_histogram",
    .getMemory = getMemory,
    .runRows = sourceRunRows<NibLogHistogramDesc>,
    .runReference = logHistogramReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims = sourceDims<NibLogHistogramDesc>,
    .resized = resizedSource<NibLogHistogramDesc>,
    .smallDims = smallDims,
    .fillProbe = fillProbe,
    .accumulates = [](const NibLogHistogramDesc&) { return true; },
};

}  // namespace

NIB_DEFINE_OP(log_histogram, NibLogHistogramDesc, kLogHistogram)

}  // namespace nib
