// NIB_OP_REPACK: a quantized blob to the layout of another program, and back.
#ifndef NIBBLE_OPS_REPACK_H
#define NIBBLE_OPS_REPACK_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_REPACK 6u

// How other programs keep a quantized matrix. Their scales are NIB_PART_SCALES byte for byte, except in GGUF blocks.
typedef enum NibLayout {
  // Rows of 4-bit or 8-bit codes without padding between them, the first code in the low bits: int-quantized,
  // float-quantized and mxfp4-pack-quantized of compressed-tensors, and the rows of LLM.int8(). 4-bit codes: cols is
  // even. Zero points are NIB_PART_ZEROS.
  NIB_LAYOUT_ROWS = 1,
  // pack-quantized of compressed-tensors, for int2, int4, uint4, int8 and uint8: codes + 2^(bits-1) along a row in
  // words, rows start on a word. Zero points are packed along columns: word (r * bits / 32, group) holds those of 32 /
  // bits rows.
  NIB_LAYOUT_PACKED_ROWS = 2,
  // NF4 and FP4 of bitsandbytes, FLAT: a byte holds two codes, the first in the high nibble.
  NIB_LAYOUT_BITSANDBYTES = 3,
  // ggml's blocks, for its formats: scale, minimum, high bits, then codes j and j + 16 in one byte. cols is a multiple
  // of 32, or of 256 for formats with super-blocks, whose bytes are ggml's too.
  NIB_LAYOUT_GGUF = 4,
  // For int2, int3, int4 and int8: codes + 2^(bits-1) of a row as a dense stream in words, the first code in the low
  // bits; cols is a multiple of 32. GPTQ's qweight has these words transposed. Zero points are NIB_PART_ZEROS.
  NIB_LAYOUT_WORDS = 5,
  NIB_LAYOUT_MAX_ENUM = 0x7fffffff
} NibLayout;

// From the packed layout (INPUT) to the canonical one (WEIGHTS). Without it from WEIGHTS to OUTPUT.
#define NIB_REPACK_UNPACK (1u << 0)

// WEIGHTS blob <-> NIB_PART_PACKED_CODES and NIB_PART_PACKED_ZEROS. NibRun.n = rows, first_row.. of both.
// Bit-exact; there and back gives the same bytes. Unpacking writes NIB_PART_CODES, and scales and zeros where the
// layout holds them; the caller copies the rest.
typedef struct NibRepackDesc {
  uint32_t op;          // NIB_OP_REPACK
  uint32_t desc_bytes;  // sizeof(NibRepackDesc)
  uint32_t flags;       // NIB_REPACK_*
  uint32_t rows;
  uint32_t cols;
  uint32_t layout;  // NibLayout
  NibWeights weights;
} NibRepackDesc;

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_REPACK_H
