// Chooses the kernel of an int8 product and binds its ranges.
#include "plan/plan.h"

#include <nibble/formats.h>

#include "numerics/exact.h"
#include "ops/dense_spec.h"
#include "ops/int8_product.h"
#include "ops/int8_tuning.h"
#include "shaders/ops/dynamic_gemm.h"
#include "shaders/ops/int8_gemm.h"
#include "shaders/ops/int8_gemm_matrices.h"
#include "shaders/ops/int8_gemm_rows.h"
#include "shaders/ops/int8_gemm_tiles.h"
#include "vk/compat.h"

namespace nib {
namespace {

NIB_SPEC_STRUCT(DynamicGemmSpec, DYNAMIC_GEMM_SPEC)
NIB_SPEC_STRUCT(Int8GemmSpec, INT8_GEMM_SPEC)
NIB_SPEC_STRUCT(Int8GemmRowsSpec, INT8_GEMM_ROWS_SPEC)
NIB_SPEC_STRUCT(Int8GemmTilesSpec, INT8_GEMM_TILES_SPEC)
NIB_SPEC_STRUCT(Int8GemmMatricesSpec, INT8_GEMM_MATRICES_SPEC)

// W_CODES and X_CODES of the kernels.
uint32_t codesOf(const NibWeights& weights) {
  if (weights.format == NIB_FORMAT_INT8) return 0;
  return weights.format == NIB_FORMAT_UINT8 ? 1u : 2u;
}

uint32_t scaleStride(const NibWeights& weights, const Geometry& g) {
  return weights.granularity == NIB_GRANULARITY_TENSOR ? 0u : g.scale_row_stride;
}

// One of the two operands may be larger than a storage range. Its codes are bound by windows, and its scales and the
// parts after them by a separate binding. It is the weights, unless the input does not fit.
struct Separate {
  bool weights, input;
};

Separate chooseSeparate(const Int8Product& p, const PlanBuilder& builder) {
  if (p.desc.batch > 1) return {false, false};
  return p.input.blob_bytes <= builder.largestWindow() ? Separate{true, false} : Separate{false, true};
}

template <class Spec>
Spec specOf(const Int8Product& p, const Separate& separate) {
  const NibInt8GemmDesc& d = p.desc;
  Spec spec;
  spec.W_CODES = codesOf(d.weights);
  spec.X_CODES = codesOf(d.input);
  spec.W_ASYM = (d.weights.flags & NIB_WEIGHTS_ASYMMETRIC) != 0;
  spec.X_ASYM = (d.input.flags & NIB_WEIGHTS_ASYMMETRIC) != 0;
  spec.W_SCALE = d.weights.scale_type;
  spec.X_SCALE = d.input.scale_type;
  spec.GROUPED = p.grouped;
  spec.SMALL_SUMS = hasSmallSums(p);
  spec.FULL = d.cols % 4 == 0;
  const uint32_t weights_four = spec.W_CODES == 2u ? 2u : 4u;  // words of 16 codes
  spec.VEC = p.weights.row_words % weights_four == 0 && p.input.row_words % 4 == 0;
  spec.RESULT_TYPE = d.result_type;
  spec.BIAS = p.bias_offset != 0;
  spec.ACTIVATION = d.activation;
  spec.RESIDUAL = (d.flags & NIB_PRODUCT_RESIDUAL) != 0;
  spec.W_SEPARATE = separate.weights;
  spec.X_SEPARATE = separate.input;
  spec.OUTLIERS = p.max_outliers;
  return spec;
}

uint32_t reciprocalOf(float scale) { return scale != 0 ? exact::nibDivBits(0x3f800000u, exact::bitsOf(scale)) : 0u; }

NibInt8Push pushOf(const Int8Product& p, uint32_t row_blocks) {
  const NibInt8GemmDesc& d = p.desc;
  NibInt8Push push{};
  push.rows = d.rows;
  push.cols = d.cols;
  push.tokens = d.tokens;
  push.batch = d.batch;
  push.row_blocks = row_blocks;
  push.w_row_words = p.weights.row_words;
  push.x_row_words = p.input.row_words;
  push.result_stride = d.result_stride;
  push.segment = p.segment;
  push.w_group = p.weights.group;
  push.x_group = p.input.group;
  push.w_scale_stride = scaleStride(d.weights, p.weights);
  push.x_scale_stride = scaleStride(d.input, p.input);
  push.w_scales_word = uint32_t(p.weights.scales_offset / 4);
  push.w_zeros_word = uint32_t(p.weights.zeros_offset / 4);
  push.bias_word = uint32_t(p.bias_offset / 4);
  push.table_word = uint32_t(p.table_offset / 4);
  push.x_scales_word = uint32_t(p.input.scales_offset / 4);
  push.x_zeros_word = uint32_t(p.input.zeros_offset / 4);
  push.result_scale = exact::bitsOf(d.result_scale);
  push.result_rcp = reciprocalOf(d.result_scale);
  push.table_rcp = reciprocalOf(d.table_scale);
  push.zeros = int32_t(uint32_t(d.table_zero) << 16 | (uint32_t(d.result_zero) & 0xffffu));
  push.outliers_word = uint32_t(p.outliers_offset / 4);
  return push;
}

uint64_t tokenBytes(const Int8Product& p, const StagedInput& input) {
  return uint64_t(p.desc.cols) * typeBytes(input.source_type);
}

// staged: the dense input, which the kernel quantizes; NULL = the input is codes.
template <class Spec>
NibResult addKernel(const char* name, const Int8Product& p, Spec spec, const Int8Tiling& tiling,
                    const Separate& separate, PlanBuilder& builder, const StagedInput* staged = nullptr) {
  const NibInt8GemmDesc& d = p.desc;
  const uint32_t row_blocks = uint32_t(ceilDiv(d.rows, tiling.tile_rows));
  spec.WG = tiling.workgroup;
  TileRule tiles;
  tiles.row_block = tiling.tile_tokens;
  tiles.mul = uint64_t(row_blocks) * d.batch;
  const uint64_t weights_row = uint64_t(p.weights.row_words) * 4u;
  const uint64_t input_row = staged != nullptr ? tokenBytes(p, *staged) : uint64_t(p.input.row_words) * 4u;
  const uint64_t result_bytes = int8ResultBytes(d.result_type);
  const bool windows = d.batch == 1;
  const uint64_t result_row = d.result_stride * result_bytes;
  const std::initializer_list<uint32_t> weights_parts = {NIB_PART_SCALES, NIB_PART_ZEROS, NIB_PART_BIAS,
                                                         NIB_PART_TABLE};
  const std::initializer_list<uint32_t> input_parts = {NIB_PART_INPUT_SCALES, NIB_PART_INPUT_ZEROS};
  Slot slots[kSlotCount] = {wholeSlot(NIB_ROLE_WEIGHTS).of(NIB_PART_CODES, weights_parts),
                            wholeSlot(NIB_ROLE_INPUT).of(NIB_PART_INPUT_CODES, input_parts),
                            wholeSlot(NIB_ROLE_OUTPUT).moving(result_row), Slot{}};
  if (separate.weights) {
    slots[0] =
        sharedSlot(NIB_ROLE_WEIGHTS, 0, weights_row * tiling.tile_rows, p.weights.codes_bytes).of(NIB_PART_CODES);
    slots[3] = tailSlot(NIB_ROLE_WEIGHTS, p.weights.scales_offset).of(kNoPart, weights_parts);
  }
  if (separate.input) {
    slots[1] = itemSlot(NIB_ROLE_INPUT, 0, input_row, 0, input_row).of(NIB_PART_INPUT_CODES).moving();
    slots[3] = tailSlot(NIB_ROLE_INPUT, p.input.scales_offset).of(kNoPart, input_parts);
  }
  const uint32_t weights_slot = separate.weights ? 3 : 0, input_slot = separate.input ? 3 : 1;
  NibInt8Push push = pushOf(p, row_blocks);
  if (staged != nullptr) {
    push.x_row_words = staged->stride;
    slots[1] = itemSlot(NIB_ROLE_INPUT, 0, uint64_t(staged->stride) * typeBytes(staged->source_type), 0, input_row);
  }
  if (windows) {
    slots[2] = itemSlot(NIB_ROLE_OUTPUT, 0, result_row, tiling.tile_rows * result_bytes,
                        wholeWordsBytes(d.rows * result_bytes))
                   .moving();
  }
  // The work of a tile in bytes: what it reads or, if that takes longer, its products at 16 per byte.
  const uint64_t bytes = tiling.tile_rows * weights_row + tiling.tile_tokens * input_row;
  const uint64_t products = uint64_t(tiling.tile_rows) * tiling.tile_tokens * d.cols / 16u;
  return builder.add(name, staged != nullptr ? uint32_t(NIB_FORMAT_INT8) : 0u, spec, push, tiling.shared_bytes, tiles,
                     slots, bytes > products ? bytes : products,
                     {{&push.w_scales_word, NIB_PART_SCALES, weights_slot},
                      {&push.w_zeros_word, NIB_PART_ZEROS, weights_slot},
                      {&push.bias_word, NIB_PART_BIAS, weights_slot},
                      {&push.table_word, NIB_PART_TABLE, weights_slot},
                      {&push.x_scales_word, NIB_PART_INPUT_SCALES, input_slot},
                      {&push.x_zeros_word, NIB_PART_INPUT_ZEROS, input_slot}});
}

// Whether matrices can do it. Sums of groups are scaled as matrices, which know no zero points, and are exact as
// floats.
bool suitsMatrices(const Int8Product& p, const vk::Caps& caps) {
  const NibInt8GemmDesc& d = p.desc;
  if (!usesMatrices(caps.device_type)) return false;
  if (!p.grouped) return true;
  return ((d.weights.flags | d.input.flags) & NIB_WEIGHTS_ASYMMETRIC) == 0 && hasSmallSums(p) &&
         d.result_type != NIB_INT8_RESULT_I32;
}

// Whether the device has matrices of fp32 sums of a shape, in which sums of groups are added up.
bool hasFloatSums(const MatrixShape& shape, const vk::Caps& caps) {
  for (uint32_t i = 0; i < caps.coop_count; ++i) {
    const vk::CoopShape& c = caps.coop[i];
    if (c.m == shape.m && c.n == shape.n && c.c_type == VK_COMPONENT_TYPE_FLOAT32_KHR) return true;
  }
  return false;
}

// The matrix shape of the device with most products per load. False if none fits.
bool findMatrices(const char* kernel, const Int8Product& p, const Int8Dims& dims, const PlanBuilder& builder,
                  Int8MatrixTiling* out) {
  const vk::Caps& caps = builder.caps();
  if (!suitsMatrices(p, caps)) return false;
  const MatrixDevice device = matrixDevice(caps);
  uint64_t best = 0;
  for (uint32_t i = 0; i < caps.coop_count; ++i) {
    const vk::CoopShape& shape = caps.coop[i];
    const bool bytes = shape.a_type == VK_COMPONENT_TYPE_SINT8_KHR && shape.b_type == VK_COMPONENT_TYPE_SINT8_KHR;
    const bool words = shape.c_type == VK_COMPONENT_TYPE_SINT32_KHR && shape.r_type == VK_COMPONENT_TYPE_SINT32_KHR;
    if (!bytes || !words || shape.saturating) continue;
    const MatrixShape of{shape.m, shape.n, shape.k};
    Int8MatrixTiling t;
    if (!chooseInt8Matrices(device, of, dims, &t)) continue;
    if (p.grouped && !hasFloatSums(of, caps)) continue;
    // Full subgroups require that the largest subgroup size divides the workgroup.
    if (t.tiling.workgroup % caps.max_subgroup_size != 0) continue;
    if (!builder.offers(kernel, 0, t.tiling.workgroup, t.tiling.shared_bytes, sizeof(NibInt8Push))) continue;
    const uint64_t reuse = uint64_t(matrixReuse(of)) << 32 | of.k;
    if (reuse > best) *out = t;
    best = reuse > best ? reuse : best;
  }
  return best != 0;
}

Int8Dims dimsOf(const Int8Product& p) { return {p.desc.rows, p.desc.tokens, p.desc.cols, p.segment, p.desc.batch}; }

const char* rowsKernel(const Int8Product& p) { return isBounded(p.desc) ? "int8_gemm_rows_smooth" : "int8_gemm_rows"; }

// The tiling of kernels without cooperative matrices.
Int8Tiling tilingOf(const Int8Product& p, const PlanBuilder& builder) {
  const NibInt8GemmDesc& d = p.desc;
  const bool rows = builder.offers(rowsKernel(p), 0, kInt8RowsWorkgroup, 0, sizeof(NibInt8Push));
  const vk::Caps& caps = builder.caps();
  // Devices whose subgroups may have less than 32 invocations have few registers for each.
  const bool few_registers =
      !isCpu(caps.device_type) && caps.min_subgroup_size < 32 && (p.grouped || (caps.features & NIB_FEATURE_DOT4) == 0);
  const Int8Device device{caps.device_type, builder.workgroupSize(128), rows ? caps.plain_subgroup_size : 0,
                          few_registers};
  Int8Tiling tiling = chooseInt8Tiling(device, dimsOf(p));
  if (const uint32_t* value = builder.tuned(NIB_TUNABLE_INT8, d.weights.format, d.tokens)) {
    tuneInt8(value, device, dimsOf(p), &tiling);
  }
  return tiling;
}

}  // namespace

NibResult addStagedProduct(const Int8Product& p, const StagedInput& input, PlanBuilder& builder, bool* added) {
  constexpr const char* kName = "dynamic_gemm";
  const NibInt8GemmDesc& d = p.desc;
  *added = false;
  Int8Tiling tiling = tilingOf(p, builder);
  // int8_gemm_rows broadcasts loads within a subgroup. Codes in shared memory do not need that.
  if (tiling.kernel == Int8Kernel::kRows) tiling = int8Registers(tiling.workgroup, tiling.tokens, 1);
  bool wanted = prefersStaged(builder.caps().device_type, tiling, d.tokens, uint64_t(p.weights.row_words) * 4u,
                              tokenBytes(p, input));
  if (const uint32_t* value = builder.tuned(NIB_TUNABLE_DYNAMIC, d.weights.format, d.tokens)) wanted = value[0] == 1;
  if (!wanted || tiling.kernel != Int8Kernel::kRegisters || isBounded(d)) return NIB_SUCCESS;
  const uint32_t runs = uint32_t(ceilDiv(d.cols, p.input.format->run));
  const uint64_t shared_bytes = stagedShared(tiling, runs);
  if (shared_bytes > builder.caps().max_shared_bytes) return NIB_SUCCESS;
  tiling.shared_bytes = uint32_t(shared_bytes);
  if (!builder.offers(kName, NIB_FORMAT_INT8, tiling.workgroup, tiling.shared_bytes, sizeof(NibInt8Push)))
    return NIB_SUCCESS;
  *added = true;
  const Separate separate{true, false};
  DynamicGemmSpec spec = specOf<DynamicGemmSpec>(p, separate);
  const uint32_t weights_four = spec.W_CODES == 2u ? 2u : 4u;
  spec.VEC = p.weights.row_words % weights_four == 0;  // staged tokens are whole runs
  spec.TOKENS = tiling.tokens;
  spec.LANES = tiling.lanes;
  spec.SOURCE_TYPE = input.source_type;
  spec.SOURCE_VEC = vectorized(d.tokens, d.cols, input.stride);
  spec.SOURCE_WIDE = wide(d.tokens, d.cols, input.stride, typeBytes(input.source_type));
  spec.SOURCE_FULL = d.cols % p.input.format->run == 0;
  spec.FLAGS = d.input.flags;
  spec.RUNS = runs;
  return addKernel(kName, p, spec, tiling, separate, builder, &input);
}

NibResult addInt8Product(const Int8Product& p, PlanBuilder& builder) {
  const NibInt8GemmDesc& d = p.desc;
  const Separate separate = chooseSeparate(p, builder);
  Int8MatrixTiling matrices;
  const bool smooth = isBounded(d);
  const char* matrices_name = smooth ? "int8_gemm_matrices_smooth" : "int8_gemm_matrices";
  if (findMatrices(matrices_name, p, dimsOf(p), builder, &matrices)) {
    Int8GemmMatricesSpec spec = specOf<Int8GemmMatricesSpec>(p, separate);
    spec.M = matrices.shape.m;
    spec.N = matrices.shape.n;
    spec.K = matrices.shape.k;
    spec.SPAN_M = matrices.division.matrices_m;
    spec.SPAN_N = matrices.division.matrices_n;
    spec.DEPTH = matrices.depth;
    spec.SGM = matrices.division.subgroups_m;
    spec.SGN = matrices.division.subgroups_n;
    spec.WHOLE = d.cols % (matrices.depth * matrices.shape.k) == 0;
    return addKernel(matrices_name, p, spec, matrices.tiling, separate, builder);
  }
  const Int8Tiling tiling = tilingOf(p, builder);
  if (tiling.kernel == Int8Kernel::kRows) {
    Int8GemmRowsSpec spec = specOf<Int8GemmRowsSpec>(p, separate);
    spec.TOKENS = tiling.tokens;
    spec.LOAD_WORDS = tiling.load_words;
    return addKernel(rowsKernel(p), p, spec, tiling, separate, builder);
  }
  if (tiling.kernel == Int8Kernel::kTiles) {
    Int8GemmTilesSpec spec = specOf<Int8GemmTilesSpec>(p, separate);
    spec.TOKENS = tiling.tokens;
    spec.DEPTH = tiling.depth;
    spec.WHOLE = d.cols % (tiling.depth * 16u) == 0;
    return addKernel(smooth ? "int8_gemm_tiles_smooth" : "int8_gemm_tiles", p, spec, tiling, separate, builder);
  }
  Int8GemmSpec spec = specOf<Int8GemmSpec>(p, separate);
  spec.TOKENS = tiling.tokens;
  spec.LANES = tiling.lanes;
  return addKernel(smooth ? "int8_gemm_smooth" : "int8_gemm", p, spec, tiling, separate, builder);
}

}  // namespace nib
