#include "model/archive/gguf/mx_blocks.h"

#include <cstdint>

namespace nib::model {
namespace {

constexpr size_t kCodeBytes = 16;

// Code i of a block, two in a byte with the even one low.
uint8_t codeOf(const std::byte* codes, size_t i) { return uint8_t(uint8_t(codes[i / 2]) >> (i % 2 * 4) & 15); }

}  // namespace

std::vector<std::byte> packMxBlocks(std::span<const std::byte> codes, std::span<const std::byte> scales) {
  const size_t count = codes.size() / kCodeBytes;
  std::vector<std::byte> blocks(count * kMxBlockBytes);
  for (size_t b = 0; b < count; ++b) {
    std::byte* const block = &blocks[b * kMxBlockBytes];
    const std::byte* const from = &codes[b * kCodeBytes];
    block[0] = scales[b];
    for (size_t j = 0; j < 16; ++j) block[1 + j] = std::byte(codeOf(from, j) | codeOf(from, j + 16) << 4);
  }
  return blocks;
}

void unpackMxBlocks(std::span<const std::byte> blocks, std::span<std::byte> codes, std::span<std::byte> scales) {
  const size_t count = blocks.size() / kMxBlockBytes;
  for (size_t b = 0; b < count; ++b) {
    const std::byte* const block = &blocks[b * kMxBlockBytes];
    scales[b] = block[0];
    const auto code = [&](size_t i) { return uint8_t(uint8_t(block[1 + i % 16]) >> (i / 16 * 4) & 15); };
    for (size_t j = 0; j < 16; ++j) codes[b * kCodeBytes + j] = std::byte(code(2 * j) | code(2 * j + 1) << 4);
  }
}

}  // namespace nib::model
