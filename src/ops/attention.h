// How attention is divided into workgroups and its keys into pieces, from the device's limits and type and the
// description alone: pure functions.
#ifndef NIB_OPS_ATTENTION_H
#define NIB_OPS_ATTENTION_H

#include <nibble/nibble.h>

#include "formats/geometry.h"
#include "ops/tuning.h"

namespace nib {

inline constexpr uint32_t kAttentionTiledTokens = 16;  // from here on tiles of tokens share keys
inline constexpr uint32_t kAttentionRows = 4;          // queries of a workgroup that has no tiles
inline constexpr uint32_t kAttentionCpuRows = 8;
inline constexpr uint32_t kAttentionTileRows = 32;      // queries of the smallest tile
inline constexpr uint32_t kAttentionManyQueries = 512;  // of a key head: tiles of twice the size
inline constexpr uint32_t kAttentionMaxPieces = 64;
inline constexpr uint32_t kAttentionPieceKeys = 256;   // a piece has at least so many, if the cache is full
inline constexpr uint32_t kAttentionWorkgroups = 512;  // what keeps a GPU busy
inline constexpr uint32_t kAttentionRecordWords = 4;   // of a piece of a head: maximum, sum, then the sums of values

// Query heads that share a key head.
inline uint32_t attentionGroup(const NibAttentionDesc& d) { return d.heads / d.key_heads; }

inline bool hasAttentionTiles(const NibAttentionDesc& d) {
  return d.tokens >= kAttentionTiledTokens && !(d.flags & NIB_ATTENTION_SINGLE);
}

// Whether there are enough queries of a key head for tiles of twice the size.
inline bool hasManyQueries(const NibAttentionDesc& d) {
  return uint64_t(d.tokens) * attentionGroup(d) >= kAttentionManyQueries;
}

// The work of a workgroup: `heads` query heads of one key head for each of `tokens` tokens.
struct AttentionTile {
  uint32_t tokens, heads;
  uint32_t head_tiles;  // tiles that a group of heads takes
};

// The tile of at most `rows` queries with as few tiles as possible, then as even ones.
inline AttentionTile attentionTile(const NibAttentionDesc& d, uint32_t rows, bool tokens) {
  AttentionTile tile{1, 1, 1};
  const uint32_t group = attentionGroup(d);
  tile.head_tiles = uint32_t(ceilDiv(group, rows));
  tile.heads = uint32_t(ceilDiv(group, tile.head_tiles));
  if (tokens) tile.tokens = rows / tile.heads;
  if (tile.tokens > d.tokens) tile.tokens = d.tokens;
  return tile;
}

inline uint64_t attentionTiles(const NibAttentionDesc& d, const AttentionTile& tile) {
  return ceilDiv(d.tokens, tile.tokens) * d.key_heads * tile.head_tiles;
}

// Into how many pieces the keys are split if few queries would leave a GPU idle. The same on every device, because
// scratch is part of the description's memory.
inline uint32_t attentionPieces(const NibAttentionDesc& d) {
  const bool tiles = hasAttentionTiles(d);
  const uint64_t workgroups = attentionTiles(d, attentionTile(d, tiles ? kAttentionTileRows : kAttentionRows, tiles));
  uint64_t pieces = kAttentionWorkgroups / workgroups;
  const uint64_t most = ceilDiv(d.cache_rows, kAttentionPieceKeys);
  if (pieces > most) pieces = most;
  if (pieces > kAttentionMaxPieces) pieces = kAttentionMaxPieces;
  return pieces < 1 ? 1 : uint32_t(pieces);
}

// Words of a token in scratch: a copy of its indices, then a record for each piece and head.
inline uint64_t attentionScratchWords(const NibAttentionDesc& d, uint32_t pieces) {
  return 4 + uint64_t(pieces) * d.heads * (d.head_size + kAttentionRecordWords);
}

}  // namespace nib
#endif
