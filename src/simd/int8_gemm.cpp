// Products of int8 codes: the reference, with its integer sums by vector instructions.
#include "ops/int8_product.h"
#include "reference/int8_product.h"
#include "simd/code_sums.h"
#include "simd/fast_kernels.h"
#include "simd/kernels.h"
#include "simd/run.h"

namespace nib::simd {
namespace {

Outcome runInt8Gemm(const NibInt8GemmDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                    const NibParallelFor& parallel) {
  const NibOpDesc* op = reinterpret_cast<const NibOpDesc*>(&desc);
  Int8Product product;
  NibMemory memory{sizeof(NibMemory)};
  NibCpuBinding moved;
  if (kernels().addDots == nullptr || run.n == 0 || !isValid(op, binding, run, desc.tokens) ||
      makeInt8Product("int8_gemm", desc, false, Log(), &product) != NIB_SUCCESS ||
      !moveOperands(op, binding, run, &memory, &moved)) {
    return Outcome::kUnsupported;
  }
  reference::int8Product(product, reference::int8Operands(memory, moved, run.first_row), run.n, &parallel,
                         {kernels().addDots, &makeCodeSums});
  return Outcome::kDone;
}

}  // namespace

NIB_DEFINE_FAST_KERNEL(int8_gemm, NIB_OP_INT8_GEMM, NibInt8GemmDesc, runInt8Gemm)

}  // namespace nib::simd
