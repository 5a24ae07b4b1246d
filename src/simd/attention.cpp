// Attention of many tokens: scores of a block of queries and the sums over values are matrix products.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <optional>
#include <vector>

#include "numerics/exact.h"
#include "numerics/visible_rows.h"
#include "simd/fast_kernels.h"
#include "simd/kernels.h"
#include "simd/row_decoder.h"
#include "simd/run.h"
#include "simd/widen.h"

namespace nib::simd {
namespace {

constexpr uint32_t kFewTokens = 8;     // fewer are not worth products, unless the cache must be decoded
constexpr uint32_t kBlockTokens = 64;  // queries of a task
constexpr uint32_t kMostHeadSize = 256;
constexpr uint32_t kScanned = 64;  // cache rows of a task that looks for numbers that are not finite

// Neighbouring tokens of one sequence, and the cache rows that any of them sees.
struct TokenBlock {
  uint32_t first = 0, count = 0;
  uint64_t from = 0, to = 0;
};

struct Attention {
  const NibAttentionDesc& d;
  const NibRun& run;
  const float* source;
  const char* keys;
  const char* values;
  const uint32_t* indices;
  float* result;
  const CacheRow& row;        // of a quantized cache
  const RowDecoder* decoder;  // NULL: the cache is dense

  bool copies() const { return decoder != nullptr || d.cache_type != NIB_TYPE_F32; }
  uint64_t stride(uint32_t given, uint32_t heads) const { return given != 0 ? given : uint64_t(heads) * d.head_size; }
  uint64_t elementBytes() const { return d.cache_type == NIB_TYPE_F32 ? 4 : 2; }
  float scale() const { return d.scale != 0 ? d.scale : 1 / std::sqrt(float(d.head_size)); }

  std::vector<TokenBlock> blocks() const {
    std::vector<TokenBlock> blocks;
    for (uint32_t t = 0; t < run.n; ++t) {
      const uint32_t* entry = indices + uint64_t(t) * 4;
      const VisibleRows rows = visibleRows(entry, d.cache_rows);
      const bool neighbour = !blocks.empty() && blocks.back().count < kBlockTokens &&
                             indices[uint64_t(blocks.back().first) * 4] == entry[0];
      if (!neighbour) blocks.push_back({t, 0, rows.from, rows.to});
      TokenBlock& block = blocks.back();
      ++block.count;
      if (rows.from == rows.to) continue;
      if (block.from == block.to) block.from = rows.from, block.to = rows.to;
      block.from = std::min(block.from, rows.from);
      block.to = std::max(block.to, rows.to);
    }
    return blocks;
  }

  // The elements of a head in row `index` of the cache in fp32.
  void loadHead(const char* cache, uint64_t stride, uint64_t index, uint32_t head, float* to) const {
    const uint32_t col = head * d.head_size;
    if (decoder == nullptr) {
      return simd::widen(cache + (index * stride + col) * elementBytes(), NibType(d.cache_type), d.head_size, to);
    }
    const CacheParts<const void> parts = cacheParts(row, static_cast<const void*>(cache), index);
    decoder->decodeRow(parts.codes, parts.scales, parts.zeros, 0, col, d.head_size, to);
  }

  bool isFinite(uint64_t index) const {
    const auto finite = [&](const char* cache, uint64_t stride) {
      float x[kMostHeadSize];
      for (uint32_t head = 0; head < d.key_heads; ++head) {
        loadHead(cache, stride, index, head, x);
        for (uint32_t i = 0; i < d.head_size; ++i) {
          if (!(std::fabs(x[i]) <= 0x1.fffffep127f)) return false;
        }
      }
      return true;
    };
    return finite(keys, stride(d.key_stride, d.key_heads)) && finite(values, stride(d.value_stride, d.key_heads));
  }

  // Rows of a head of the cache in fp32: where they are, or in `copy`.
  Operand rowsOf(const char* cache, uint64_t stride, uint32_t head, const TokenBlock& block, float* copy,
                 bool transposed) const {
    if (!copies()) {
      const uint64_t at = uint64_t(head) * d.head_size;
      return {reinterpret_cast<const float*>(cache) + block.from * stride + at, size_t(stride), transposed};
    }
    for (uint64_t index = block.from; index < block.to; ++index) {
      loadHead(cache, stride, index, head, copy + (index - block.from) * d.head_size);
    }
    return {copy, d.head_size, transposed};
  }

  // Turns the scores of a token into weights, 0 where it does not see. Returns their sum.
  float weigh(float* scores, const TokenBlock& block, const VisibleRows& rows) const {
    const uint32_t begin = uint32_t(rows.from - block.from), end = uint32_t(rows.to - block.from);
    const uint32_t all = uint32_t(block.to - block.from);
    const float by = scale();
    for (uint32_t i = begin; i < end; ++i) scores[i] *= by;
    if (d.cap > 0) {
      for (uint32_t i = begin; i < end; ++i) scores[i] = d.cap * std::tanh(scores[i] / d.cap);
    }
    const float sum = kernels().exponentials(scores + begin, end - begin);
    std::fill(scores, scores + begin, 0.0f);
    std::fill(scores + end, scores + all, 0.0f);
    return sum;
  }

  // False if memory is lacking.
  bool attend(const TokenBlock& block, uint32_t head) const {
    const uint32_t rows = uint32_t(block.to - block.from), size = d.head_size;
    const uint64_t source_stride = stride(d.source_stride, d.heads), result_stride = stride(d.result_stride, d.heads);
    const std::unique_ptr<float[]> scores = allocate<float>(size_t(block.count) * std::max(rows, 1u));
    const std::unique_ptr<float[]> sums = allocate<float>(size_t(block.count) * size);
    const std::unique_ptr<float[]> copy = allocate<float>(copies() ? size_t(rows) * size + 1 : 1);
    if (!scores || !sums || !copy) return false;
    const uint32_t key_head = head / (d.heads / d.key_heads);
    std::fill_n(sums.get(), size_t(block.count) * size, 0.0f);
    float totals[kBlockTokens] = {};
    if (rows != 0) {
      const float* query = source + block.first * source_stride + uint64_t(head) * size;
      const uint64_t key_stride = stride(d.key_stride, d.key_heads), value_stride = stride(d.value_stride, d.key_heads);
      kernels().multiply({query, size_t(source_stride)}, rowsOf(keys, key_stride, key_head, block, copy.get(), true),
                         scores.get(), rows, block.count, rows, size, false);
      for (uint32_t t = 0; t < block.count; ++t) {
        const VisibleRows seen = visibleRows(indices + uint64_t(block.first + t) * 4, d.cache_rows);
        float* own = scores.get() + size_t(t) * rows;
        if (seen.from < seen.to) {
          totals[t] = weigh(own, block, seen);
        } else {
          std::fill_n(own, rows, 0.0f);
        }
      }
      kernels().multiply({scores.get(), rows}, rowsOf(values, value_stride, key_head, block, copy.get(), false),
                         sums.get(), size, block.count, size, rows, false);
    }
    for (uint32_t t = 0; t < block.count; ++t) {
      float* to = result + (uint64_t(run.first_row) + block.first + t) * result_stride + uint64_t(head) * size;
      for (uint32_t i = 0; i < size; ++i) {
        const float y = totals[t] > 0 ? sums[size_t(t) * size + i] / totals[t] : 0.0f;
        to[i] = std::fabs(y) < 0x1p-126f ? 0.0f : y;
      }
    }
    return true;
  }
};

Outcome runAttention(const NibAttentionDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                     const NibParallelFor& parallel) {
  const NibOpDesc* op = reinterpret_cast<const NibOpDesc*>(&desc);
  NibMemory memory{sizeof(NibMemory)};
  const bool dense = desc.cache.format == NIB_FORMAT_DENSE;
  if ((run.n < kFewTokens && dense) || desc.source_type != NIB_TYPE_F32 || desc.result_type != NIB_TYPE_F32 ||
      nibGetMemory(op, nullptr, &memory) != NIB_SUCCESS || !isValid(op, binding, run, desc.tokens)) {
    return Outcome::kUnsupported;
  }
  CacheRow row;
  if (!dense &&
      (!RowDecoder::canDecode(desc.cache) || makeCacheRow("attention", desc.cache_rows, desc.key_heads * desc.head_size,
                                                          desc.head_size, desc.cache, Log(), &row) != NIB_SUCCESS)) {
    return Outcome::kUnsupported;
  }
  std::optional<RowDecoder> decoder;
  if (!dense) decoder.emplace(desc.cache, row.g);
  const Attention a{desc,
                    run,
                    partOf<const float>(memory, binding, run, NIB_PART_SOURCE),
                    partOf<const char>(memory, binding, run, NIB_PART_KEYS),
                    partOf<const char>(memory, binding, run, NIB_PART_VALUES),
                    partOf<const uint32_t>(memory, binding, run, NIB_PART_INDICES),
                    partOf<float>(memory, binding, run, NIB_PART_RESULT),
                    row,
                    decoder ? &*decoder : nullptr};
  const std::vector<TokenBlock> blocks = a.blocks();
  // A product with a weight of 0 would spread non-finite values to tokens that do not see them.
  std::atomic<bool> finite{true};
  for (const TokenBlock& block : blocks) {
    const uint32_t tasks = uint32_t((block.to - block.from + kScanned - 1) / kScanned);
    if (tasks == 0) continue;
    forEach(parallel, tasks, [&](uint32_t i) {
      const uint64_t first = block.from + uint64_t(i) * kScanned, end = std::min(first + kScanned, block.to);
      for (uint64_t row = first; row < end && finite; ++row) {
        if (!a.isFinite(row)) finite = false;
      }
    });
  }
  if (!finite) return Outcome::kUnsupported;
  std::atomic<bool> failed{false};
  forEach(parallel, uint32_t(blocks.size()) * desc.heads, [&](uint32_t i) {
    if (!a.attend(blocks[i / desc.heads], i % desc.heads)) failed = true;
  });
  return failed ? Outcome::kNoMemory : Outcome::kDone;
}

}  // namespace

NIB_DEFINE_FAST_KERNEL(attention, NIB_OP_ATTENTION, NibAttentionDesc, runAttention)

}  // namespace nib::simd
