// Reference of NIB_OP_ATTENTION: scores and sums in double, in the order of the positions.
#include <cmath>

#include "numerics/visible_rows.h"
#include "reference/cache_rows.h"
#include "reference/reference.h"

namespace nib {
namespace {

constexpr uint32_t kMaxHeadSize = 256;

double valueOf(uint32_t bits) { return double(exact::floatOf(exact::nibFlushBits(bits))); }

struct Attention {
  const NibAttentionDesc& desc;
  const AttentionShape& shape;
  const HostRun& run;
  const reference::CacheRows keys, values;
  const void* source;
  const uint32_t* indices;
  void* result;

  double scoreOf(const double* query, uint32_t key_head, uint64_t row) const {
    const uint32_t at = key_head * desc.head_size;
    double sum = 0;
    for (uint32_t i = 0; i < desc.head_size; ++i) sum += query[i] * valueOf(keys.at(row, at + i));
    const double score = sum * double(shape.scale);
    return desc.cap > 0 ? double(desc.cap) * std::tanh(score / double(desc.cap)) : score;
  }

  void attend(uint32_t token, uint32_t head) const {
    const uint32_t key_head = head / (desc.heads / desc.key_heads);
    const VisibleRows rows = visibleRows(indices + uint64_t(token) * 4, desc.cache_rows);
    double query[kMaxHeadSize], sums[kMaxHeadSize] = {};
    const uint64_t from = uint64_t(token) * shape.source_stride + uint64_t(head) * desc.head_size;
    for (uint32_t i = 0; i < desc.head_size; ++i) {
      query[i] = valueOf(loadDense(source, desc.source_type, from + i));
    }
    double largest = -HUGE_VAL, total = 0;
    for (uint64_t row = rows.from; row < rows.to; ++row) largest = std::fmax(largest, scoreOf(query, key_head, row));
    for (uint64_t row = rows.from; row < rows.to; ++row) {
      const double weight = std::exp(scoreOf(query, key_head, row) - largest);
      const uint32_t at = key_head * desc.head_size;
      total += weight;
      for (uint32_t i = 0; i < desc.head_size; ++i) sums[i] += weight * valueOf(values.at(row, at + i));
    }
    const uint64_t to = (uint64_t(run.first_row) + token) * shape.result_stride + uint64_t(head) * desc.head_size;
    for (uint32_t i = 0; i < desc.head_size; ++i) {
      const double y = total > 0 ? sums[i] / total : 0;
      storeDense(result, desc.result_type, to + i, std::fabs(y) < 0x1p-126 ? 0u : exact::bitsOf(float(y)));
    }
  }
};

}  // namespace

void attentionReference(const NibAttentionDesc& desc, const AttentionShape& shape, const HostRun& run) {
  const auto part = [&](NibRole role, NibPart which) { return partOf<void>(run.memory, run.binding, role, which); };
  const auto rows = [&](NibPart which, uint64_t stride) {
    return reference::CacheRows(desc.cache, shape.row, part(NIB_ROLE_WEIGHTS, which), desc.cache_type, stride);
  };
  const Attention attention{desc,
                            shape,
                            run,
                            rows(NIB_PART_KEYS, shape.key_stride),
                            rows(NIB_PART_VALUES, shape.value_stride),
                            part(NIB_ROLE_INPUT, NIB_PART_SOURCE),
                            static_cast<const uint32_t*>(part(NIB_ROLE_INPUT, NIB_PART_INDICES)),
                            part(NIB_ROLE_OUTPUT, NIB_PART_RESULT)};
  auto body = [&](uint32_t i) { attention.attend(i / desc.heads, i % desc.heads); };
  reference::forEach(run.parallel, run.n * desc.heads, body);
}

}  // namespace nib
