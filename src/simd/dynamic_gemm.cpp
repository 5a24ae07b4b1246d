// Products with tokens that are quantized first: the reference, with the faster quantization and integer sums.
#include "ops/dynamic_product.h"
#include "reference/outliers.h"
#include "simd/code_sums.h"
#include "simd/fast_kernels.h"
#include "simd/kernels.h"
#include "simd/run.h"

namespace nib::simd {
namespace {

void quantizeTokens(const NibQuantizeDesc& desc, const HostRun& host) {
  NibRun run{sizeof(NibRun)};
  run.n = host.n;
  run.slice_count = UINT32_MAX;
  const NibOpDesc* op = reinterpret_cast<const NibOpDesc*>(&desc);
  if (runFastKernel(op, host.binding, run, *host.parallel) != Outcome::kDone) quantizeReference(desc, host);
}

Outcome runDynamicGemm(const NibDynamicGemmDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                       const NibParallelFor& parallel) {
  const NibOpDesc* op = reinterpret_cast<const NibOpDesc*>(&desc);
  DynamicProduct product;
  NibMemory memory{sizeof(NibMemory)};
  NibCpuBinding moved;
  if (kernels().addDots == nullptr || run.n == 0 || !isValid(op, binding, run, desc.tokens) ||
      makeDynamicProduct(desc, Log(), &product) != NIB_SUCCESS || !moveOperands(op, binding, run, &memory, &moved)) {
    return Outcome::kUnsupported;
  }
  dynamicGemmReference(product, {memory, moved, run.n, run.first_row, &parallel},
                       {quantizeTokens, {kernels().addDots, &makeCodeSums}});
  return Outcome::kDone;
}

}  // namespace

NIB_DEFINE_FAST_KERNEL(dynamic_gemm, NIB_OP_DYNAMIC_GEMM, NibDynamicGemmDesc, runDynamicGemm)

}  // namespace nib::simd
