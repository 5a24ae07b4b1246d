// Reference of NIB_OP_MIX: weights and sums in double.
#include <algorithm>
#include <cmath>

#include "reference/reference.h"
#include "reference/rounding.h"

namespace nib {
namespace {

// The weights of a row's `count` logits.
void weigh(const NibMixDesc& d, const float* logits, double log_sum, double* weights) {
  double offset = log_sum, sum = 1;
  if (d.weighting == NIB_MIX_SOFTMAX_CHOSEN) {
    offset = double(*std::max_element(logits, logits + d.count));
    sum = 0;
    for (uint32_t j = 0; j < d.count; ++j) sum += std::exp(double(logits[j]) - offset);
  }
  for (uint32_t j = 0; j < d.count; ++j) {
    weights[j] = d.weighting == NIB_MIX_SIGMOID ? 1 / (1 + std::exp(-double(logits[j])))
                                                : std::exp(double(logits[j]) - offset) / sum;
  }
}

}  // namespace

void mixReference(const NibMixDesc& desc, const HostRun& run) {
  const float* source = partOf<float>(run.memory, run.binding, NIB_ROLE_INPUT, NIB_PART_SOURCE);
  const float* logits = partOf<float>(run.memory, run.binding, NIB_ROLE_INPUT, NIB_PART_SECOND);
  const float* log_sums = partOf<float>(run.memory, run.binding, NIB_ROLE_INPUT, NIB_PART_LOG_SUM);
  uint32_t* result = partOf<uint32_t>(run.memory, run.binding, NIB_ROLE_OUTPUT, NIB_PART_RESULT);
  const uint32_t source_stride = desc.source_stride != 0 ? desc.source_stride : desc.cols;
  const uint32_t result_stride = desc.result_stride != 0 ? desc.result_stride : desc.cols;
  auto body = [&](uint32_t row) {
    double weights[NIB_MIX_MAX_COUNT];
    weigh(desc, logits + uint64_t(row) * desc.count, log_sums != nullptr ? double(log_sums[row]) : 0, weights);
    uint32_t* to = result + (uint64_t(run.first_row) + row) * result_stride;
    for (uint32_t col = 0; col < desc.cols; ++col) {
      double sum = (desc.flags & NIB_MIX_RESIDUAL) != 0 ? double(exact::floatOf(to[col])) : 0;
      for (uint32_t j = 0; j < desc.count; ++j) {
        sum += weights[j] * double(source[(uint64_t(row) * desc.count + j) * source_stride + col]);
      }
      to[col] = reference::roundedBits(sum);
    }
  };
  reference::forEach(run.parallel, run.n, body);
}

}  // namespace nib
