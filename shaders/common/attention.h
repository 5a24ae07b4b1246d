// The interface that attention and attention_tiles share: softmax of queries times keys, times values.
// Specialization constants 0..12:
//   WG           invocations of a workgroup
//   HEAD_SIZE    elements of a head, a multiple of 8
//   SOURCE_TYPE  NibType of the queries
//   CACHE_TYPE   NibType of keys and values
//   RESULT_TYPE  NibType of the result
//   TOKENS       tokens of a tile
//   HEADS        query heads of a tile, which share a key head
//   CAPPED       scores have a cap
//   PARTIAL      binding 2 is scratch, where every piece of the keys leaves a record; else it is the result
//   CARRY        a piece is a range of cache rows, and goes on from the record of the piece before; else a tile of keys
//                belongs to piece (tile % pieces)
//   COPIED       the indices are copied to scratch, and binding 1 holds the queries alone
//   FLAGS        of a quantized cache: its NIB_WEIGHTS_*
//   GROUP        of a quantized cache: elements that share a scale
#ifndef NIB_COMMON_ATTENTION_H
#define NIB_COMMON_ATTENTION_H

#include "common/interface.h"

#define NIB_ATTENTION_SPEC(X)    \
  X(0, uint, WG, 128u)           \
  X(1, uint, HEAD_SIZE, 64u)     \
  X(2, uint, SOURCE_TYPE, 0u)    \
  X(3, uint, CACHE_TYPE, 0u)     \
  X(4, uint, RESULT_TYPE, 0u)    \
  X(5, uint, TOKENS, 1u)         \
  X(6, uint, HEADS, 1u)          \
  X(7, nib_bool, CAPPED, false)  \
  X(8, nib_bool, PARTIAL, false) \
  X(9, nib_bool, CARRY, false)   \
  X(10, nib_bool, COPIED, false) \
  X(11, uint, FLAGS, 0u)         \
  X(12, uint, GROUP, 32u)

// Words of a piece of a head in scratch before its sums of values: the largest score, and the sum of weights.
#define NIB_ATTENTION_RECORD 4u

#ifdef __cplusplus
namespace nib {
#endif
struct AttentionPush {
  NibPushHead head;
  uint heads;
  uint group;        // query heads of a key head
  uint head_tiles;   // tiles of a group
  uint token_tiles;  // tiles of tokens in a row block
  uint pieces;       // of the keys
  uint piece_rows;   // CARRY: rows of the cache in a piece
  uint cache_rows;
  uint source_stride;  // elements from row to row; of a quantized cache words
  uint key_stride;
  uint value_stride;
  uint result_stride;
  uint scratch_words;  // of a token
  uint source_word;    // first words of parts
  uint indices_word;
  uint keys_word;
  uint values_word;
  uint result_word;
  uint scale_bits;  // fp32
  uint cap_bits;
  uint scales_word;  // in a row of a quantized cache
  uint zeros_word;
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
