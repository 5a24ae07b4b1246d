// NIB_OP_ROPE: rotary position embedding (RoFormer, arXiv 2104.09864) of the heads of queries or keys.
#ifndef NIBBLE_OPS_ROPE_H
#define NIBBLE_OPS_ROPE_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_ROPE 15u

// NibRopeDesc.flags

// Pair i of a head is its elements 2i and 2i + 1 (GPT-J, Meta's Llama, GGUF's NORM). Without it, i and i +
// rotary_size / 2 (GPT-NeoX, Hugging Face).
#define NIB_ROPE_INTERLEAVED (1u << 0)

// INPUT dense [run tokens, heads * head_size] in NIB_PART_SOURCE, and NIB_PART_INDICES after it at a multiple of 256
// bytes: uint32[run tokens], the position of each token. WEIGHTS NIB_PART_TABLE: fp32 [positions, rotary_size / 2, 2],
// the cosine and the sine of each pair's angle at each position (nibFillRopeTable). -> OUTPUT NIB_PART_RESULT dense
// [tokens, heads * head_size]. NibRun.n = tokens of the run, which become rows first_row.. of OUTPUT.
//
// With the row of the table at the token's position, or its last row if the position is beyond it, each pair (x, y) of
// a head becomes (x * cos - y * sin, y * cos + x * sin). Elements of a head from rotary_size on are converted as
// NIB_OP_CONVERT does it.
// A row of SOURCE or RESULT may be a part of wider rows, as the queries of fused projections are: give the stride, and
// the part the offset of its first element. RESULT may be SOURCE in place, if type and stride are the same and
// first_row is 0. The table may be of any size: one that does not fit one storage range is read in windows, with one
// dispatch for each.
//
// Bit-exact: every product, sum and difference is an fp32 number, rounded half-even as NIB_OP_ELEMENTWISE rounds its
// own; the result is then converted to its type as NIB_OP_CONVERT does it.
typedef struct NibRopeDesc {
  uint32_t op;          // NIB_OP_ROPE
  uint32_t desc_bytes;  // sizeof(NibRopeDesc)
  uint32_t flags;       // NIB_ROPE_*
  uint32_t tokens;      // the most tokens of a run
  uint32_t heads;
  uint32_t head_size;      // even
  uint32_t rotary_size;    // elements of a head that are rotated: even, at most head_size; 0 = head_size. Without
                           // INTERLEAVED a multiple of 4
  uint32_t positions;      // rows of the table
  uint32_t source_type;    // NibType F32, F16 or BF16
  uint32_t source_stride;  // elements from token to token; 0 = heads * head_size
  uint32_t result_type;    // NibType F32, F16 or BF16
  uint32_t result_stride;  // 0 = heads * head_size; of 16-bit types even
} NibRopeDesc;

// Rows of NIB_PART_TABLE for positions first_position.. of a model: the cosine and the sine of position * frequency[i],
// times `factor`, which is 1 or a model's attention factor (YaRN's mscale). Angles and their functions are made in
// double and rounded to fp32; the C library decides the last bit.
//   frequencies  double[rotary_size / 2], in radians per position, with every rule of scaling applied:
//                base^(-2 i / rotary_size) in the original
//   rows         float[count * rotary_size]
// Returns NIB_ERROR_INVALID_ARGUMENT if rotary_size is 0 or odd, a pointer is NULL, or first_position + count is beyond
// 2^32. Thread-safe. log may be NULL.
NIB_API NibResult nibFillRopeTable(const double* frequencies, uint32_t rotary_size, double factor,
                                   uint32_t first_position, uint32_t count, float* rows, const NibLog* log);

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_ROPE_H
