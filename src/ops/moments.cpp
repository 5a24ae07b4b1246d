// NIB_OP_MOMENTS: validation, memory, kernel.
#include "plan/op.h"

#include "formats/geometry.h"
#include "ops/source_desc.h"
#include "ops/tuning.h"
#include "reference/reference.h"

#if !defined(NIB_NO_VULKAN)
#include "ops/dense_spec.h"
#include "plan/plan.h"
#include "shaders/ops/moments.h"
#endif

namespace nib {
namespace {

static_assert(sizeof(NibMomentTile) == 8 * 4, "moments.comp writes eight words");

uint64_t tileCount(const NibMomentsDesc& d) {
  if (d.granularity == NIB_GRANULARITY_COLUMN) return ceilDiv(d.rows, NIB_MOMENT_ROWS) * d.cols;
  return ceilDiv(uint64_t(d.rows) * d.cols, NIB_MOMENT_TILE);
}

NibResult getMemory(const NibMomentsDesc& d, const Log& log, NibMemory* memory) {
  uint32_t stride = d.source_stride;
  const NibResult result = checkDense("moments", "source", d.rows, d.cols, d.source_type, false, log, &stride);
  if (result != NIB_SUCCESS) return result;
  if (d.flags != 0) return log.fail(NIB_ERROR_INVALID_ARGUMENT, "moments: flags 0x%x has unknown bits", d.flags);
  if (d.granularity != NIB_GRANULARITY_TENSOR && d.granularity != NIB_GRANULARITY_COLUMN) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "moments: granularity %u must be TENSOR or COLUMN", d.granularity);
  }
  setRange(memory, NIB_ROLE_INPUT, denseBytes(d.rows, d.cols, d.source_type, stride));
  setRange(memory, NIB_ROLE_OUTPUT, tileCount(d) * sizeof(NibMomentTile));
  return NIB_SUCCESS;
}

// Tiles that a CPU's workgroup processes, one in an invocation, if there are enough of them.
constexpr uint32_t kSoloWorkgroup = 32;

void smallDims(const NibMomentsDesc& d, SmallDims* list) {
  const Dims whole{d.rows, d.cols};
  if (d.granularity == NIB_GRANULARITY_COLUMN) {
    const uint32_t cols = colsAbove(256, d.cols);
    list->add(ampleRows(d.rows, cols, NIB_MOMENT_ROWS + 5), cols);
    if (d.rows == 1) addDimsAbove(NIB_MOMENT_TILE, whole, list);
    return;
  }
  addDimsAbove(NIB_MOMENT_TILE, whole, list);
  if (avoidsExchange(kCpuDeviceType, tileCount(d))) addDimsAbove(kSoloWorkgroup * NIB_MOMENT_TILE, whole, list);
}

#if !defined(NIB_NO_VULKAN)

constexpr uint32_t kWorkgroup = NIB_MOMENT_TILE / 8;  // one invocation per leaf of the summation tree
constexpr uint32_t kSharedBytes = 144 * 8 + 16 * 8 + 2 * 144 * 8 + 2 * 16 * 8;

NIB_SPEC_STRUCT(MomentsSpec, MOMENTS_SPEC)

NibResult build(const NibMomentsDesc& d, const NibMemory&, PlanBuilder& builder) {
  const uint32_t stride = d.source_stride != 0 ? d.source_stride : d.cols;
  const uint64_t bytes = typeBytes(d.source_type);
  const bool columns = d.granularity == NIB_GRANULARITY_COLUMN;
  MomentsSpec spec;
  spec.SOURCE_TYPE = d.source_type;
  spec.COLUMNS = columns;
  spec.FLATTEN = !columns && (d.rows == 1 || stride == d.cols);
  // If rows are not multiples of four, neither is the end of the matrix, and a load of four could cross it.
  spec.VEC = spec.FLATTEN && d.cols % 4u == 0;
  spec.WIDE = spec.FLATTEN && wide(1, d.cols, stride, bytes);
  spec.SOLO = !columns && avoidsExchange(builder.caps().device_type, tileCount(d));
  spec.WG = spec.SOLO ? kSoloWorkgroup : kWorkgroup;
  const uint32_t chunks = uint32_t(ceilDiv(d.cols, kWorkgroup));
  const MomentsPush push{{}, d.cols, stride, chunks};
  TileRule tiles;
  Slot source = itemSlot(NIB_ROLE_INPUT, 0, stride * bytes, bytes, d.cols * bytes);
  uint64_t tile_bytes;
  if (columns) {
    tiles.row_block = NIB_MOMENT_ROWS;
    tiles.mul = chunks;
    source.item_bytes = kWorkgroup * bytes;
    tile_bytes = uint64_t(kWorkgroup) * NIB_MOMENT_ROWS * bytes;
  } else {
    tiles.mul = d.cols;
    tiles.div = uint64_t(NIB_MOMENT_TILE) * (spec.SOLO ? kSoloWorkgroup : 1u);
    tile_bytes = tiles.div * bytes;
  }
  const Slot slots[kSlotCount] = {Slot{}, source, wholeSlot(NIB_ROLE_OUTPUT), Slot{}};
  return builder.add("moments", 0, spec, push, kSharedBytes, tiles, slots, tile_bytes);
}

#endif

constexpr Op<NibMomentsDesc> kMoments = {
    .op = NIB_OP_MOMENTS,
    .name = "moments",
    .getMemory = getMemory,
    .runRows = sourceRunRows<NibMomentsDesc>,
    .runReference = momentsReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims = sourceDims<NibMomentsDesc>,
    .resized = resizedSource<NibMomentsDesc>,
    .smallDims = smallDims,
    .fillProbe = fillSourceProbe<NibMomentsDesc>,
};

}  // namespace

NIB_DEFINE_OP(moments, NibMomentsDesc, kMoments)

}  // namespace nib
