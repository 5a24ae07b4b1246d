// Reference of NIB_OP_REPACK: every value, bit by bit, from where one layout has it to where the other does.
#include <nibble/formats.h>

#include <cstring>

#include "reference/reference.h"
#include "formats/layout.h"

namespace nib {
namespace {

uint32_t loadBits(const uint8_t* data, uint64_t at, uint32_t bits) {
  uint32_t value = 0;
  for (uint32_t b = 0; b < bits; ++b) value |= uint32_t(data[(at + b) / 8] >> ((at + b) % 8) & 1u) << b;
  return value;
}

// Into bytes that begin as zeros.
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
  uint8_t* packed;
  uint8_t* packed_zeros;
  uint32_t flip;  // between two's complement and offset binary

  // A value at `canonical` in `mine` <-> pieces in `theirs`.
  void move(uint8_t* mine, uint64_t at, uint32_t bits, uint8_t* theirs, const Piece* pieces, uint32_t count, uint32_t mask) const {
    if (unpack) {
      uint32_t value = 0;
      for (uint32_t i = 0; i < count; ++i) value |= loadBits(theirs, pieces[i].at, pieces[i].bits) << pieces[i].shift;
      addBits(mine, at, bits, value ^ mask);
      return;
    }
    const uint32_t value = loadBits(mine, at, bits) ^ mask;
    for (uint32_t i = 0; i < count; ++i) {
      addBits(theirs, pieces[i].at, pieces[i].bits, value >> pieces[i].shift & ((1u << pieces[i].bits) - 1u));
    }
  }
};

}  // namespace

void repackReference(const NibRepackDesc& desc, const HostRun& run) {
  Repacker r{};
  makeGeometry("repack", desc.rows, desc.cols, desc.weights, Log(), &r.g);
  const Geometry& g = r.g;
  r.layout = findLayout(desc.layout);
  r.unpack = (desc.flags & NIB_REPACK_UNPACK) != 0;
  r.codes = partOf<uint8_t>(run.memory, run.binding, NIB_ROLE_WEIGHTS, NIB_PART_CODES);
  r.scales = partOf<uint8_t>(run.memory, run.binding, NIB_ROLE_WEIGHTS, NIB_PART_SCALES);
  r.zeros = partOf<uint8_t>(run.memory, run.binding, NIB_ROLE_WEIGHTS, NIB_PART_ZEROS);
  const NibRole other = r.unpack ? NIB_ROLE_INPUT : NIB_ROLE_OUTPUT;
  r.packed = partOf<uint8_t>(run.memory, run.binding, other, NIB_PART_PACKED_CODES);
  r.packed_zeros = partOf<uint8_t>(run.memory, run.binding, other, NIB_PART_PACKED_ZEROS);
  const uint32_t bits = g.format->info.bits;
  const bool twos_complement = desc.weights.format == NIB_FORMAT_INT8;
  r.flip = r.layout->offset_binary && twos_complement ? 0x80u : 0u;
  const uint32_t rows = (desc.weights.flags & NIB_WEIGHTS_FLAT) ? 1u : run.n;
  const uint64_t count = g.scale_row_stride == 0 ? g.scale_count : uint64_t(rows) * g.scale_row_stride;

  // What is written begins as zeros: whole words of the rows of this run.
  Geometry part = g;
  part.rows = rows;
  if (r.unpack) {
    std::memset(r.codes, 0, size_t(uint64_t(rows) * g.row_words * 4));
    if (r.layout->placeScale != nullptr) std::memset(r.scales, 0, size_t(wholeWordsBytes(count * 2)));
    if (r.layout->placeScale != nullptr && r.zeros != nullptr) std::memset(r.zeros, 0, size_t(wholeWordsBytes(count * 2)));
    if (r.packed_zeros != nullptr) std::memset(r.zeros, 0, size_t(wholeWordsBytes(count)));
  } else {
    std::memset(r.packed, 0, size_t(wholeWordsBytes(r.layout->codesBytes(part))));
    if (r.packed_zeros != nullptr) std::memset(r.packed_zeros, 0, size_t(r.layout->zerosBytes(part)));
  }
  for (uint64_t row = 0; row < rows; ++row) {
    for (uint64_t col = 0; col < g.cols; ++col) {
      Piece pieces[2];
      const uint32_t piece_count = r.layout->placeCode(g, row, col, pieces);
      r.move(r.codes, row * g.row_words * 32 + col * bits, bits, r.packed, pieces, piece_count, r.flip);
    }
    for (uint64_t group = 0; r.layout->placeScale != nullptr && group < g.groups_per_row; ++group) {
      const uint64_t index = row * g.scale_row_stride + group;
      Piece piece{r.layout->placeScale(g, row, group), 16, 0};
      r.move(r.scales, index * 16, 16, r.packed, &piece, 1, 0);
      piece.at += 16;
      if (r.zeros != nullptr) r.move(r.zeros, index * 16, 16, r.packed, &piece, 1, 0);
    }
    if (r.packed_zeros == nullptr || (g.scale_row_stride == 0 && row > 0)) continue;
    for (uint64_t group = 0; group < (g.scale_row_stride == 0 ? 1 : g.scale_row_stride); ++group) {
      const Piece piece{r.layout->placeZero(g, row, group), bits, 0};
      r.move(r.zeros, (row * g.scale_row_stride + group) * 8, bits, r.packed_zeros, &piece, 1, r.flip);
    }
  }
}

}  // namespace nib
