// Reference of NIB_OP_QUANTIZE.
#include <cstring>

#include "numerics/mean.h"
#include "reference/reference.h"

namespace nib {
namespace {

void padToWord(void* data, uint64_t bytes) {
  for (; bytes % 4 != 0; ++bytes) static_cast<uint8_t*>(data)[bytes] = 0;
}

struct Quantizer {
  NibQuantizeDesc desc;
  Geometry g;
  const void* source;
  uint64_t stride;
  uint32_t first_row;  // in the blob; row arguments count from it
  uint32_t* codes;
  void* scales;
  void* zeros;                 // NULL if absent
  const uint32_t* importance;  // by column; NULL if absent
  reference::StatusCounter* status;

  bool given() const { return (desc.flags & NIB_QUANTIZE_GIVEN_SCALES) != 0; }
  uint32_t load(uint32_t row, uint32_t col) const { return loadDense(source, desc.source_type, row * stride + col); }
  uint32_t scaleIndex(uint32_t row, uint32_t col) const {
    return (first_row + row) * g.scale_row_stride + col / g.group;
  }
  uint32_t* rowWords(uint32_t row) const { return codes + uint64_t(first_row + row) * g.row_words; }

  // Finds and stores the scale of these rows and columns. With a non-finite element it is that of the zero group.
  void findScale(uint32_t index, uint32_t begin_row, uint32_t row_count, uint32_t first_col, uint32_t col_count) const {
    const auto each = [&](auto&& visit) {
      for (uint32_t row = begin_row; row < begin_row + row_count; ++row) {
        for (uint32_t i = 0; i < col_count; ++i) visit(row, first_col + i);  // the end could pass 2^32
      }
    };
    reference::Extent extent;
    each([&](uint32_t row, uint32_t col) {
      const uint32_t bits = load(row, col);
      extent.add(bits);
      if (exact::nibIsNonFinite(bits)) status->nonFinite(uint64_t(row) * g.cols + col);
    });
    GroupStats stats{};
    if (extent.nonfinite == 0) {
      stats = {extent.minBits(), extent.maxBits(), extent.absmaxBits(), 0};
      if (isMeanScale(*g.format, desc.weights)) {
        Mean mean{stats.absmax_bits};
        each([&](uint32_t row, uint32_t col) { mean.add(exact::magnitudeOf(load(row, col))); });
        stats.mean_bits = mean.bits(row_count * col_count);
      }
    }
    const StoredScale found = g.format->findScale(stats, desc.weights);
    if (found.saturated) status->saturated();
    saveStored(scales, scaleBytes(desc.weights.scale_type), index,
               scaleToStored(found.scale_bits, desc.weights.scale_type));
    if (zeros != nullptr) saveStored(zeros, 1, index, g.format->zeroToStored(found.zero));
  }

  StoredScale loadScale(uint32_t index) const {
    StoredScale scale = reference::loadScale(*g.format, desc.weights, scales, zeros, nullptr, index);
    scale.rcp_bits = scale.scale_bits != 0u ? exact::nibDivBits(0x3f800000u, scale.scale_bits) : 0u;
    return scale;
  }

  // ORs a code into its row's words, which start as zeros.
  void addCode(uint32_t row, uint32_t col, uint64_t code) const {
    uint32_t* words = rowWords(row);
    const uint32_t bits = g.format->info.bits;
    const uint64_t bit = uint64_t(col) * bits;
    words[bit / 32u] |= uint32_t(code << (bit % 32u));
    if (bit % 32u + bits > 32u) words[bit / 32u + 1u] |= uint32_t(code >> (32u - bit % 32u));
  }

  // Zeroes the padding after scales and zero points: per row if ALIGNED, else at the end of the blob. Padding outside
  // the run is kept.
  void padScales(uint32_t rows) const {
    const uint32_t scale_bytes = scaleBytes(desc.weights.scale_type);
    if (desc.weights.flags & NIB_WEIGHTS_ALIGNED) {
      for (uint32_t row = 0; row < rows; ++row) {
        for (uint32_t i = g.groups_per_row; i < g.scale_row_stride; ++i) {
          saveStored(scales, scale_bytes, scaleIndex(row, 0) + i, 0);
          if (zeros != nullptr) saveStored(zeros, zeroBytes(*g.format), scaleIndex(row, 0) + i, 0);
        }
      }
      return;
    }
    if (g.scale_row_stride != 0 && first_row + rows < g.rows) return;
    padToWord(scales, uint64_t(g.scale_count) * scale_bytes);
    if (zeros != nullptr) padToWord(zeros, uint64_t(g.scale_count) * zeroBytes(*g.format));
  }

  // For formats with their own scale rule.
  void quantizeBlock(uint32_t row, uint32_t first) const {
    uint32_t x[32];
    const uint32_t count = g.cols - first < g.group ? g.cols - first : g.group;
    bool finite = true;
    for (uint32_t i = 0; i < count; ++i) {
      x[i] = load(row, first + i);
      if (!exact::nibIsNonFinite(x[i])) continue;
      status->nonFinite(uint64_t(row) * g.cols + first + i);
      finite = false;
    }
    if (!finite) std::memset(x, 0, sizeof x);
    Block block{};
    g.format->quantizeBlock(x, importance != nullptr ? importance + first : nullptr, count, &block);
    for (uint32_t i = 0; i < block.saturated; ++i) status->saturated();
    saveStored(scales, scaleBytes(desc.weights.scale_type), scaleIndex(row, first), block.scale_stored);
    if (zeros != nullptr) saveStored(zeros, 2, scaleIndex(row, first), block.zero_stored);
    for (uint32_t i = 0; i < count; ++i) addCode(row, first + i, block.code[i]);
  }

  void quantizeBlocks(uint32_t row) const {
    std::memset(rowWords(row), 0, size_t(g.row_words) * 4u);
    for (uint32_t block = 0; block < g.groups_per_row; ++block) quantizeBlock(row, block * g.group);
  }

  // For formats with super-blocks. A group with a non-finite element counts as zeros.
  void quantizeSuperBlock(uint32_t row, uint32_t block, uint32_t* nested) const {
    const SuperBlocks& super = g.format->super;
    const uint32_t first = block * kSuperCols, groups = super.blocks, group_cols = kSuperCols / groups;
    uint32_t x[kSuperCols] = {}, weights[kSuperCols] = {};
    const uint32_t count = g.cols - first < kSuperCols ? g.cols - first : kSuperCols;
    for (uint32_t i = 0; i < count; ++i) {
      x[i] = load(row, first + i);
      if (importance != nullptr) weights[i] = importance[first + i];
    }
    for (uint32_t j = 0; j < groups; ++j) {
      bool finite = true;
      for (uint32_t i = j * group_cols; i < (j + 1) * group_cols; ++i) {
        if (!exact::nibIsNonFinite(x[i])) continue;
        status->nonFinite(uint64_t(row) * g.cols + first + i);
        finite = false;
      }
      if (!finite) std::memset(x + j * group_cols, 0, group_cols * 4u);
    }
    SuperResult found;
    quantizeSuper(*g.format, x, importance != nullptr ? weights : nullptr, &found);
    for (uint32_t i = 0; i < found.saturated; ++i) status->saturated();
    const uint64_t index = uint64_t(first_row + row) * g.scale_row_stride + block * groups;
    for (uint32_t j = 0; j < groups; ++j) {
      const bool padding = first + j * group_cols >= g.cols;
      saveStored(scales, 1, index + j, padding ? 0u : found.scale[j]);
      if (zeros != nullptr) saveStored(zeros, 1, index + j, padding ? 0u : found.zero[j]);
    }
    nested[index / groups] = found.nested;
    for (uint32_t i = 0; i < count; ++i) addCode(row, first + i, found.code[i]);
  }

  void quantizeSuperBlocks(uint32_t row, uint32_t* nested) const {
    std::memset(rowWords(row), 0, size_t(g.row_words) * 4u);
    for (uint32_t block = 0; block * kSuperCols < g.cols; ++block) quantizeSuperBlock(row, block, nested);
  }

  void encodeOne(uint32_t row, uint32_t col, const StoredScale& scale) const {
    uint32_t x = load(row, col);
    if (exact::nibIsNonFinite(x)) {
      if (given()) status->nonFinite(uint64_t(row) * g.cols + col);
      x = 0;
    }
    addCode(row, col, g.format->encode(x, scale, desc.weights, given()));
  }

  void encodeRow(uint32_t row) const {
    std::memset(rowWords(row), 0, size_t(g.row_words) * 4u);
    StoredScale scale{};
    for (uint32_t col = 0; col < g.cols; ++col) {
      if (col % g.group == 0) scale = loadScale(scaleIndex(row, col));
      encodeOne(row, col, scale);
    }
  }

  // Scales per column: the scales of a block are loaded once for all rows. Codes of 96 columns are whole words.
  static constexpr uint32_t kBlockCols = 96;
  void encodeColumns(uint32_t block, uint32_t rows) const {
    const uint32_t first = block * kBlockCols;
    const uint32_t count = g.cols - first < kBlockCols ? g.cols - first : kBlockCols;
    StoredScale scale[kBlockCols];
    for (uint32_t i = 0; i < count; ++i) scale[i] = loadScale(first + i);
    const uint32_t first_word = first / 32u * g.format->info.bits;
    const uint32_t end_word = count == kBlockCols ? first_word + kBlockCols / 32u * g.format->info.bits : g.row_words;
    for (uint32_t row = 0; row < rows; ++row) {
      uint32_t* words = rowWords(row);
      for (uint32_t w = first_word; w < end_word; ++w) words[w] = 0;
      for (uint32_t i = 0; i < count; ++i) encodeOne(row, first + i, scale[i]);
    }
  }
};

}  // namespace

void quantizeReference(const NibQuantizeDesc& desc, const HostRun& run) {
  Quantizer q{};
  q.desc = desc;
  makeGeometry("quantize", "weights", q.desc.rows, q.desc.cols, q.desc.weights, Log(), &q.g);
  q.first_row = run.first_row;
  q.source = run.binding.range[NIB_ROLE_INPUT].data;
  q.stride = q.desc.source_stride != 0 ? q.desc.source_stride : q.desc.cols;
  q.codes = partOf<uint32_t>(run.memory, run.binding, NIB_ROLE_WEIGHTS, NIB_PART_CODES);
  q.scales = partOf<void>(run.memory, run.binding, NIB_ROLE_WEIGHTS, NIB_PART_SCALES);
  q.zeros = partOf<void>(run.memory, run.binding, NIB_ROLE_WEIGHTS, NIB_PART_ZEROS);
  q.importance = partOf<uint32_t>(run.memory, run.binding, NIB_ROLE_AUX, NIB_PART_IMPORTANCE);
  // Double quantization: fp32 scales go to scratch first, after the words that hold sums on the device.
  void* nested_codes = q.scales;
  uint32_t* nested = partOf<uint32_t>(run.memory, run.binding, NIB_ROLE_WEIGHTS, NIB_PART_NESTED);
  if (nested != nullptr && q.g.format->super.blocks == 0)
    q.scales = partOf<uint32_t>(run.memory, run.binding, NIB_ROLE_AUX, NIB_PART_SCRATCH) + 4;
  reference::StatusCounter status(partOf<NibStatus>(run.memory, run.binding, NIB_ROLE_AUX, NIB_PART_STATUS));
  q.status = &status;
  const Geometry& g = q.g;
  const uint32_t rows = (q.desc.weights.flags & NIB_WEIGHTS_FLAT) ? 1u : run.n;

  if (g.format->super.blocks != 0) {
    auto super_blocks = [&](uint32_t row) { q.quantizeSuperBlocks(row, nested); };
    return reference::forEach(run.parallel, rows, super_blocks);
  }
  if (!q.given()) {
    const uint32_t granularity = q.desc.weights.granularity;
    if (g.format->quantizeBlock != nullptr) {
      auto blocks = [&](uint32_t row) { q.quantizeBlocks(row); };
      reference::forEach(run.parallel, rows, blocks);
    } else if (granularity == NIB_GRANULARITY_TENSOR) {
      q.findScale(0, 0, rows, 0, g.cols);
    } else if (granularity == NIB_GRANULARITY_COLUMN) {
      auto column = [&](uint32_t col) { q.findScale(col, 0, rows, col, 1); };
      reference::forEach(run.parallel, g.cols, column);
    } else {
      auto row_groups = [&](uint32_t row) {
        for (uint32_t first = 0; first < g.cols; first += g.group) {
          const uint32_t count = g.cols - first < g.group ? g.cols - first : g.group;
          q.findScale(q.scaleIndex(row, first), row, 1, first, count);
          if (count < g.group) break;  // first + group could pass 2^32
        }
      };
      reference::forEach(run.parallel, rows, row_groups);
    }
    q.padScales(rows);
  }
  if (g.format->quantizeBlock != nullptr) return;
  if (nested != nullptr) {
    nestScales(static_cast<const uint32_t*>(q.scales), g.scale_count, static_cast<uint8_t*>(nested_codes), nested);
    padToWord(nested_codes, g.scale_count);
  }
  if (q.desc.weights.granularity == NIB_GRANULARITY_COLUMN) {
    auto encode = [&](uint32_t block) { q.encodeColumns(block, rows); };
    reference::forEach(run.parallel, uint32_t(ceilDiv(g.cols, Quantizer::kBlockCols)), encode);
  } else {
    auto encode = [&](uint32_t row) { q.encodeRow(row); };
    reference::forEach(run.parallel, rows, encode);
  }
}

}  // namespace nib
