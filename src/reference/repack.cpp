// Reference of NIB_OP_REPACK: copies every value bit by bit between its positions in the two layouts.
#include <nibble/formats.h>

#include <cstring>

#include "formats/layout.h"
#include "reference/reference.h"

namespace nib {
namespace {

uint32_t loadBits(const uint8_t* data, uint64_t at, uint32_t bits) {
  uint32_t value = 0;
  for (uint32_t b = 0; b < bits; ++b) value |= uint32_t(data[(at + b) / 8] >> ((at + b) % 8) & 1u) << b;
  return value;
}

// The bits must be zeros before.
void addBits(uint8_t* data, uint64_t at, uint32_t bits, uint32_t value) {
  for (uint32_t b = 0; b < bits; ++b) {
    data[(at + b) / 8] = uint8_t(data[(at + b) / 8] | (value >> b & 1u) << ((at + b) % 8));
  }
}

struct Repacker {
  Geometry g;
  const LayoutDesc* layout;
  bool unpack;
  uint8_t* codes;
  uint8_t* scales;
  uint8_t* zeros;
  uint8_t* nested;
  uint8_t* packed;
  uint8_t* packed_zeros;
  uint32_t flip;  // between two's complement and offset binary

  // A value at bit `at` of the canonical layout <-> its bit fields in the packed one.
  void move(uint8_t* canonical, uint64_t at, uint32_t bits, uint8_t* other, const BitField* fields, uint32_t count,
            uint32_t mask) const {
    if (unpack) {
      uint32_t value = 0;
      for (uint32_t i = 0; i < count; ++i) value |= loadBits(other, fields[i].at, fields[i].bits) << fields[i].shift;
      addBits(canonical, at, bits, value ^ mask);
      return;
    }
    const uint32_t value = loadBits(canonical, at, bits) ^ mask;
    for (uint32_t i = 0; i < count; ++i) {
      addBits(other, fields[i].at, fields[i].bits, value >> fields[i].shift & ((1u << fields[i].bits) - 1u));
    }
  }

  // Bytes of groups, and halves of super-blocks.
  void moveSuperBlocks(uint64_t row) const {
    for (const bool minimum : {false, true}) {
      uint8_t* const bytes = minimum ? zeros : scales;
      if (bytes == nullptr) continue;
      for (uint64_t group = 0; group < g.scale_row_stride; ++group) {
        BitField fields[2];
        const uint32_t count = layout->placeByte(g, row, group, minimum, fields);
        move(bytes, (row * g.scale_row_stride + group) * 8, 8, packed, fields, count, 0);
      }
      const uint64_t blocks = g.scale_row_stride / g.format->super.blocks;
      for (uint64_t block = 0; block < blocks; ++block) {
        const BitField half{layout->placeHalf(g, row, block, minimum), 16, 0};
        move(nested, ((row * blocks + block) * 2 + (minimum ? 1 : 0)) * 16, 16, packed, &half, 1, 0);
      }
    }
  }
};

}  // namespace

void repackReference(const NibRepackDesc& desc, const HostRun& run) {
  Repacker r{};
  makeGeometry("repack", "weights", desc.rows, desc.cols, desc.weights, Log(), &r.g);
  const Geometry& g = r.g;
  r.layout = findLayout(desc.layout);
  r.unpack = (desc.flags & NIB_REPACK_UNPACK) != 0;
  r.codes = partOf<uint8_t>(run.memory, run.binding, NIB_ROLE_WEIGHTS, NIB_PART_CODES);
  r.scales = partOf<uint8_t>(run.memory, run.binding, NIB_ROLE_WEIGHTS, NIB_PART_SCALES);
  r.zeros = partOf<uint8_t>(run.memory, run.binding, NIB_ROLE_WEIGHTS, NIB_PART_ZEROS);
  r.nested = partOf<uint8_t>(run.memory, run.binding, NIB_ROLE_WEIGHTS, NIB_PART_NESTED);
  const bool super = g.format->super.blocks != 0;
  const NibRole other = r.unpack ? NIB_ROLE_INPUT : NIB_ROLE_OUTPUT;
  r.packed = partOf<uint8_t>(run.memory, run.binding, other, NIB_PART_PACKED_CODES);
  r.packed_zeros = partOf<uint8_t>(run.memory, run.binding, other, NIB_PART_PACKED_ZEROS);
  const uint32_t bits = g.format->info.bits;
  const bool twos_complement = desc.weights.format == NIB_FORMAT_INT8;
  r.flip = r.layout->offset_binary && twos_complement ? 0x80u : 0u;
  // Rows [first, end) of both layouts are cleared, because values are ORed in. Bits of other rows are kept; the padding
  // after the last row of the matrix becomes 0.
  const bool flat = (desc.weights.flags & NIB_WEIGHTS_FLAT) != 0;
  const uint32_t first = run.first_row, end = flat ? 1u : run.first_row + run.n;
  const bool last_rows = end == g.rows;
  const bool per_row = g.scale_row_stride != 0;
  const auto clear = [&](uint8_t* data, uint64_t begin_bit, uint64_t end_bit) {
    if (last_rows) end_bit = ceilDiv(end_bit, 32) * 32;
    for (uint64_t at = begin_bit; at < end_bit; ++at) data[at / 8] = uint8_t(data[at / 8] & ~(1u << at % 8));
  };
  Geometry before = g, through = g;
  before.rows = first;
  through.rows = end;
  if (r.unpack) {
    clear(r.codes, uint64_t(first) * g.row_words * 32, uint64_t(end) * g.row_words * 32);
    const uint64_t scale_begin = per_row ? uint64_t(first) * g.scale_row_stride : 0;
    const uint64_t scale_end = per_row ? uint64_t(end) * g.scale_row_stride : g.scale_count;
    const uint32_t scale_bits = super ? 8 : 16;
    if (r.layout->placeScale != nullptr) {
      clear(r.scales, scale_begin * scale_bits, scale_end * scale_bits);
      if (r.zeros != nullptr) clear(r.zeros, scale_begin * scale_bits, scale_end * scale_bits);
    }
    if (super) clear(r.nested, scale_begin / g.format->super.blocks * 32, scale_end / g.format->super.blocks * 32);
    if (r.packed_zeros != nullptr) clear(r.zeros, scale_begin * 8, scale_end * 8);
  } else {
    clear(r.packed, first == 0 ? 0 : r.layout->codesBytes(before) * 8, r.layout->codesBytes(through) * 8);
    // Packed zero points of a row need not be contiguous.
    for (uint64_t row = first; r.packed_zeros != nullptr && row < end; ++row) {
      if (!per_row && row > 0) break;
      for (uint64_t group = 0; group < (per_row ? g.scale_row_stride : 1); ++group) {
        const uint64_t at = r.layout->placeZero(g, row, group);
        clear(r.packed_zeros, at, at + bits);
      }
    }
  }
  for (uint64_t row = first; row < end; ++row) {
    for (uint64_t col = 0; col < g.cols; ++col) {
      BitField fields[2];
      const uint32_t field_count = r.layout->placeCode(g, row, col, fields);
      r.move(r.codes, row * g.row_words * 32 + col * bits, bits, r.packed, fields, field_count, r.flip);
    }
    if (super) r.moveSuperBlocks(row);
    for (uint64_t group = 0; r.layout->placeScale != nullptr && !super && group < g.groups_per_row; ++group) {
      const uint64_t index = row * g.scale_row_stride + group;
      BitField field{r.layout->placeScale(g, row, group), 16, 0};
      r.move(r.scales, index * 16, 16, r.packed, &field, 1, 0);
      field.at += 16;
      if (r.zeros != nullptr) r.move(r.zeros, index * 16, 16, r.packed, &field, 1, 0);
    }
    if (r.packed_zeros == nullptr || (!per_row && row > 0)) continue;
    for (uint64_t group = 0; group < (per_row ? g.scale_row_stride : 1); ++group) {
      const BitField field{r.layout->placeZero(g, row, group), bits, 0};
      r.move(r.zeros, (row * g.scale_row_stride + group) * 8, bits, r.packed_zeros, &field, 1, r.flip);
    }
  }
}

}  // namespace nib
