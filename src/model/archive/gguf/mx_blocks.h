// MXFP4 as ggml has it: blocks of 17 bytes, a scale, then the codes of element j and j + 16 in the low and the high
// half of byte j.
#ifndef NIB_MODEL_ARCHIVE_GGUF_MX_BLOCKS_H
#define NIB_MODEL_ARCHIVE_GGUF_MX_BLOCKS_H

#include <cstddef>
#include <span>
#include <vector>

namespace nib::model {

inline constexpr size_t kMxBlockBytes = 17;

// codes: of NIB_LAYOUT_ROWS, 16 bytes a block. scales: one byte a block.
std::vector<std::byte> packMxBlocks(std::span<const std::byte> codes, std::span<const std::byte> scales);
void unpackMxBlocks(std::span<const std::byte> blocks, std::span<std::byte> codes, std::span<std::byte> scales);

}  // namespace nib::model
#endif
