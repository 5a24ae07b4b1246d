// NIB_OP_INT8_GEMM: validation, memory, self-test. Its kernels are in int8_kernels.cpp.
#include "plan/op.h"

#include <cstring>

#include "ops/int8_product.h"
#include "plan/probe_weights.h"
#include "reference/activation.h"
#include "reference/reference.h"

namespace nib {
namespace {

NibResult getMemory(const NibInt8GemmDesc& d, const Log& log, NibMemory* memory) {
  Int8Product product;
  const NibResult result = makeInt8Product("int8_gemm", d, false, log, &product);
  if (result != NIB_SUCCESS) return result;
  setInt8Memory(product, memory);
  setInt8Input(product, memory);
  return NIB_SUCCESS;
}

RunRows runRows(const NibInt8GemmDesc& d) { return {d.tokens, false, d.tokens}; }

Dims dims(const NibInt8GemmDesc& d) { return {d.tokens, d.cols}; }

constexpr uint32_t kFewMatrices = 2;

NibInt8GemmDesc resized(const NibInt8GemmDesc& desc, Dims dims) {
  NibInt8GemmDesc d = desc;
  // Contiguous rows stay contiguous, another stride stays the same modulo 16 bytes.
  if (d.input_stride != 0) {
    d.input_stride =
        d.input_stride == alignUp(d.cols, 4) ? 0u : uint32_t(alignUp(dims.cols, 16)) + 16u + d.input_stride % 16u;
  }
  d.rows = fewInt8Rows(d.rows, dims.cols);
  if (d.result_stride != 0) d.result_stride = uint32_t(alignUp(d.rows, 4)) + 4u;
  if (d.batch > kFewMatrices) d.batch = kFewMatrices;
  d.tokens = dims.rows;
  d.cols = dims.cols;
  return d;
}

void smallDims(const NibInt8GemmDesc& d, SmallDims* list) {
  Int8Product product;
  if (makeInt8Product("int8_gemm", d, false, Log(), &product) == NIB_SUCCESS) int8SmallDims(product, list);
}

void fillProbe(const NibInt8GemmDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  probe::fillWeights(d.weights, memory, binding);
  probe::fillBits(binding.range[NIB_ROLE_INPUT].data, memory.range[NIB_ROLE_INPUT].size_bytes, 0x165667b1u);
  probe::fillScales(partOf<void>(memory, binding, NIB_ROLE_INPUT, NIB_PART_INPUT_SCALES), d.input.scale_type,
                    memory.part[NIB_PART_INPUT_SCALES].size_bytes, 0xb5297a4du);
  if (isBounded(d)) {
    // Sums for which a smooth activation is neither 0 nor its argument, and no result overflows.
    probe::fillOrdinaryScales(partOf<void>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_SCALES), d.weights.scale_type,
                              memory.part[NIB_PART_SCALES].size_bytes);
    probe::fillOrdinaryScales(partOf<void>(memory, binding, NIB_ROLE_INPUT, NIB_PART_INPUT_SCALES), d.input.scale_type,
                              memory.part[NIB_PART_INPUT_SCALES].size_bytes);
    if (d.flags & NIB_PRODUCT_BIAS) {
      std::memset(partOf<void>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_BIAS), 0,
                  size_t(memory.part[NIB_PART_BIAS].size_bytes));
    }
    return;
  }
  if (d.flags & NIB_PRODUCT_BIAS) {
    probe::fillDense(partOf<void>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_BIAS), NIB_TYPE_F32,
                     memory.part[NIB_PART_BIAS].size_bytes, 0x68e31da4u);
  }
  float* table = partOf<float>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_TABLE);
  if (table != nullptr) nibFillActivationTable(&d, table);
}

Tolerance tolerance(const NibInt8GemmDesc& d, NibPart) {
  return isBounded(d) ? Tolerance{d.result_type, kInt8Bound} : Tolerance{};
}

void runReference(const NibInt8GemmDesc& d, const HostRun& run) {
  Int8Product product;
  if (makeInt8Product("int8_gemm", d, false, Log(), &product) != NIB_SUCCESS) return;
  reference::int8Product(product, reference::int8Operands(run.memory, run.binding, run.first_row), run.n, run.parallel);
}

#if !defined(NIB_NO_VULKAN)
NibResult build(const NibInt8GemmDesc& d, const NibMemory&, PlanBuilder& builder) {
  Int8Product product;
  const NibResult result = makeInt8Product("int8_gemm", d, false, Log(), &product);
  return result == NIB_SUCCESS ? addInt8Product(product, builder) : result;
}
#endif

// Several matrices lie `tokens` apart, so their operands depend on it.
bool withRows(const NibInt8GemmDesc& d, uint32_t tokens, NibInt8GemmDesc* out) {
  if ((d.flags & NIB_PRODUCT_ONE_KERNEL) != 0 || d.batch > 1) return false;
  *out = d;
  out->tokens = tokens;
  return true;
}

constexpr Op<NibInt8GemmDesc> kInt8Gemm = {
    .op = NIB_OP_INT8_GEMM,
    .name = "int8_gemm",
    .getMemory = getMemory,
    .runRows = runRows,
    .runReference = runReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims = dims,
    .resized = resized,
    .smallDims = smallDims,
    .fillProbe = fillProbe,
    .tolerance = tolerance,
    .withRows = withRows,
    .multiplyAdds = [](const NibInt8GemmDesc& d,
                       uint32_t n) { return uint64_t(d.rows) * d.cols * n * (d.batch != 0 ? d.batch : 1u); },
};

}  // namespace

NIB_DEFINE_OP(int8_gemm, NibInt8GemmDesc, kInt8Gemm)

}  // namespace nib

extern "C" NibResult nibFillActivationTable(const NibInt8GemmDesc* desc, float* out_table) {
  if (desc == nullptr || out_table == nullptr || !nib::hasTable(*desc) || desc->activation > NIB_ACTIVATION_SILU) {
    return NIB_ERROR_INVALID_ARGUMENT;
  }
  for (int32_t code = 0; code < 256; ++code) {
    out_table[code] =
        float(nib::reference::activate(desc->activation, double(code - desc->table_zero) * double(desc->table_scale)));
  }
  return NIB_SUCCESS;
}
