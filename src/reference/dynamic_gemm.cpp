// Reference of NIB_OP_DYNAMIC_GEMM: quantizes the tokens into scratch, then runs the int8 product.
#include "reference/outliers.h"

namespace nib {

void dynamicGemmReference(const DynamicProduct& p, const HostRun& run, const DynamicSteps& steps) {
  const NibCpuBinding& binding = run.binding;
  uint8_t* aux = static_cast<uint8_t*>(binding.range[NIB_ROLE_AUX].data);
  uint8_t* blob = aux + p.blob_offset;
  if (p.threshold != 0) {
    reference::splitOutliers(p, binding.range[NIB_ROLE_INPUT].data, blob, reinterpret_cast<NibStatus*>(aux), run.n,
                             run.parallel);
  } else {
    NibCpuBinding quantize{sizeof(NibCpuBinding)};
    quantize.range[NIB_ROLE_INPUT] = binding.range[NIB_ROLE_INPUT];
    quantize.range[NIB_ROLE_WEIGHTS] = {blob, p.blob_bytes};
    if (p.own_bytes != 0) quantize.range[NIB_ROLE_AUX] = {aux, p.own_bytes};
    const HostRun tokens{p.quantize_memory, quantize, run.n, 0, run.parallel};
    steps.quantize != nullptr ? steps.quantize(p.quantize, tokens) : quantizeReference(p.quantize, tokens);
  }
  reference::Int8Operands operands = reference::int8Operands(run.memory, binding, run.first_row);
  operands.input_codes = blob;
  operands.input_scales = blob + p.product.input.scales_offset;
  operands.input_zeros = blob + p.product.input.zeros_offset;
  operands.outliers = blob + p.product.outliers_offset;
  operands.first_input = 0;
  reference::int8Product(p.product, operands, run.n, run.parallel, steps.product);
}

}  // namespace nib
