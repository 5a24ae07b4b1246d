// NIB_OP_ATTENTION: validation, memory, kernels.
#include "ops/attention.h"

#include <nibble/formats.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>

#include "plan/op.h"
#include "plan/probe.h"
#include "reference/reference.h"

#if !defined(NIB_NO_VULKAN)
#include "ops/tuning.h"
#include "plan/plan.h"
#include "shaders/ops/attention.h"
#include "shaders/ops/attention_merge.h"
#include "shaders/ops/attention_tiles.h"
#endif

namespace nib {
namespace {

constexpr uint32_t kMaxHeadSize = 256;

NibResult checkHeads(const NibAttentionDesc& d, const Log& log) {
  if (d.flags & ~uint32_t(NIB_ATTENTION_SINGLE)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "attention: flags 0x%x has unknown bits", d.flags);
  }
  if (d.tokens == 0 || d.cache_rows == 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "attention: tokens %u and cache_rows %u must be at least 1", d.tokens,
                    d.cache_rows);
  }
  if (d.head_size % 8 != 0 || d.head_size == 0 || d.head_size > kMaxHeadSize) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "attention: head_size %u must be a multiple of 8 in 8..256",
                    d.head_size);
  }
  if (d.key_heads == 0 || d.heads == 0 || d.heads % d.key_heads != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "attention: heads %u must be a multiple of key_heads %u, and not 0",
                    d.heads, d.key_heads);
  }
  if (d.heads > kMaxElements / d.head_size) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "attention: heads * head_size = %u * %u is more than 2^32 - 2^21",
                    d.heads, d.head_size);
  }
  if (d.scale != 0 && !(d.scale >= 0x1p-20f && d.scale <= 0x1p20f)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "attention: scale %g must be in 2^-20..2^20, or 0", double(d.scale));
  }
  if (d.cap != 0 && !(d.cap >= 0x1p-10f && d.cap <= 0x1p20f)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "attention: cap %g must be in 2^-10..2^20, or 0", double(d.cap));
  }
  return NIB_SUCCESS;
}

NibResult checkStride(const char* field, uint32_t rows, uint32_t cols, uint32_t type, const Log& log,
                      uint32_t* stride) {
  if (*stride % 8 != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "attention: %s_stride %u must be a multiple of 8", field, *stride);
  }
  return checkDense("attention", field, rows, cols, type, false, log, stride);
}

bool isDense(const NibAttentionDesc& d) { return d.cache.format == NIB_FORMAT_DENSE; }

NibResult checkCacheFields(const NibAttentionDesc& d, const Log& log) {
  const NibWeights& c = d.cache;
  if (isDense(d)) {
    if (d.cache_type > NIB_TYPE_BF16) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "attention: cache_type %u must be F32, F16 or BF16", d.cache_type);
    }
    if (c.granularity != 0 || c.group_size != 0 || c.scale_type != 0 || c.flags != 0 || c.reserved[0] != 0 ||
        c.reserved[1] != 0) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "attention: cache must be all 0 without cache.format");
    }
  } else if (d.cache_type != 0 || d.key_stride != 0 || d.value_stride != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "attention: cache_type %u, key_stride %u and value_stride %u of a quantized cache must be 0",
                    d.cache_type, d.key_stride, d.value_stride);
  }
  return NIB_SUCCESS;
}

NibResult checkShape(const NibAttentionDesc& d, const Log& log, AttentionShape* shape) {
  NibResult result = checkHeads(d, log);
  if (result != NIB_SUCCESS) return result;
  *shape = {d.source_stride, d.key_stride, d.value_stride, d.result_stride, d.scale, {}};
  if (d.scale == 0) shape->scale = float(1 / std::sqrt(double(d.head_size)));
  const uint32_t cols = d.heads * d.head_size, key_cols = d.key_heads * d.head_size;
  result = checkCacheFields(d, log);
  if (result != NIB_SUCCESS) return result;
  result = checkStride("source", d.tokens, cols, d.source_type, log, &shape->source_stride);
  if (result == NIB_SUCCESS && !isDense(d)) {
    result = makeCacheRow("attention", d.cache_rows, key_cols, d.head_size, d.cache, log, &shape->row);
    shape->key_stride = shape->value_stride = shape->row.words;
  } else if (result == NIB_SUCCESS) {
    result = checkStride("key", d.cache_rows, key_cols, d.cache_type, log, &shape->key_stride);
    if (result == NIB_SUCCESS) {
      result = checkStride("value", d.cache_rows, key_cols, d.cache_type, log, &shape->value_stride);
    }
  }
  if (result == NIB_SUCCESS) {
    result = checkStride("result", d.tokens, cols, d.result_type, log, &shape->result_stride);
  }
  if (result != NIB_SUCCESS) return result;
  if (uint64_t(d.tokens) * attentionScratchWords(d, attentionPieces(d)) > kMaxElements) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "attention: tokens %u of %u heads of %u need more than 16 GiB of scratch; split the run", d.tokens,
                    d.heads, d.head_size);
  }
  return NIB_SUCCESS;
}

// Appends a part after the earlier ones, and returns where the next may begin.
uint64_t addPart(NibMemory* memory, NibRole role, NibPart part, uint64_t from, uint64_t size_bytes) {
  const uint64_t at = alignUp(from, kPartAlignmentBytes);
  setPart(memory, role, part, at, size_bytes);
  return at + size_bytes;
}

NibResult getMemory(const NibAttentionDesc& d, const Log& log, NibMemory* memory) {
  AttentionShape s;
  const NibResult result = checkShape(d, log, &s);
  if (result != NIB_SUCCESS) return result;
  const uint32_t cols = d.heads * d.head_size, key_cols = d.key_heads * d.head_size;
  const auto cacheBytes = [&](uint32_t stride) {
    return isDense(d) ? denseBytes(d.cache_rows, key_cols, d.cache_type, stride) : d.cache_rows * s.row.bytes();
  };
  uint64_t end = addPart(memory, NIB_ROLE_WEIGHTS, NIB_PART_KEYS, 0, cacheBytes(s.key_stride));
  end = addPart(memory, NIB_ROLE_WEIGHTS, NIB_PART_VALUES, end, cacheBytes(s.value_stride));
  setRange(memory, NIB_ROLE_WEIGHTS, end);

  end = addPart(memory, NIB_ROLE_INPUT, NIB_PART_SOURCE, 0, denseBytes(d.tokens, cols, d.source_type, s.source_stride));
  end = addPart(memory, NIB_ROLE_INPUT, NIB_PART_INDICES, end, uint64_t(d.tokens) * 16);
  setRange(memory, NIB_ROLE_INPUT, end);

  const uint64_t result_bytes = denseBytes(d.tokens, cols, d.result_type, s.result_stride);
  setPart(memory, NIB_ROLE_OUTPUT, NIB_PART_RESULT, 0, result_bytes);
  setRange(memory, NIB_ROLE_OUTPUT, result_bytes);

  const uint64_t scratch_bytes = uint64_t(d.tokens) * attentionScratchWords(d, attentionPieces(d)) * 4;
  setPart(memory, NIB_ROLE_AUX, NIB_PART_SCRATCH, 0, scratch_bytes);
  setRange(memory, NIB_ROLE_AUX, scratch_bytes);
  return NIB_SUCCESS;
}

void runReference(const NibAttentionDesc& d, const HostRun& run) {
  AttentionShape shape;
  if (checkShape(d, Log(), &shape) == NIB_SUCCESS) attentionReference(d, shape, run);
}

// Rows are tokens, columns rows of the cache. Few heads make a small problem.
NibAttentionDesc resized(const NibAttentionDesc& desc, Dims dims) {
  // At least two, and as many as give the merge of pieces more than one workgroup of vectors of four elements.
  constexpr uint32_t kFewKeyHeads = 2, kLargestWorkgroup = 256;
  NibAttentionDesc d = desc;
  const uint32_t group = d.heads / d.key_heads, key_cols = d.key_heads * d.head_size;
  d.tokens = dims.rows;
  d.cache_rows = dims.cols;
  const uint32_t per_key_head = std::max(dims.rows * group * (d.head_size / 4), 1u);
  d.key_heads = std::min(d.key_heads, std::max(kFewKeyHeads, kLargestWorkgroup / per_key_head + 1));
  d.heads = group * d.key_heads;
  const uint32_t cols = d.heads * d.head_size;
  d.source_stride = strideLike(d.source_stride, desc.heads * d.head_size, cols);
  d.result_stride = strideLike(d.result_stride, desc.heads * d.head_size, cols);
  d.key_stride = strideLike(d.key_stride, key_cols, d.key_heads * d.head_size);
  d.value_stride = strideLike(d.value_stride, key_cols, d.key_heads * d.head_size);
  return d;
}

// Tokens of more than one tile of either size, if the description has so many; keys in one piece and in two.
void smallDims(const NibAttentionDesc& d, SmallDims* list) {
  const uint32_t group = attentionGroup(d), tail = d.cache_rows % 32;
  uint32_t tokens = std::max(kAttentionTiledTokens + 1, 3 + (group < 64 ? 64 / group : 1u)) | 1u;
  if (hasManyQueries(d)) tokens = std::max(tokens, uint32_t(ceilDiv(kAttentionManyQueries, group)) | 1u);
  tokens = std::min(tokens, d.tokens);
  list->add(tokens, 160 + tail);
  list->add(tokens, kAttentionPieceKeys + 32 + tail);
}

// Numbers with magnitudes from 2^(top - 7) to 2^(top - 1), positive ones if `sign` is 0.
void fillOrdinary(void* data, uint32_t type, uint64_t size_bytes, uint32_t seed, int top, uint32_t sign) {
  probe::Sequence sequence(seed);
  for (uint64_t i = 0; i < size_bytes / typeBytes(type); ++i) {
    const uint32_t r = sequence.next();
    storeDense(data, type, i, (r & sign) | ((uint32_t(0x78 + top) << 23) + (r & 0x02ffffffu)));
  }
}

// Codes of numbers below 1/2, positive ones if `positive`, and scales of two magnitudes.
void fillOrdinaryCodes(const NibAttentionDesc& d, const CacheRow& row, void* cache, uint32_t seed, bool positive) {
  const bool fp8 = d.cache.format == NIB_FORMAT_FP8, bytes = row.g.format->info.bits == 8;
  const bool asymmetric = (d.cache.flags & NIB_WEIGHTS_ASYMMETRIC) != 0;
  // Bits that are cleared and set in words of codes. FP8 codes have exponents of at most 7, and are below 2.
  const uint32_t clear = fp8 ? (positive ? 0xc0c0c0c0u : 0x40404040u) : bytes && positive ? 0x80808080u : 0u;
  const uint32_t set = !bytes && positive ? 0x88888888u : 0u;
  const uint32_t half = (fp8 ? 0x3400u : bytes ? 0x1c00u : 0x2c00u) - (asymmetric ? 0x400u : 0u);
  const uint32_t middle = bytes ? 0u : 8u, lowest = bytes ? 0x80u : 0u;
  probe::Sequence sequence(seed);
  for (uint32_t i = 0; i < d.cache_rows; ++i) {
    const CacheParts<void> parts = cacheParts(row, cache, i);
    uint32_t* codes = static_cast<uint32_t*>(parts.codes);
    for (uint32_t w = 0; w < row.words; ++w) codes[w] = 0;
    for (uint32_t w = 0; w < row.g.row_words; ++w) {
      codes[w] = asymmetric ? sequence.next() : (sequence.next() & ~clear) | set;
    }
    for (uint32_t group = 0; group < row.g.groups_per_row; ++group) {
      saveStored(parts.scales, 2, group, half - ((group + i) % 2 != 0 ? 0x400u : 0u));
      if (asymmetric) saveStored(parts.zeros, 1, group, positive ? lowest : middle + group % 2);
    }
  }
}

// Scores of a few units, so that weights differ, and values of one sign, so that results are as large as these.
void fillProbe(const NibAttentionDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  AttentionShape shape;
  if (checkShape(d, Log(), &shape) != NIB_SUCCESS) return;
  const auto fill = [&](NibRole role, NibPart part, uint32_t type, uint32_t seed, int top, uint32_t sign) {
    fillOrdinary(partOf<void>(memory, binding, role, part), type, memory.part[part].size_bytes, seed, top, sign);
  };
  const int spread = std::ilogb(double(shape.scale) * std::sqrt(double(d.head_size)));
  const int top = 4 - spread < -6 ? -6 : 4 - spread > 12 ? 12 : 4 - spread;
  fill(NIB_ROLE_INPUT, NIB_PART_SOURCE, d.source_type, 0x27d4eb2fu, top, 0x80000000u);
  if (isDense(d)) {
    fill(NIB_ROLE_WEIGHTS, NIB_PART_KEYS, d.cache_type, 0x9e3779b9u, 0, 0x80000000u);
    fill(NIB_ROLE_WEIGHTS, NIB_PART_VALUES, d.cache_type, 0x85ebca6bu, 0, 0);
  } else {
    const auto cache = [&](NibPart part) { return partOf<void>(memory, binding, NIB_ROLE_WEIGHTS, part); };
    fillOrdinaryCodes(d, shape.row, cache(NIB_PART_KEYS), 0x9e3779b9u, false);
    fillOrdinaryCodes(d, shape.row, cache(NIB_PART_VALUES), 0x85ebca6bu, true);
  }
  uint32_t* indices = partOf<uint32_t>(memory, binding, NIB_ROLE_INPUT, NIB_PART_INDICES);
  probe::Sequence sequence(0x165667b1u);
  for (uint32_t t = 0; t < d.tokens; ++t) {
    const uint32_t kind = sequence.next() >> 8;
    uint32_t* entry = indices + uint64_t(t) * 4;
    entry[0] = kind % 4 == 0 ? d.cache_rows / 3 : 0;
    entry[1] = d.cache_rows - entry[0];
    entry[2] = kind % 5 == 0 ? UINT32_MAX : uint32_t(uint64_t(d.cache_rows) * (t + 1) / d.tokens);
    entry[3] = kind % 7 == 0 ? d.cache_rows / 5 : 0;
  }
}

// E of the header for the data above, times the largest value over the largest result.
Tolerance tolerance(const NibAttentionDesc& d, NibPart) {
  const double norms = 64 * std::sqrt(double(d.head_size));
  const double e = (d.head_size + 8) * 0x1p-23 * norms + double(d.cap) * 0x1p-20;
  return {d.result_type, 4 * (2 * e + d.cache_rows * 0x1p-22 + 0x1p-18)};
}

bool mayAlias(const NibAttentionDesc& d, NibPart written, NibPart other) {
  AttentionShape s;
  return written == NIB_PART_RESULT && other == NIB_PART_SOURCE && d.result_type == d.source_type &&
         checkShape(d, Log(), &s) == NIB_SUCCESS && s.result_stride == s.source_stride;
}

#if !defined(NIB_NO_VULKAN)

NIB_SPEC_STRUCT(AttentionSpec, ATTENTION_SPEC)
NIB_SPEC_STRUCT(AttentionTilesSpec, ATTENTION_TILES_SPEC)
NIB_SPEC_STRUCT(AttentionMergeSpec, ATTENTION_MERGE_SPEC)
static_assert(kAttentionRecordWords == NIB_ATTENTION_RECORD);

constexpr uint32_t kWorkgroup = 128;
constexpr uint32_t kKeys = 128;    // of a step of attention
constexpr uint32_t kLanes = 4;     // that share a product of attention
constexpr uint32_t kCpuKeys = 32;  // of a step on CPUs, where one invocation has a whole product
constexpr uint32_t kMergeWorkgroup = 64;
constexpr uint32_t kTileColumns = 16;      // LANES of attention_tiles.comp
constexpr uint32_t kLargeWorkgroup = 256;  // of attention_tiles with 64 queries and 64 keys

// Rows of a part, from row 0 on.
Slot rowsSlot(const NibMemory& memory, NibPart part, uint64_t row_bytes, uint64_t row_size_bytes) {
  const NibMemoryPart& p = memory.part[part];
  return itemSlot(NibRole(p.role), p.offset_bytes, row_bytes, 0, row_size_bytes).of(part);
}

// One window over a whole part.
Slot partSlot(const NibMemory& memory, NibPart part) { return rowsSlot(memory, part, 0, memory.part[part].size_bytes); }

// How a plan divides the work.
struct Build {
  const NibAttentionDesc& d;
  const NibMemory& memory;
  PlanBuilder& builder;
  AttentionShape s;
  bool copied;      // queries and indices do not fit one window: the indices are copied to scratch
  bool carry;       // nor do keys or values: pieces of them follow each other
  uint32_t pieces;  // of the keys
  uint32_t piece_rows;
  AttentionTile tile;
  uint32_t token_tiles;  // of a row block

  uint32_t word(NibPart part) const { return uint32_t(memory.part[part].offset_bytes / 4); }
  bool partial() const { return copied || carry || pieces > 1; }
  uint32_t records() const { return carry ? 1 : pieces; }
  uint64_t scratchBytes() const { return attentionScratchWords(d, records()) * 4; }
  uint64_t resultBytes() const { return uint64_t(s.result_stride) * typeBytes(d.result_type); }
  uint64_t sourceBytes() const { return uint64_t(s.source_stride) * typeBytes(d.source_type); }
  // The most bytes of a token in any window.
  uint64_t tokenBytes() const {
    const uint64_t written = partial() ? scratchBytes() : resultBytes();
    return copied ? std::max(written, sourceBytes()) : written;
  }

  Slot scratchSlot() const { return rowsSlot(memory, NIB_PART_SCRATCH, scratchBytes(), scratchBytes()); }
  Slot resultSlot() const {
    const uint64_t size = uint64_t(d.heads) * d.head_size * typeBytes(d.result_type);
    return rowsSlot(memory, NIB_PART_RESULT, resultBytes(), size).moving();
  }
  Slot inputSlot() const {
    if (!copied) return wholeSlot(NIB_ROLE_INPUT).of(kNoPart, {NIB_PART_SOURCE, NIB_PART_INDICES});
    const uint64_t size = uint64_t(d.heads) * d.head_size * typeBytes(d.source_type);
    return rowsSlot(memory, NIB_PART_SOURCE, sourceBytes(), size);
  }
  Slot cacheSlot(NibPart part, uint32_t stride) const {
    if (!carry) return partSlot(memory, part);
    const NibMemoryPart& p = memory.part[part];
    Slot slot = sharedSlot(NibRole(p.role), p.offset_bytes, uint64_t(piece_rows) * stride * typeBytes(d.cache_type),
                           p.size_bytes);
    slot.same_items = pieceTiles();
    return slot.of(part);
  }
  uint64_t pieceTiles() const { return uint64_t(token_tiles) * d.key_heads * tile.head_tiles; }
};

// The pieces of the keys, and which operands do not fit one window.
void choosePieces(Build* b) {
  const NibAttentionDesc& d = b->d;
  const uint64_t window = b->builder.largestWindow();
  b->copied = b->memory.range[NIB_ROLE_INPUT].size_bytes > window;
  b->carry = b->memory.part[NIB_PART_KEYS].size_bytes > window || b->memory.part[NIB_PART_VALUES].size_bytes > window;
  b->pieces = isCpu(b->builder.caps().device_type) ? 1 : attentionPieces(d);
  b->piece_rows = d.cache_rows;
  if (b->carry) {
    const uint64_t row_bytes = uint64_t(std::max(b->s.key_stride, b->s.value_stride)) * typeBytes(d.cache_type);
    b->piece_rows = uint32_t(std::max(window / row_bytes, uint64_t(1)));
    b->pieces = uint32_t(ceilDiv(d.cache_rows, b->piece_rows));
    return;
  }
  while (b->pieces > 1 && b->scratchBytes() > window) --b->pieces;
}

// Limits tiles to `rows` queries, and to the tokens that their windows hold.
void chooseTile(Build* b, uint32_t rows, bool tokens) {
  b->tile = attentionTile(b->d, rows, tokens);
  const uint64_t fitting = std::max(b->builder.largestWindow() / b->tokenBytes(), uint64_t(1));
  if (b->tile.tokens > fitting) b->tile.tokens = uint32_t(fitting);
  const uint64_t blocks = b->carry ? std::min(fitting / b->tile.tokens, ceilDiv(b->d.tokens, b->tile.tokens)) : 1;
  b->token_tiles = uint32_t(blocks);
}

template <class Spec>
void fillSpec(const Build& b, Spec* spec) {
  spec->HEAD_SIZE = b.d.head_size;
  spec->SOURCE_TYPE = b.d.source_type;
  spec->CACHE_TYPE = b.d.cache_type;
  spec->RESULT_TYPE = b.d.result_type;
  spec->TOKENS = b.tile.tokens;
  spec->HEADS = b.tile.heads;
  spec->CAPPED = b.d.cap != 0;
  spec->PARTIAL = b.partial();
  spec->CARRY = b.carry;
  spec->COPIED = b.copied;
  spec->FLAGS = b.d.cache.flags;
  spec->GROUP = isDense(b.d) ? 0 : b.s.row.g.group;
}

template <class Spec>
NibResult addMain(const Build& b, const char* name, const Spec& spec, uint32_t shared_bytes) {
  const NibAttentionDesc& d = b.d;
  const AttentionPush push{{},
                           d.heads,
                           attentionGroup(d),
                           b.tile.head_tiles,
                           b.token_tiles,
                           b.pieces,
                           b.piece_rows,
                           d.cache_rows,
                           b.s.source_stride,
                           b.s.key_stride,
                           b.s.value_stride,
                           b.s.result_stride,
                           uint32_t(b.scratchBytes() / 4),
                           b.word(NIB_PART_SOURCE),
                           b.word(NIB_PART_INDICES),
                           b.word(NIB_PART_KEYS),
                           b.word(NIB_PART_VALUES),
                           b.word(NIB_PART_RESULT),
                           std::bit_cast<uint32_t>(b.s.scale),
                           std::bit_cast<uint32_t>(d.cap),
                           isDense(d) ? 0 : b.s.row.scalesWord(),
                           isDense(d) ? 0 : b.s.row.zerosWord()};
  TileRule tiles;
  tiles.row_block = b.tile.tokens * b.token_tiles;
  tiles.mul = b.pieceTiles() * b.pieces;
  if (b.carry) tiles.step_tiles = b.pieceTiles();
  const Slot slots[kSlotCount] = {b.cacheSlot(NIB_PART_KEYS, b.s.key_stride), b.inputSlot(),
                                  b.partial() ? b.scratchSlot() : b.resultSlot(),
                                  b.cacheSlot(NIB_PART_VALUES, b.s.value_stride)};
  // In bytes; a multiply-add counts as one.
  const uint64_t elements = 2 * (ceilDiv(d.cache_rows, b.pieces)) * d.head_size;
  const uint64_t work = elements * (b.tile.tokens * b.tile.heads + typeBytes(d.cache_type));
  if (b.copied) return b.builder.add(name, d.cache.format, spec, push, shared_bytes, tiles, slots, work);
  return b.builder.add(name, d.cache.format, spec, push, shared_bytes, tiles, slots, work,
                       {{&push.source_word, NIB_PART_SOURCE, 1}, {&push.indices_word, NIB_PART_INDICES, 1}});
}

// Adds the kernel for few queries at a time, which runs everywhere.
NibResult addAttention(Build b) {
  const NibAttentionDesc& d = b.d;
  const vk::Caps& caps = b.builder.caps();
  AttentionSpec spec;
  const uint32_t octets = d.head_size / 8;
  if (isCpu(caps.device_type)) {
    chooseTile(&b, kAttentionCpuRows, !(d.flags & NIB_ATTENTION_SINGLE));
    spec.WG = std::clamp(std::bit_ceil(octets), 8u, 32u);
    spec.LANES = 1;
    spec.KEYS = kCpuKeys;
  } else {
    chooseTile(&b, kAttentionRows, false);
    spec.WG = b.builder.workgroupSize(kWorkgroup);
    const bool shuffles = (caps.features & NIB_FEATURE_SUBGROUP) != 0;
    spec.LANES = shuffles && caps.plain_subgroup_size < kLanes ? 1 : kLanes;
    spec.KEYS = kKeys;
  }
  fillSpec(b, &spec);
  const uint32_t rows = b.tile.tokens * b.tile.heads;
  const uint32_t products = std::max(spec.LANES * (rows * spec.KEYS + 8), spec.WG * 8);
  const uint32_t shared_bytes =
      4 * (rows * d.head_size + products + rows * spec.KEYS + spec.WG + rows + 2 * b.tile.tokens);
  return addMain(b, "attention", spec, shared_bytes);
}

// Adds the kernel for many queries at a time if the device can run it. *added says whether it did.
NibResult addTiles(Build b, bool* added) {
  const NibAttentionDesc& d = b.d;
  *added = false;
  for (const uint32_t workgroup : {kLargeWorkgroup, kWorkgroup}) {
    const uint32_t rows = workgroup / 4;
    chooseTile(&b, rows, true);
    const bool large = workgroup == kLargeWorkgroup;
    if (large && (b.pieces > 1 || !hasManyQueries(d))) continue;
    AttentionTilesSpec spec;
    fillSpec(b, &spec);
    spec.WG = workgroup;
    spec.KEY_COLUMNS = large ? 4 : 2;
    const uint32_t keys = kTileColumns * spec.KEY_COLUMNS, staged = (rows + keys) * 9, head_quads = d.head_size / 4;
    spec.VALUE_ROWS = std::min(keys, std::bit_floor(staged / head_quads));
    spec.QUADS = uint32_t(ceilDiv(head_quads, kTileColumns));
    const uint32_t quads = staged + keys * (rows / 4 + 1) + rows / 4;
    const uint32_t shared_bytes = 16 * quads + 4 * workgroup + 8 * b.tile.tokens;
    if (!b.builder.offers("attention_tiles", d.cache.format, workgroup, shared_bytes, sizeof(AttentionPush))) continue;
    *added = true;
    return addMain(b, "attention_tiles", spec, shared_bytes);
  }
  return NIB_SUCCESS;
}

// Adds the phase that copies the indices, or the one that merges pieces.
NibResult addMerge(const Build& b, bool copy) {
  const NibAttentionDesc& d = b.d;
  AttentionMergeSpec spec;
  spec.WG = b.builder.workgroupSize(kMergeWorkgroup);
  spec.RESULT_TYPE = d.result_type;
  spec.COPY = copy;
  const uint32_t head_quads = d.head_size / 4;
  TileRule tiles;
  tiles.mul = copy ? 1 : ceilDiv(uint64_t(d.heads) * head_quads, spec.WG);
  const AttentionMergePush push{{},
                                d.heads,
                                head_quads,
                                uint32_t(tiles.mul),
                                b.records(),
                                uint32_t(b.scratchBytes() / 4),
                                b.s.result_stride,
                                b.word(NIB_PART_RESULT),
                                b.word(NIB_PART_INDICES)};
  const Slot slots[kSlotCount] = {Slot{}, copy ? rowsSlot(b.memory, NIB_PART_INDICES, 16, 16) : b.scratchSlot(),
                                  copy ? b.scratchSlot() : b.resultSlot(), Slot{}};
  const uint64_t work = copy ? 32 : uint64_t(spec.WG) * 16 * (b.records() + 1);
  return b.builder.add("attention_merge", 0, spec, push, 0, tiles, slots, work);
}

NibResult build(const NibAttentionDesc& d, const NibMemory& memory, PlanBuilder& builder) {
  Build b{d, memory, builder, {}, false, false, 1, 0, {}, 1};
  NibResult result = checkShape(d, Log(), &b.s);
  if (result != NIB_SUCCESS) return result;
  choosePieces(&b);
  if (b.copied) result = addMerge(b, true);
  bool added = false;
  if (result == NIB_SUCCESS && hasAttentionTiles(d) && !isCpu(builder.caps().device_type)) result = addTiles(b, &added);
  if (result == NIB_SUCCESS && !added) result = addAttention(b);
  if (result == NIB_SUCCESS && b.partial()) result = addMerge(b, false);
  return result;
}

#endif

constexpr Op<NibAttentionDesc> kAttention = {
    .op = NIB_OP_ATTENTION,
    .name = "attention",
    .least_desc_bytes = offsetof(NibAttentionDesc, cache),
    .getMemory = getMemory,
    .runRows =
        [](const NibAttentionDesc& d) {
          return RunRows{d.tokens, false, d.tokens};
        },
    .runReference = runReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims =
        [](const NibAttentionDesc& d) {
          return Dims{d.tokens, d.cache_rows};
        },
    .resized = resized,
    .smallDims = smallDims,
    .fillProbe = fillProbe,
    .tolerance = tolerance,
    .mayAlias = mayAlias,
};

}  // namespace

NIB_DEFINE_OP(attention, NibAttentionDesc, kAttention)

}  // namespace nib
