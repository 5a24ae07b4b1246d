// NIB_OP_INT8_GEMM: validation, memory, self-test. Its kernels are in int8_kernels.cpp.
#include "ops/op.h"

#include <cstring>

#include "cpu/activation.h"
#include "cpu/cpu.h"
#include "ops/int8_product.h"
#include "ops/probe_weights.h"

namespace nib {
namespace {

const NibInt8GemmDesc& cast(const NibOpDesc* desc) { return *reinterpret_cast<const NibInt8GemmDesc*>(desc); }

NibResult getMemory(const NibOpDesc* any, const Log& log, NibMemory* memory) {
  Int8Product product;
  const NibResult result = makeInt8Product("int8_gemm", cast(any), false, log, &product);
  if (result != NIB_SUCCESS) return result;
  setInt8Memory(product, memory);
  setInt8Input(product, memory);
  return NIB_SUCCESS;
}

uint32_t maxRows(const NibOpDesc* any, bool* fixed) {
  *fixed = false;
  return cast(any).tokens;
}

void sides(const NibOpDesc* any, uint32_t* rows, uint32_t* cols) {
  *rows = cast(any).tokens;
  *cols = cast(any).cols;
}

constexpr uint32_t kFewMatrices = 2;

void resize(const NibOpDesc* any, uint32_t rows, uint32_t cols, void* out) {
  NibInt8GemmDesc d = cast(any);
  // Whether a stride is that of whole fours of words stays.
  if (d.input_stride != 0) {
    d.input_stride = d.input_stride == alignUp(d.cols, 4) ? 0u : uint32_t(alignUp(cols, 16)) + 16u + d.input_stride % 16u;
  }
  d.rows = fewInt8Rows(d.rows, cols);
  if (d.result_stride != 0) d.result_stride = uint32_t(alignUp(d.rows, 4)) + 4u;
  if (d.batch > kFewMatrices) d.batch = kFewMatrices;
  d.tokens = rows;
  d.cols = cols;
  std::memcpy(out, &d, sizeof d);
}

void fillProbe(const NibOpDesc* any, const NibMemory& memory, const NibCpuBinding& binding) {
  const NibInt8GemmDesc& d = cast(any);
  probe::fillWeights(d.weights, memory, binding);
  probe::fillBits(binding.range[NIB_ROLE_INPUT].data, memory.range[NIB_ROLE_INPUT].size_bytes, 0x165667b1u);
  probe::fillScales(cpu::partOf<void>(memory, binding, NIB_ROLE_INPUT, NIB_PART_INPUT_SCALES), d.input.scale_type,
                    memory.part[NIB_PART_INPUT_SCALES].size_bytes, 0xb5297a4du);
  if (isBounded(d)) {
    // Where a smooth activation is neither 0 nor its argument, and no result overflows.
    probe::fillOrdinaryScales(cpu::partOf<void>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_SCALES), d.weights.scale_type,
                              memory.part[NIB_PART_SCALES].size_bytes);
    probe::fillOrdinaryScales(cpu::partOf<void>(memory, binding, NIB_ROLE_INPUT, NIB_PART_INPUT_SCALES), d.input.scale_type,
                              memory.part[NIB_PART_INPUT_SCALES].size_bytes);
    if (d.flags & NIB_PRODUCT_BIAS) {
      std::memset(cpu::partOf<void>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_BIAS), 0,
                  size_t(memory.part[NIB_PART_BIAS].size_bytes));
    }
    return;
  }
  if (d.flags & NIB_PRODUCT_BIAS) {
    probe::fillDense(cpu::partOf<void>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_BIAS), NIB_TYPE_F32,
                     memory.part[NIB_PART_BIAS].size_bytes, 0x68e31da4u);
  }
  float* table = cpu::partOf<float>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_TABLE);
  if (table != nullptr) nibFillActivationTable(&d, table);
}

Tolerance tolerance(const NibOpDesc* any) {
  const NibInt8GemmDesc& d = cast(any);
  return isBounded(d) ? Tolerance{d.result_type, kInt8Bound} : Tolerance{};
}

#if !defined(NIB_NO_VULKAN)
NibResult build(const NibOpDesc* any, const NibMemory&, PlanBuilder& builder) {
  Int8Product product;
  const NibResult result = makeInt8Product("int8_gemm", cast(any), false, Log(), &product);
  return result == NIB_SUCCESS ? addInt8Product(product, builder) : result;
}
#endif

}  // namespace

extern const OpRow kOp_int8_gemm;
const OpRow kOp_int8_gemm = {NIB_OP_INT8_GEMM,
                             "int8_gemm",
                             sizeof(NibInt8GemmDesc),
                             getMemory,
                             maxRows,
                             int8GemmCpu,
#if !defined(NIB_NO_VULKAN)
                             build,
#endif
                             sides,
                             resize,
                             fillProbe,
                             NIB_ROLE_OUTPUT,
                             nullptr,
                             tolerance};

}  // namespace nib

extern "C" NibResult nibFillActivationTable(const NibInt8GemmDesc* desc, float* out_table) {
  if (desc == nullptr || out_table == nullptr || !nib::hasTable(*desc) || desc->activation > NIB_ACTIVATION_SILU) {
    return NIB_ERROR_INVALID_ARGUMENT;
  }
  for (int32_t code = 0; code < 256; ++code) {
    out_table[code] = float(nib::cpu::activate(desc->activation, double(code - desc->table_zero) * double(desc->table_scale)));
  }
  return NIB_SUCCESS;
}
