#include "model/calibrate/sparse_counts.h"

#include <nibble/nibble.h>

#include <bit>
#include <utility>

namespace nib::model {

SparseCounts withoutEmpty(std::span<const uint64_t> counts) {
  SparseCounts list;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] != 0) list.push_back({uint32_t(i), counts[i]});
  }
  return list;
}

std::vector<uint64_t> withEmpty(const SparseCounts& counts, uint32_t mantissa_bits) {
  std::vector<uint64_t> all(NIB_LOG_HISTOGRAM_BINS(mantissa_bits), 0);
  for (const SparseCount& c : counts) all[c.bin] = c.count;
  return all;
}

uint32_t logBinOf(float value, uint32_t mantissa_bits) {
  const uint32_t bits = std::bit_cast<uint32_t>(value), magnitude = bits & 0x7fffffffu;
  const uint32_t side = NIB_LOG_HISTOGRAM_SIDE(mantissa_bits);
  if (magnitude < 0x00800000u) return side;
  const uint32_t k = (magnitude >> (23 - mantissa_bits)) - (1u << mantissa_bits) + 1;
  return magnitude != bits ? side - k : side + k;
}

void mergeCounts(SparseCounts& into, const SparseCounts& from) {
  SparseCounts merged;
  auto a = into.begin();
  auto b = from.begin();
  while (a != into.end() || b != from.end()) {
    if (b == from.end() || (a != into.end() && a->bin < b->bin)) {
      merged.push_back(*a++);
    } else if (a == into.end() || b->bin < a->bin) {
      merged.push_back(*b++);
    } else {
      merged.push_back({a->bin, a->count + b->count});
      ++a, ++b;
    }
  }
  into = std::move(merged);
}

}  // namespace nib::model
