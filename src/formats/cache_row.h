// Rows of a quantized cache of keys or values. Each is a blob of one row whose parts follow each other without gaps:
// codes, scales, zero points, in whole words. So rows share no word, and a window of some rows has all of their parts.
#ifndef NIB_FORMATS_CACHE_ROW_H
#define NIB_FORMATS_CACHE_ROW_H

#include <type_traits>

#include "formats/geometry.h"

namespace nib {

struct CacheRow {
  Geometry g{};  // of one row
  uint32_t words = 0;
  uint32_t scalesWord() const { return g.row_words; }
  uint32_t zerosWord() const { return g.row_words + uint32_t(g.scales_bytes / 4); }
  uint64_t bytes() const { return uint64_t(words) * 4; }
};

// Validates `cache`, a quantized one, for rows of `cols` elements that are heads of head_size (0 = any), then fills
// *row. Messages start with `op`.
NibResult makeCacheRow(const char* op, uint32_t cache_rows, uint32_t cols, uint32_t head_size, const NibWeights& cache,
                       const Log& log, CacheRow* row);

// Where the parts of a row lie. DATA is void or const void.
template <class Data>
struct CacheParts {
  Data* codes;
  Data* scales;
  Data* zeros;  // NULL: the cache has none
};
template <class Data>
CacheParts<Data> cacheParts(const CacheRow& row, Data* cache, uint64_t index) {
  using Word = std::conditional_t<std::is_const_v<Data>, const uint32_t, uint32_t>;
  Word* at = static_cast<Word*>(cache) + index * row.words;
  return {at, at + row.scalesWord(), row.g.zeros_bytes != 0 ? at + row.zerosWord() : nullptr};
}

}  // namespace nib
#endif
