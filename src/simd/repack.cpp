// Repacking: the reference's bytes, by whole rows and blocks.
#include <nibble/formats.h>

#include <algorithm>
#include <cstring>

#include <nibble/formats.h>
#include "formats/dense.h"
#include "formats/geometry.h"
#include "formats/layout.h"

#include "simd/fast_kernels.h"
#include "simd/kernels.h"
#include "simd/run.h"
#include "simd/super_repack.h"

namespace nib::simd {
namespace {

constexpr uint32_t kBlock = 32;

struct Repacker {
  const Geometry& g;
  const LayoutDesc& layout;
  bool unpack;
  uint32_t first, end;  // rows
  bool last;            // they end with the matrix
  uint8_t* codes;
  uint8_t* scales;  // of the blob, 2 bytes each where the layout packs them
  uint8_t* zeros;
  uint32_t* nested;
  uint8_t* packed;
  uint32_t* packed_zeros;
  uint8_t flip;  // between two's complement and offset binary

  uint32_t bits() const { return g.format->info.bits; }
  uint64_t rowBytes() const { return uint64_t(g.row_words) * 4; }
  uint8_t* rowCodes(uint64_t row) const { return codes + row * rowBytes(); }

  static void padToWord(uint8_t* data, uint64_t bytes) {
    for (; bytes % 4 != 0; ++bytes) data[bytes] = 0;
  }

  // Copies the codes of a row, the first in the lowest bits; the rest of `size` bytes becomes 0.
  void copyRow(const uint8_t* from, uint8_t* to, uint64_t size) const {
    const uint64_t used = uint64_t(g.cols) * bits(), whole = used / 8;
    std::memcpy(to, from, size_t(whole));
    for (uint64_t i = 0; flip != 0 && i < whole; ++i) to[i] ^= flip;
    if (whole == size) return;
    std::memset(to + whole, 0, size_t(size - whole));
    if (used % 8 != 0) to[whole] = uint8_t(from[whole] & ((1u << used % 8) - 1u));
  }

  // Words of codes along rows.
  void packedRow(uint64_t row) const {
    uint8_t* other = packed + row * rowBytes();
    copyRow(unpack ? other : rowCodes(row), unpack ? rowCodes(row) : other, rowBytes());
  }

  // Rows of whole bytes without padding.
  void plainRow(uint64_t row) const {
    const uint64_t size = uint64_t(g.cols) * bits() / 8;
    uint8_t* other = packed + row * size;
    copyRow(unpack ? other : rowCodes(row), unpack ? rowCodes(row) : other, unpack ? rowBytes() : size);
  }

  // Two codes per byte, the first in the high nibble: bytes [from, to) of the whole tensor.
  void swapNibbles(uint64_t from, uint64_t to) const {
    const uint8_t* source = unpack ? packed : codes;
    uint8_t* result = unpack ? codes : packed;
    for (uint64_t i = from; i < to; ++i) result[i] = uint8_t(source[i] << 4 | source[i] >> 4);
    if (g.cols % 2 != 0 && to == (uint64_t(g.cols) + 1) / 2) result[to - 1] &= unpack ? 0x0fu : 0xf0u;
  }

  // ggml's blocks of a row: scale, minimum, fifth bits, codes.
  void blocksOfRow(uint64_t row) const {
    const uint32_t head = g.format->info.flags & NIB_FORMAT_MINIMUM ? 4u : 2u, b = bits();
    const uint32_t block_bytes = head + 4 * b;
    uint8_t* block = packed + row * g.groups_per_row * block_bytes;
    uint8_t* words = rowCodes(row);
    for (uint64_t i = 0; i < g.groups_per_row; ++i, block += block_bytes, words += 4 * b) {
      const uint64_t index = row * g.scale_row_stride + i;
      uint8_t* values = block + head;
      uint8_t code[kBlock];
      if (unpack) {
        std::memcpy(scales + index * 2, block, 2);
        if (head == 4) std::memcpy(zeros + index * 2, block + 2, 2);
        if (b == 8) {
          std::memcpy(words, values, kBlock);
          continue;
        }
        uint32_t fifth = 0;
        if (b == 5) std::memcpy(&fifth, values, 4);
        const uint8_t* nibbles = values + (b == 5 ? 4 : 0);
        for (uint32_t j = 0; j < kBlock / 2; ++j) {
          code[j] = uint8_t((nibbles[j] & 15u) | (fifth >> j & 1u) << 4);
          code[j + 16] = uint8_t(nibbles[j] >> 4 | (fifth >> (j + 16) & 1u) << 4);
        }
        kernels().packCodes(code, kBlock, b, words);
      } else {
        std::memcpy(block, scales + index * 2, 2);
        if (head == 4) std::memcpy(block + 2, zeros + index * 2, 2);
        if (b == 8) {
          std::memcpy(values, words, kBlock);
          continue;
        }
        kernels().unpackCodes(words, kBlock, b, code);
        uint8_t* nibbles = values;
        if (b == 5) {
          uint32_t fifth = 0;
          for (uint32_t j = 0; j < kBlock; ++j) fifth |= uint32_t(code[j] >> 4) << j;
          std::memcpy(values, &fifth, 4);
          nibbles += 4;
        }
        for (uint32_t j = 0; j < kBlock / 2; ++j) nibbles[j] = uint8_t((code[j] & 15u) | code[j + 16] << 4);
      }
    }
    if (!unpack) return;
    const uint64_t from = row * g.scale_row_stride + g.groups_per_row, to = (row + 1) * g.scale_row_stride;
    std::memset(words, 0, size_t(rowCodes(row) + rowBytes() - words));
    std::memset(scales + from * 2, 0, size_t(to - from) * 2);
    if (head == 4) std::memset(zeros + from * 2, 0, size_t(to - from) * 2);
  }

  // Super-blocks of a row.
  void superBlocksOfRow(uint64_t row, const SuperRepack& super) const {
    const uint32_t groups = g.format->super.blocks;
    const uint64_t blocks = g.cols / kSuperCols;
    for (uint64_t b = row * blocks; b < (row + 1) * blocks; ++b) {
      uint8_t* const block = packed + b * super.blockBytes();
      uint8_t* const words = rowCodes(row) + (b - row * blocks) * kSuperCols / 8 * bits();
      uint8_t* const minima = zeros != nullptr ? zeros + b * groups : nullptr;
      if (unpack) {
        super.unpack(block, words, scales + b * groups, minima, nested + b);
      } else {
        super.pack(words, scales + b * groups, minima, nested + b, block);
      }
    }
  }

  // Words of zero points along columns.
  void moveZeros() const {
    const bool per_row = g.scale_row_stride != 0;
    const uint64_t stride = per_row ? g.scale_row_stride : 1;
    const uint32_t mask = (1u << bits()) - 1u;
    for (uint64_t row = first; row < (per_row ? end : first + 1); ++row) {
      uint32_t* words = packed_zeros + row * bits() / 32 * stride;
      const uint32_t shift = uint32_t(row * bits() % 32);
      uint8_t* stored = zeros + row * stride;
      for (uint64_t group = 0; group < stride; ++group) {
        if (unpack) {
          stored[group] = uint8_t((words[group] >> shift & mask) ^ flip);
        } else {
          // Bits after the matrix's last row become zeros.
          const uint32_t kept = last && (row + 1 == end || !per_row) ? (1u << shift) - 1u : ~(mask << shift);
          words[group] = (words[group] & kept) | ((stored[group] ^ flip) & mask) << shift;
        }
      }
    }
  }
};

Outcome runRepack(const NibRepackDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                  const NibParallelFor& parallel) {
  const NibOpDesc* op = reinterpret_cast<const NibOpDesc*>(&desc);
  const bool flat = (desc.weights.flags & NIB_WEIGHTS_FLAT) != 0;
  Geometry g;
  if (kernels().packCodes == nullptr || run.n == 0 || (flat && run.n != desc.rows) ||
      makeGeometry("repack", "weights", desc.rows, desc.cols, desc.weights, Log(), &g) != NIB_SUCCESS ||
      !isValid(op, binding, run, desc.rows)) {
    return Outcome::kUnsupported;
  }
  const LayoutDesc* layout = findLayout(desc.layout);
  if (layout == nullptr) return Outcome::kUnsupported;
  NibMemory memory{sizeof(NibMemory)};
  NibCpuBinding moved;
  if (!moveOperands(op, binding, run, &memory, &moved)) return Outcome::kUnsupported;
  const bool unpack = (desc.flags & NIB_REPACK_UNPACK) != 0;
  const NibRole other = unpack ? NIB_ROLE_INPUT : NIB_ROLE_OUTPUT;
  const uint32_t first = flat ? 0 : run.first_row, end = flat ? 1 : run.first_row + run.n;
  const bool last = end == g.rows;
  const Repacker r{g,
                   *layout,
                   unpack,
                   first,
                   end,
                   last,
                   nib::partOf<uint8_t>(memory, moved, NIB_ROLE_WEIGHTS, NIB_PART_CODES),
                   nib::partOf<uint8_t>(memory, moved, NIB_ROLE_WEIGHTS, NIB_PART_SCALES),
                   nib::partOf<uint8_t>(memory, moved, NIB_ROLE_WEIGHTS, NIB_PART_ZEROS),
                   nib::partOf<uint32_t>(memory, moved, NIB_ROLE_WEIGHTS, NIB_PART_NESTED),
                   nib::partOf<uint8_t>(memory, moved, other, NIB_PART_PACKED_CODES),
                   nib::partOf<uint32_t>(memory, moved, other, NIB_PART_PACKED_ZEROS),
                   uint8_t(layout->offset_binary && desc.weights.format == NIB_FORMAT_INT8 ? 0x80u : 0u)};
  if (g.format->super.blocks != 0) {
    const SuperRepack blocks(g, *layout);
    forEach(parallel, end - first, [&](uint32_t i) { r.superBlocksOfRow(first + i, blocks); });
    if (!unpack && last) Repacker::padToWord(r.packed, layout->codesBytes(g));
    return Outcome::kDone;
  }
  switch (desc.layout) {
    case NIB_LAYOUT_WORDS:
    case NIB_LAYOUT_PACKED_ROWS: forEach(parallel, end - first, [&](uint32_t i) { r.packedRow(first + i); }); break;
    case NIB_LAYOUT_ROWS: forEach(parallel, end - first, [&](uint32_t i) { r.plainRow(first + i); }); break;
    case NIB_LAYOUT_GGUF: forEach(parallel, end - first, [&](uint32_t i) { r.blocksOfRow(first + i); }); break;
    case NIB_LAYOUT_BITSANDBYTES: {
      constexpr uint64_t kChunk = 1u << 16;
      const uint64_t bytes = (uint64_t(g.cols) + 1) / 2;
      forEach(parallel, uint32_t(ceilDiv(bytes, kChunk)),
              [&](uint32_t i) { r.swapNibbles(i * kChunk, std::min(bytes, (i + 1) * kChunk)); });
      if (unpack) std::memset(r.codes + bytes, 0, size_t(r.rowBytes() - bytes));
      break;
    }
    default: return Outcome::kUnsupported;
  }
  if (!unpack && last) Repacker::padToWord(r.packed, layout->codesBytes(g));
  if (r.packed_zeros != nullptr) r.moveZeros();
  if (unpack && last && layout->placeScale != nullptr) {
    Repacker::padToWord(r.scales, uint64_t(g.scale_count) * 2);
    if (r.zeros != nullptr) Repacker::padToWord(r.zeros, uint64_t(g.scale_count) * 2);
  }
  if (unpack && last && r.packed_zeros != nullptr) Repacker::padToWord(r.zeros, g.scale_count);
  return Outcome::kDone;
}

}  // namespace

NIB_DEFINE_FAST_KERNEL(repack, NIB_OP_REPACK, NibRepackDesc, runRepack)

}  // namespace nib::simd
