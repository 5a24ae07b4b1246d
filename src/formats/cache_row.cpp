#include "formats/cache_row.h"

#include <nibble/formats.h>

#include <algorithm>
#include <iterator>

namespace nib {
namespace {

// Those that have the kernels append_codes, attention and attention_tiles.
constexpr uint32_t kCacheFormats[] = {NIB_FORMAT_INT8, NIB_FORMAT_INT4, NIB_FORMAT_FP8, NIB_FORMAT_Q8_0,
                                      NIB_FORMAT_Q4_0};

}  // namespace

NibResult makeCacheRow(const char* op, uint32_t cache_rows, uint32_t cols, uint32_t head_size, const NibWeights& cache,
                       const Log& log, CacheRow* row) {
  if (std::find(std::begin(kCacheFormats), std::end(kCacheFormats), cache.format) == std::end(kCacheFormats)) {
    const FormatDesc* format = findFormat(cache.format);
    return log.fail(NIB_ERROR_UNSUPPORTED,
                    "%s: cache.format %u%s%s: a cache is dense, 0, or has int8, int4, fp8, q8_0 or q4_0", op,
                    cache.format, format != nullptr ? ", " : "", format != nullptr ? format->info.name : "");
  }
  if (cache.granularity != NIB_GRANULARITY_GROUP) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: cache.granularity %u of a quantized cache must be GROUP", op,
                    cache.granularity);
  }
  if (cache.scale_type != NIB_TYPE_F16) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: cache.scale_type %u of a quantized cache must be F16", op,
                    cache.scale_type);
  }
  if (cache.flags & ~uint32_t(NIB_WEIGHTS_ASYMMETRIC | NIB_WEIGHTS_NARROW)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: cache.flags 0x%x of a quantized cache can be ASYMMETRIC or NARROW",
                    op, cache.flags);
  }
  Geometry& g = row->g;
  const NibResult result = makeGeometry(op, "cache", 1, cols, cache, log, &g);
  if (result != NIB_SUCCESS) return result;
  const NibFormatInfo& info = g.format->info;
  const uint32_t group = cache.group_size != 0 ? cache.group_size : info.default_group_size;
  const uint32_t whole = head_size != 0 ? head_size : cols;
  if (group > kLargestGroup || whole % group != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: %s %u: a cache of %s in groups of %d needs a multiple of these",
                    op, head_size != 0 ? "head_size" : "cols", whole, info.name, int(group));
  }
  if (uint64_t(cache_rows) * cols > kMaxElements) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: cache_rows * cols = %u * %u is more than 2^32 - 2^21", op,
                    cache_rows, cols);
  }
  row->words = row->zerosWord() + uint32_t(g.zeros_bytes / 4);
  return NIB_SUCCESS;
}

}  // namespace nib
