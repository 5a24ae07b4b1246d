// Caches of keys and values, of which every row is a blob of one row without gaps between its parts.
#ifndef NIB_SELFTEST_CACHES_H
#define NIB_SELFTEST_CACHES_H

#include "selftest/inputs.h"

namespace nib::selftest {

// The kinds of quantized caches of this build: formats, and the ways they have of sharing scales.
std::vector<NibWeights> cacheWays();
std::string cacheName(const NibWeights& cache);

// The bytes of a row. cols: a multiple of the group.
uint64_t cacheRowBytes(const NibWeights& cache, uint32_t cols);
// Rows as NIB_OP_APPEND makes them of numbers of the recipe.
Words codedCache(Recipe recipe, const NibWeights& cache, uint32_t rows, uint32_t cols, uint64_t seed);
// Rows as NIB_OP_DEQUANTIZE decodes them.
std::vector<float> decodedCache(const NibWeights& cache, uint32_t rows, uint32_t cols, const void* data);

}  // namespace nib::selftest
#endif
