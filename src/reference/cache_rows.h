// Reads a cache of keys or values in host memory, one element at a time.
#ifndef NIB_REFERENCE_CACHE_ROWS_H
#define NIB_REFERENCE_CACHE_ROWS_H

#include "formats/cache_row.h"
#include "reference/decode_row.h"

namespace nib::reference {

class CacheRows {
 public:
  // row: of a quantized cache. type, stride: of a dense one, in elements.
  CacheRows(const NibWeights& cache, const CacheRow& row, const void* data, uint32_t type, uint64_t stride)
      : cache_(cache), row_(row), data_(data), type_(type), stride_(stride) {}

  // fp32 bits of an element.
  uint32_t at(uint64_t row, uint32_t col) const {
    if (cache_.format == NIB_FORMAT_DENSE) return loadDense(data_, type_, row * stride_ + col);
    const CacheParts<const void> parts = cacheParts(row_, data_, row);
    return Decoded(cache_, row_.g, static_cast<const uint32_t*>(parts.codes), parts.scales, parts.zeros).at(0, col);
  }

 private:
  const NibWeights& cache_;
  const CacheRow& row_;
  const void* data_;
  uint32_t type_;
  uint64_t stride_;
};

}  // namespace nib::reference
#endif
