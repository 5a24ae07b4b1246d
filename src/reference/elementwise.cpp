// Reference of NIB_OP_ELEMENTWISE. Gated products and soft caps are made in double.
#include <cmath>

#include "numerics/float_bits.h"
#include "reference/activation.h"
#include "reference/reference.h"
#include "reference/rounding.h"

namespace nib {
namespace {

// a and b are canonical.
uint32_t combined(const NibElementwiseDesc& desc, uint32_t a, uint32_t b) {
  switch (desc.kind) {
    case NIB_ELEMENTWISE_ADD: return exact::nibSumBits(a, b);
    case NIB_ELEMENTWISE_GATED:
      return reference::roundedBits(reference::activate(desc.activation, double(exact::floatOf(a))) *
                                    double(exact::floatOf(b)));
    case NIB_ELEMENTWISE_CAP: {
      const double cap = double(exact::floatOf(b));
      return reference::roundedBits(cap * std::tanh(double(exact::floatOf(a)) / cap));
    }
    default: return exact::nibProductBits(a, b);
  }
}

}  // namespace

void elementwiseReference(const NibElementwiseDesc& desc, const ElementwiseStrides& strides, const HostRun& run) {
  const auto part = [&](NibRole role, NibPart which) { return partOf<void>(run.memory, run.binding, role, which); };
  const bool halves = (desc.flags & NIB_ELEMENTWISE_HALVES) != 0;
  const void* source = part(NIB_ROLE_INPUT, NIB_PART_SOURCE);
  const void* second = halves ? source : part(NIB_ROLE_INPUT, NIB_PART_SECOND);
  void* result = part(NIB_ROLE_OUTPUT, NIB_PART_RESULT);
  const uint32_t second_type = halves ? desc.source_type : desc.second_type;
  const uint32_t factor = exact::nibCanonicalBits(exact::bitsOf(desc.factor));

  auto row_body = [&](uint32_t row) {
    const uint64_t from = uint64_t(row) * strides.source, to = uint64_t(run.first_row + row) * strides.result;
    const uint64_t other = halves ? from + desc.cols : uint64_t(row) * strides.second;
    for (uint32_t col = 0; col < desc.cols; ++col) {
      const uint32_t a = exact::nibCanonicalBits(loadDense(source, desc.source_type, from + col));
      const bool has_factor = desc.kind == NIB_ELEMENTWISE_SCALE || desc.kind == NIB_ELEMENTWISE_CAP;
      const uint32_t b = has_factor ? factor : exact::nibCanonicalBits(loadDense(second, second_type, other + col));
      storeDense(result, desc.result_type, to + col, combined(desc, a, b));
    }
    // The unused half of the last word is 0.
    if (desc.result_type != NIB_TYPE_F32 && desc.cols % 2 != 0) {
      storeDense(result, desc.result_type, to + desc.cols, 0);
    }
  };
  reference::forEach(run.parallel, run.n, row_body);
}

}  // namespace nib
