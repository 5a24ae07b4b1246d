// Interface of attention_tiles.comp: many queries through shared memory. Other constants are in common/attention.h.
//   KEY_COLUMNS  keys of an invocation: a step has 16 times as many
//   VALUE_ROWS   values that are staged at a time: a power of two, up to the keys of a step
//   QUADS        quads of a head's elements that an invocation owns: HEAD_SIZE / 64, rounded up
// WG is 64 or more, a power of two; a tile has WG / 4 queries, at least TOKENS * HEADS.
#ifndef NIB_OPS_ATTENTION_TILES_H
#define NIB_OPS_ATTENTION_TILES_H

#include "common/attention.h"

#define ATTENTION_TILES_SPEC(X) \
  NIB_ATTENTION_SPEC(X)         \
  X(13, uint, KEY_COLUMNS, 2u)  \
  X(14, uint, VALUE_ROWS, 8u)   \
  X(15, uint, QUADS, 1u)

#ifdef __cplusplus
namespace nib {
using AttentionTilesPush = AttentionPush;
}  // namespace nib
#endif
#endif
