// Reference of NIB_OP_SELECT: elements are inserted in the row's result, one after the other; sums are in double.
#include <cmath>
#include <limits>

#include "reference/logits.h"
#include "reference/reference.h"

namespace nib {
namespace {

constexpr uint32_t kNan = 0x7fc00000u;

void selectRow(const NibSelectDesc& d, const void* source, uint64_t first, uint32_t* result, uint32_t* indices) {
  uint32_t found = 0;
  for (uint32_t col = 0; col < d.cols; ++col) {
    const uint32_t key = reference::logitKey(loadDense(source, d.source_type, first + col));
    if (found == d.count && reference::logitKey(result[found - 1]) >= key) continue;
    uint32_t place = found < d.count ? found++ : found - 1;
    for (; place > 0 && reference::logitKey(result[place - 1]) < key; --place) {
      result[place] = result[place - 1];
      indices[place] = indices[place - 1];
    }
    result[place] = key == 0 ? kNan : exact::nibUnkey(key);
    indices[place] = col;
  }
}

float logSumOf(const NibSelectDesc& d, const void* source, uint64_t first) {
  double max = -std::numeric_limits<double>::infinity(), sum = 0;
  for (uint32_t col = 0; col < d.cols; ++col) {
    const uint32_t bits = loadDense(source, d.source_type, first + col);
    if (reference::isNan(bits)) return exact::floatOf(kNan);
    const double x = reference::logitOf(bits);
    if (x > max) max = x;
  }
  for (uint32_t col = 0; col < d.cols; ++col) {
    sum += std::exp(reference::logitOf(loadDense(source, d.source_type, first + col)) - max);
  }
  return float(max + std::log(sum));
}

}  // namespace

void selectReference(const NibSelectDesc& desc, const HostRun& run) {
  const void* source = partOf<void>(run.memory, run.binding, NIB_ROLE_INPUT, NIB_PART_SOURCE);
  uint32_t* result = partOf<uint32_t>(run.memory, run.binding, NIB_ROLE_OUTPUT, NIB_PART_RESULT);
  uint32_t* indices = partOf<uint32_t>(run.memory, run.binding, NIB_ROLE_OUTPUT, NIB_PART_RESULT_INDICES);
  float* log_sums = partOf<float>(run.memory, run.binding, NIB_ROLE_OUTPUT, NIB_PART_LOG_SUM);
  const uint32_t stride = desc.source_stride != 0 ? desc.source_stride : desc.cols;
  auto body = [&](uint32_t row) {
    const uint64_t first = uint64_t(row) * stride, to = uint64_t(run.first_row) + row;
    selectRow(desc, source, first, result + to * desc.count, indices + to * desc.count);
    log_sums[to] = logSumOf(desc, source, first);
  };
  reference::forEach(run.parallel, run.n, body);
}

}  // namespace nib
