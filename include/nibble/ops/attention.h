// NIB_OP_ATTENTION: attention over cached keys and values.
#ifndef NIBBLE_OPS_ATTENTION_H
#define NIBBLE_OPS_ATTENTION_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_ATTENTION 17u

// NibAttentionDesc.flags

// A hint for the choice of kernels: most tokens of a run are the only ones of their sequences, as in a batch of
// sequences that generates. Without it, neighbouring tokens of a run mostly belong to one sequence and share its
// keys.
#define NIB_ATTENTION_SINGLE (1u << 0)

// INPUT dense queries [run tokens, heads * head_size] and NIB_PART_INDICES, WEIGHTS caches of keys and values
// [cache_rows, key_heads * head_size], dense or as NIB_OP_APPEND quantizes them -> OUTPUT dense [tokens, heads *
// head_size]. NibRun.n = tokens of the run, which become rows first_row.. of OUTPUT. Parts of one role follow each
// other at multiples of 256 bytes.
//
// NIB_PART_INDICES is uint32[4 * tokens], four numbers for each token of the run:
//   0  first cache row of the token's sequence: the sequence's position p lies in row first + p
//   1  length of the sequence in the cache
//   2  the token's position in it: later positions are not visible. UINT32_MAX: all are (an encoder)
//   3  the first visible position: 0, or position + 1 - W with a sliding window of W
// So the visible positions p have p >= [3], p <= [2] and p < [1]; those whose row is not one of the cache's are not
// visible either, whatever the four numbers are. A token that sees no key gets zeros. Tokens of one run may belong to
// different sequences.
//
// Query head h reads key head h / (heads / key_heads):
//   s[p] = scale * (query . key[p]), with a cap of c > 0 then c * tanh(s[p] / c)
//   w[p] = exp(s[p] - m) / sum of exp(s - m), m the largest s
//   result = sum of w[p] * value[p], rounded to result_type
// Sums are fp32. RESULT may be SOURCE in place if both have the same type and stride, and first_row is 0.
//
// The result is bounded: before it is rounded, its error is at most
//   max |value| * (2 * E + visible keys * 2^-22 + 2^-18),
//   E = (head_size + 8) * 2^-23 * scale * |query| * max |key| + c * 2^-20
// where E is at most 1/2; |query| and |key| are Euclidean norms, maxima are over the visible keys, that of values in
// the result's column, and keys and values of a quantized cache are the decoded ones. Results are the same from run to
// run on one device. Results of a token whose query, visible keys or visible values are not all finite, or whose scores
// exceed 2^100, are undefined; they do not change others.
typedef struct NibAttentionDesc {
  uint32_t op;          // NIB_OP_ATTENTION
  uint32_t desc_bytes;  // sizeof(NibAttentionDesc)
  uint32_t flags;       // NIB_ATTENTION_*
  uint32_t tokens;      // the most tokens of a run
  uint32_t heads;       // a multiple of key_heads
  uint32_t key_heads;
  uint32_t head_size;  // a multiple of 8 in 8..256
  uint32_t cache_rows;
  uint32_t source_type;    // NibType F32, F16 or BF16
  uint32_t source_stride;  // elements from row to row, a multiple of 8; 0 = heads * head_size
  uint32_t cache_type;     // NibType of dense keys and values: F32, F16 or BF16
  uint32_t key_stride;     // a multiple of 8; 0 = key_heads * head_size
  uint32_t value_stride;   // a multiple of 8; 0 = key_heads * head_size
  uint32_t result_type;    // NibType F32, F16 or BF16
  uint32_t result_stride;  // a multiple of 8; 0 = heads * head_size
  float scale;             // 2^-20 to 2^20; 0 = 1 / sqrt(head_size)
  float cap;               // of scores, 2^-10 to 2^20; 0 = none
  NibWeights cache;        // a quantized cache, as NibAppendDesc::cache: then cache_type, key_stride and value_stride
                           // are 0, and group_size divides head_size. All 0: the cache is dense
} NibAttentionDesc;

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_ATTENTION_H
