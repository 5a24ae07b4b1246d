// Quantization: the reference's bytes, a piece of a row at a time. Scales of columns, means and unusual group sizes are
// left to the reference.
#include <algorithm>
#include <memory>

#include "formats/nested.h"
#include "reference/reference.h"
#include "simd/codes.h"
#include "simd/fast_kernels.h"
#include "simd/rows.h"
#include "simd/run.h"
#include "simd/searched_groups.h"

namespace nib::simd {
namespace {

constexpr uint32_t kMostGroups = kPiece / 16;

struct Quantizer {
  const NibQuantizeDesc& d;
  const Geometry& g;
  const FormatCodes& format;
  const void* source;
  uint64_t stride;
  uint32_t first_row;  // in the blob; rows are counted from it
  uint8_t* codes;
  void* scales;
  void* zeros;  // NULL: none
  reference::StatusCounter* status;
  uint32_t piece;  // elements: whole groups, or parts of one, whose codes are whole words

  bool given() const { return (d.flags & NIB_QUANTIZE_GIVEN_SCALES) != 0; }
  uint32_t pieces() const { return uint32_t(ceilDiv(g.cols, piece)); }
  uint32_t countAt(uint32_t col) const { return std::min(piece, g.cols - col); }
  uint64_t scaleIndex(uint32_t row, uint32_t col) const {
    return uint64_t(first_row + row) * g.scale_row_stride + col / g.group;
  }

  // Non-finite elements become zeros, and are counted.
  void replaceNonFinite(float* x, uint32_t count, uint32_t row, uint32_t col) const {
    for (uint32_t i = 0; i < count; ++i) {
      if (!exact::nibIsNonFinite(exact::bitsOf(x[i]))) continue;
      if (status != nullptr) status->nonFinite(uint64_t(row) * g.cols + col + i);
      x[i] = 0.0f;
    }
  }

  static uint32_t withoutDenormals(float x) {
    const uint32_t bits = exact::bitsOf(x);
    return exact::exponentFieldOf(bits) == 0 ? 0u : bits;
  }

  // Finds and stores a scale.
  void saveScale(uint64_t index, const GroupExtent& extent) const {
    GroupStats stats{};
    if (extent.finite) {
      stats.min_bits = withoutDenormals(extent.min);
      stats.max_bits = withoutDenormals(extent.max);
      stats.absmax_bits = std::max(exact::magnitudeOf(stats.min_bits), exact::magnitudeOf(stats.max_bits));
    }
    const StoredScale found = g.format->findScale(stats, d.weights);
    if (found.saturated) status->saturated();
    saveStored(scales, scaleBytes(d.weights.scale_type), index, scaleToStored(found.scale_bits, d.weights.scale_type));
    if (zeros != nullptr) saveStored(zeros, 1, index, g.format->zeroToStored(found.zero));
  }

  StoredScale loadScale(uint64_t index) const {
    StoredScale scale = reference::loadScale(*g.format, d.weights, scales, zeros, nullptr, index);
    scale.rcp_bits = scale.scale_bits != 0u ? exact::nibDivBits(0x3f800000u, scale.scale_bits) : 0u;
    return scale;
  }

  static void merge(GroupExtent* into, const GroupExtent& from, bool first) {
    if (first) {
      *into = from;
      return;
    }
    into->min = std::min(into->min, from.min);
    into->max = std::max(into->max, from.max);
    into->finite &= from.finite;
  }

  // For one row. Non-finite elements are counted.
  GroupExtent rowExtent(uint32_t row) const {
    alignas(64) float x[kPiece];
    GroupExtent whole{};
    for (uint32_t col = 0; col < g.cols; col += piece) {
      const uint32_t count = countAt(col);
      loadPiece(source, d.source_type, row * stride + col, count, x);
      GroupExtent extent;
      kernels().findExtents(x, 1, count, &extent);
      if (!extent.finite) replaceNonFinite(x, count, row, col);
      merge(&whole, extent, col == 0);
      if (g.cols - col <= piece) break;  // the sum could pass 2^32
    }
    return whole;
  }

  void store(const uint8_t* row_codes, uint32_t count, uint32_t row, uint32_t col) const {
    const uint32_t bits = g.format->info.bits, whole = uint32_t(alignUp(count, 32));
    uint8_t* to = codes + uint64_t(first_row + row) * g.row_words * 4 + uint64_t(col) / 8 * bits;
    const uint64_t room = uint64_t(g.row_words) * 4 - uint64_t(col) / 8 * bits;
    if (uint64_t(whole) / 8 * bits <= room) {
      kernels().packCodes(row_codes, whole, bits, to);
    } else {
      uint8_t packed[kPiece];
      kernels().packCodes(row_codes, whole, bits, packed);
      std::memcpy(to, packed, size_t(room));
    }
    // Padding of the row after its last code.
    if (col + uint64_t(count) == g.cols && room > uint64_t(whole) / 8 * bits) {
      std::memset(to + uint64_t(whole) / 8 * bits, 0, size_t(room - uint64_t(whole) / 8 * bits));
    }
  }

  // Groups of one piece, or a piece of a longer group.
  void encodePiece(uint32_t row, uint32_t col, bool find) const {
    alignas(64) float x[kPiece];
    alignas(64) uint8_t row_codes[kPiece];
    const uint32_t count = countAt(col), group = std::min(g.group, count);
    loadPiece(source, d.source_type, row * stride + col, count, x);
    if (find) {
      GroupExtent extents[kMostGroups];
      const uint32_t whole = count / group, rest = count % group;
      kernels().findExtents(x, whole, group, extents);
      if (rest != 0) kernels().findExtents(x + size_t(whole) * group, 1, rest, extents + whole);
      for (uint32_t i = 0; i < whole + (rest != 0 ? 1 : 0); ++i) {
        const uint32_t at = i * group, elements = std::min(group, count - at);
        if (!extents[i].finite) replaceNonFinite(x + at, elements, row, col + at);
        saveScale(scaleIndex(row, col + at), extents[i]);
      }
    } else {
      GroupExtent extent;
      kernels().findExtents(x, 1, count, &extent);
      if (!extent.finite) {
        Quantizer uncounted = *this;
        if (!given()) uncounted.status = nullptr;  // they were counted when the scale was found
        uncounted.replaceNonFinite(x, count, row, col);
      }
    }
    for (uint32_t at = 0; at < count; at += group) {
      // Codes are written to a multiple of kCodeLanes, and the next group's over those.
      format.encode(x + at, std::min(group, count - at), loadScale(scaleIndex(row, col + at)), given(), row_codes + at);
    }
    std::memset(row_codes + count, 0, size_t(alignUp(count, 32) - count));
    store(row_codes, count, row, col);
  }

  // The padding after scales and zero points: per row if ALIGNED, else at the end of the blob.
  void padScales(uint32_t rows) const {
    const uint32_t scale_bytes = scaleBytes(d.weights.scale_type);
    const auto clear = [&](uint64_t index, uint64_t end) {
      for (; index < end; ++index) {
        saveStored(scales, scale_bytes, index, 0);
        if (zeros != nullptr) saveStored(zeros, zeroBytes(*g.format), index, 0);
      }
    };
    if (d.weights.flags & NIB_WEIGHTS_ALIGNED) {
      for (uint32_t row = 0; row < rows; ++row) {
        clear(scaleIndex(row, 0) + g.groups_per_row, scaleIndex(row, 0) + g.scale_row_stride);
      }
      return;
    }
    if (g.scale_row_stride != 0 && first_row + rows < g.rows) return;
    const auto pad = [](void* data, uint64_t bytes) {
      for (; bytes % 4 != 0; ++bytes) static_cast<uint8_t*>(data)[bytes] = 0;
    };
    pad(scales, uint64_t(g.scale_count) * scale_bytes);
    if (zeros != nullptr) pad(zeros, uint64_t(g.scale_count) * zeroBytes(*g.format));
  }
};

// Blocks with a rule of their own are encoded by their format, block by block.
void quantizeBlocks(const Quantizer& q, uint32_t row, uint32_t col) {
  alignas(64) float x[kPiece];
  alignas(64) uint8_t row_codes[kPiece];
  const uint32_t count = q.countAt(col);
  loadPiece(q.source, q.d.source_type, row * q.stride + col, count, x);
  for (uint32_t at = 0; at < count; at += q.g.group) {
    const uint32_t elements = std::min(q.g.group, count - at);
    GroupExtent extent;
    kernels().findExtents(x + at, 1, elements, &extent);
    if (!extent.finite) {
      q.replaceNonFinite(x + at, elements, row, col + at);
      std::memset(x + at, 0, size_t(elements) * 4);
    }
    if (!extent.finite) extent = {0.0f, 0.0f, true};
    Block block{};
    q.format.encodeBlock(x + at, elements, extent, &block, row_codes + at);
    for (uint32_t i = 0; i < block.saturated; ++i) q.status->saturated();
    const uint64_t index = q.scaleIndex(row, col + at);
    saveStored(q.scales, scaleBytes(q.d.weights.scale_type), index, block.scale_stored);
    if (q.zeros != nullptr) saveStored(q.zeros, 2, index, block.zero_stored);
  }
  std::memset(row_codes + count, 0, size_t(alignUp(count, 32) - count));
  q.store(row_codes, count, row, col);
}

constexpr uint32_t kSearchedPiece = 512;  // columns of whole super-blocks and of all lanes

// Groups whose scales are searched. importance: weights of columns, of whole units, or NULL.
struct Searched {
  const Quantizer& q;
  const SearchedGroups& groups;
  const float* importance;
  uint32_t* nested;

  // Units [first, first + count) of a row.
  void save(const SearchedGroups::Unit* units, uint32_t row, uint32_t first, uint32_t count) const {
    const SuperBlocks& super = q.g.format->super;
    for (uint32_t u = 0; u < count; ++u) {
      for (uint32_t i = 0; i < units[u].saturated; ++i) q.status->saturated();
      const uint64_t block = uint64_t(first) + u;
      if (super.blocks == 0) {
        const uint64_t index = q.scaleIndex(row, 0) + block;
        if (block < q.g.groups_per_row) saveStored(q.scales, 2, index, units[u].nested);
        continue;
      }
      const uint64_t index = q.scaleIndex(row, 0) + block * super.blocks;
      nested[index / super.blocks] = units[u].nested;
      for (uint32_t j = 0; j < super.blocks; ++j) {
        const bool padding = block * super.blocks + j >= q.g.groups_per_row;
        saveStored(q.scales, 1, index + j, padding ? 0u : units[u].scale[j]);
        if (q.zeros != nullptr) saveStored(q.zeros, 1, index + j, padding ? 0u : units[u].zero[j]);
      }
    }
  }

  void quantizePiece(uint32_t row, uint32_t col) const {
    alignas(64) float x[kPiece];
    alignas(64) uint8_t codes[kPiece + kCodeLanes];
    const uint32_t count = q.countAt(col), unit_cols = groups.unitCols();
    const uint32_t whole = uint32_t(alignUp(count, unit_cols)), group = q.g.format->info.group_max;
    loadPiece(q.source, q.d.source_type, row * q.stride + col, count, x);
    std::fill(x + count, x + whole, 0.0f);
    for (uint32_t at = 0; at < count; at += group) {
      const uint32_t elements = std::min(group, count - at);
      GroupExtent extent;
      kernels().findExtents(x + at, 1, elements, &extent);
      if (extent.finite) continue;
      q.replaceNonFinite(x + at, elements, row, col + at);
      std::memset(x + at, 0, size_t(elements) * 4);
    }
    for (uint32_t at = 0; at < whole;) {
      const uint32_t units = std::min(groups.mostUnits(), (whole - at) / unit_cols);
      SearchedGroups::Unit found[kSearchLanes];
      groups.quantize(x + at, importance != nullptr ? importance + col + at : nullptr, units, found, codes + at);
      save(found, row, (col + at) / unit_cols, units);
      at += units * unit_cols;
    }
    std::memset(codes + count, 0, size_t(alignUp(count, 32) - count));
    q.store(codes, count, row, col);
  }
};

Outcome runQuantize(const NibQuantizeDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                    const NibParallelFor& parallel) {
  if (kernels().findExtents == nullptr || run.n == 0) return Outcome::kUnsupported;
  Geometry g;
  if (makeGeometry("quantize", "weights", desc.rows, desc.cols, desc.weights, Log(), &g) != NIB_SUCCESS) {
    return Outcome::kUnsupported;
  }
  const bool given = (desc.flags & NIB_QUANTIZE_GIVEN_SCALES) != 0;
  const bool flat = (desc.weights.flags & NIB_WEIGHTS_FLAT) != 0;
  const bool searched = g.format->searches;
  const bool blocks = searched || g.format->quantizeBlock != nullptr;
  const FormatCodes format(*g.format, desc.weights);
  if (desc.weights.granularity == NIB_GRANULARITY_COLUMN) return Outcome::kUnsupported;
  if (!blocks && (given ? !format.encodesGiven() : !format.encodes())) return Outcome::kUnsupported;
  if (g.group < g.cols && (g.group % 16 != 0 || g.group > 256)) return Outcome::kUnsupported;
  const NibOpDesc* op = reinterpret_cast<const NibOpDesc*>(&desc);
  if ((flat && run.n != desc.rows) || !isValid(op, binding, run, desc.rows)) return Outcome::kUnsupported;
  NibMemory memory{sizeof(NibMemory)};
  NibCpuBinding moved;
  if (!moveOperands(op, binding, run, &memory, &moved)) return Outcome::kUnsupported;

  const uint32_t unit = searched ? kSearchedPiece : g.group < g.cols ? g.group * 2 : 32;
  reference::StatusCounter status(nib::partOf<NibStatus>(memory, moved, NIB_ROLE_AUX, NIB_PART_STATUS));
  Quantizer q{desc,
              g,
              format,
              moved.range[NIB_ROLE_INPUT].data,
              desc.source_stride != 0 ? desc.source_stride : desc.cols,
              run.first_row,
              nib::partOf<uint8_t>(memory, moved, NIB_ROLE_WEIGHTS, NIB_PART_CODES),
              nib::partOf<void>(memory, moved, NIB_ROLE_WEIGHTS, NIB_PART_SCALES),
              nib::partOf<void>(memory, moved, NIB_ROLE_WEIGHTS, NIB_PART_ZEROS),
              &status,
              kPiece / unit * unit};
  // Double quantization: fp32 scales go to scratch first, after the words that hold sums on a device.
  void* nested_codes = q.scales;
  uint32_t* nested = nib::partOf<uint32_t>(memory, moved, NIB_ROLE_WEIGHTS, NIB_PART_NESTED);
  if (nested != nullptr && !searched)
    q.scales = nib::partOf<uint32_t>(memory, moved, NIB_ROLE_AUX, NIB_PART_SCRATCH) + 4;

  const uint32_t rows = flat ? 1u : run.n, pieces = q.pieces();
  const auto forEachPiece = [&](auto&& body) {
    if (uint64_t(rows) * pieces <= UINT32_MAX) {
      forEach(parallel, rows * pieces, [&](uint32_t i) { body(i / pieces, i % pieces * q.piece); });
    } else {
      forEach(parallel, rows, [&](uint32_t row) {
        for (uint32_t p = 0; p < pieces; ++p) body(row, p * q.piece);
      });
    }
  };
  if (searched) {
    const SearchedGroups groups(*g.format);
    const uint32_t* importance = nib::partOf<uint32_t>(memory, moved, NIB_ROLE_AUX, NIB_PART_IMPORTANCE);
    std::unique_ptr<float[]> weights;
    if (importance != nullptr) {
      weights = allocate<float>(size_t(alignUp(g.cols, kSearchedPiece)));
      if (weights == nullptr) return Outcome::kNoMemory;
      for (uint64_t col = 0; col < g.cols; col += groups.unitCols()) {
        const uint32_t count = uint32_t(std::min(g.cols - col, uint64_t(groups.unitCols())));
        groups.weighColumns(importance + col, count, weights.get() + col);
      }
    }
    const Searched searcher{q, groups, weights.get(), nested};
    forEachPiece([&](uint32_t row, uint32_t col) { searcher.quantizePiece(row, col); });
    if (g.format->super.blocks == 0) q.padScales(rows);
    return Outcome::kDone;
  }
  if (blocks) {
    forEachPiece([&](uint32_t row, uint32_t col) { quantizeBlocks(q, row, col); });
    if (!given) q.padScales(rows);
    return Outcome::kDone;
  }
  const bool own_pieces = g.group < g.cols || g.cols <= q.piece;  // each piece has its scales
  if (given || (own_pieces && desc.weights.granularity != NIB_GRANULARITY_TENSOR && nested == nullptr)) {
    forEachPiece([&](uint32_t row, uint32_t col) { q.encodePiece(row, col, !given); });
    if (!given) q.padScales(rows);
    return Outcome::kDone;
  }
  if (desc.weights.granularity == NIB_GRANULARITY_TENSOR) {
    const std::unique_ptr<GroupExtent[]> extents = allocate<GroupExtent>(rows);
    if (extents == nullptr) return Outcome::kNoMemory;
    forEach(parallel, rows, [&](uint32_t row) { extents[row] = q.rowExtent(row); });
    GroupExtent whole{};
    for (uint32_t row = 0; row < rows; ++row) Quantizer::merge(&whole, extents[row], row == 0);
    q.saveScale(0, whole);
  } else if (nested != nullptr) {
    forEachPiece([&](uint32_t row, uint32_t col) { q.encodePiece(row, col, true); });
  } else {
    forEach(parallel, rows, [&](uint32_t row) { q.saveScale(q.scaleIndex(row, 0), q.rowExtent(row)); });
  }
  q.padScales(rows);
  if (nested != nullptr) {
    nestScales(static_cast<const uint32_t*>(q.scales), g.scale_count, static_cast<uint8_t*>(nested_codes), nested);
    for (uint64_t i = g.scale_count; i % 4 != 0; ++i) static_cast<uint8_t*>(nested_codes)[i] = 0;
    return Outcome::kDone;
  }
  forEachPiece([&](uint32_t row, uint32_t col) { q.encodePiece(row, col, false); });
  return Outcome::kDone;
}

}  // namespace

NIB_DEFINE_FAST_KERNEL(quantize, NIB_OP_QUANTIZE, NibQuantizeDesc, runQuantize)

}  // namespace nib::simd
