// Reference of NIB_OP_LOSS: sums in double, in the order of the columns.
#include <cmath>
#include <limits>

#include "reference/logits.h"
#include "reference/reference.h"

namespace nib {
namespace {

struct Logits {
  const void* data;
  uint32_t type, stride, cols;
  double soft_cap;

  uint32_t bits(uint32_t row, uint32_t col) const { return loadDense(data, type, uint64_t(row) * stride + col); }
  double at(uint32_t row, uint32_t col) const {
    const double x = reference::logitOf(bits(row, col));
    return soft_cap > 0 ? soft_cap * std::tanh(x / soft_cap) : x;
  }
};

// Statistics of a row, from which its losses are computed.
struct Row {
  bool nan = false;
  uint32_t largest = 0;     // its column
  double max = 0, sum = 0;  // sum of e^(x - max)
};

Row rowOf(const Logits& logits, uint32_t row) {
  Row r;
  uint32_t best = 0;
  for (uint32_t col = 0; col < logits.cols; ++col) {
    const uint32_t bits = logits.bits(row, col), key = reference::logitKey(bits);
    r.nan = r.nan || reference::isNan(bits);
    if (key <= best) continue;
    best = key;
    r.largest = col;
  }
  r.max = logits.at(row, r.largest);
  for (uint32_t col = 0; col < logits.cols; ++col) r.sum += std::exp(logits.at(row, col) - r.max);
  return r;
}

double divergence(const Logits& reference, const Row& r, const Logits& candidate, const Row& c, uint32_t row) {
  double mean = 0, ratio = 0;
  for (uint32_t col = 0; col < reference.cols; ++col) {
    const double x = reference.at(row, col) - r.max, y = candidate.at(row, col) - c.max;
    mean += std::exp(x) / r.sum * (x - y);
    ratio += (std::exp(y) - std::exp(x)) / r.sum;
  }
  // If the ratio is near 1, the quotient of the sums has lost the contribution of the smallest terms.
  const double result = mean + (std::fabs(ratio) < 0.5 ? std::log1p(ratio) : std::log(c.sum / r.sum));
  return result > 0 ? result : 0;
}

void lossRow(const NibLossDesc& d, const Logits& candidate, const Logits* reference, uint32_t target, uint32_t row,
             float* out) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Row c = rowOf(candidate, row);
  const double log_sum = std::log(c.sum);
  const bool is_target = target < d.cols;
  double loss = 0, divergent = 0;
  if (target != UINT32_MAX) loss = is_target && !c.nan ? candidate.at(row, target) - c.max - log_sum : nan;
  bool agrees = !c.nan && is_target && c.largest == target;
  if (reference != nullptr) {
    const Row r = rowOf(*reference, row);
    divergent = c.nan || r.nan ? nan : divergence(*reference, r, candidate, c, row);
    agrees = !c.nan && !r.nan && c.largest == r.largest;
  }
  out[0] = float(c.nan ? nan : c.max + log_sum);
  out[1] = float(loss);
  out[2] = float(divergent);
  out[3] = agrees ? 1.0f : 0.0f;
}

}  // namespace

void lossReference(const NibLossDesc& desc, const HostRun& run) {
  const auto logits = [&](NibPart part, uint32_t type, uint32_t stride) {
    return Logits{partOf<void>(run.memory, run.binding, NIB_ROLE_INPUT, part), type, stride != 0 ? stride : desc.cols,
                  desc.cols, double(desc.soft_cap)};
  };
  const Logits candidate = logits(NIB_PART_CANDIDATE, desc.candidate_type, desc.candidate_stride);
  const Logits reference = logits(NIB_PART_REFERENCE, desc.reference_type, desc.reference_stride);
  const uint32_t* targets = partOf<uint32_t>(run.memory, run.binding, NIB_ROLE_INPUT, NIB_PART_INDICES);
  float* result = partOf<float>(run.memory, run.binding, NIB_ROLE_OUTPUT, NIB_PART_RESULT);
  auto body = [&](uint32_t row) {
    lossRow(desc, candidate, reference.data != nullptr ? &reference : nullptr, targets[row], row,
            result + (uint64_t(run.first_row) + row) * 4);
  };
  reference::forEach(run.parallel, run.n, body);
}

}  // namespace nib
