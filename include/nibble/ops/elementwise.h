// NIB_OP_ELEMENTWISE: sums, products and gated products of two dense matrices, and multiples of one.
#ifndef NIBBLE_OPS_ELEMENTWISE_H
#define NIBBLE_OPS_ELEMENTWISE_H

#include <nibble/ops/product.h>
#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_ELEMENTWISE 18u

typedef enum NibElementwiseKind {
  NIB_ELEMENTWISE_ADD = 0,    // source + second
  NIB_ELEMENTWISE_MUL = 1,    // source * second
  NIB_ELEMENTWISE_SCALE = 2,  // source * factor
  NIB_ELEMENTWISE_GATED = 3,  // activation(source) * second: SwiGLU, GeGLU and the like (arXiv 2002.05202)
  NIB_ELEMENTWISE_CAP = 4,    // factor * tanh(source / factor): a soft cap (Gemma 2, arXiv 2408.00118)
  NIB_ELEMENTWISE_MAX_ENUM = 0x7fffffff
} NibElementwiseKind;

// NibElementwiseDesc.flags

// NIB_PART_SECOND is one row, which is combined with every row of the source. Not with SCALE and CAP.
#define NIB_ELEMENTWISE_ONE_ROW (1u << 0)
// GATED only: a row of the source is the gate's `cols` elements, then the `cols` elements that they are multiplied
// by. There is no NIB_PART_SECOND.
#define NIB_ELEMENTWISE_HALVES (1u << 1)

// INPUT dense [run rows, cols] in NIB_PART_SOURCE, and NIB_PART_SECOND after it at a multiple of 256 bytes -> OUTPUT
// NIB_PART_RESULT dense [rows, cols]. NibRun.n = rows of the run, which become rows first_row.. of OUTPUT. The parts
// may have different types.
// RESULT may be SOURCE or SECOND in place, if both have the same type and stride, and first_row is 0; with HALVES it
// takes the bytes of the gate, and cols of a 16-bit type must be even. With ONE_ROW, RESULT cannot be SECOND.
//
// ADD, MUL and SCALE are bit-exact: the fp32 sum or product is rounded once, half-even, and then converted to the
// result's type as NIB_OP_CONVERT does it. Denormals of fp32 and bfloat16 count as 0; those of fp16 are numbers. A sum
// or product of less than 2^-126 after rounding to 24 bits is +0, as is one of 0; one beyond fp32 is infinite.
// Infinities are added and multiplied as usual. A result without a value (a NaN in an operand, the sum of opposite
// infinities, the product of an infinity and 0) is the quiet NaN 0x7fc00000.
// GATED is bounded: before it is rounded to its type, half-even, a result differs from the exact one by at most
//   2^-19 * |gate * other| + 2^-126 * (1 + |other|)
// CAP likewise, by at most
//   2^-19 * |factor * tanh(source / factor)| + 2^-126
// Both are the same from run to run on one device. Results of elements that are not finite, or beyond fp32, are
// undefined.
typedef struct NibElementwiseDesc {
  uint32_t op;          // NIB_OP_ELEMENTWISE
  uint32_t desc_bytes;  // sizeof(NibElementwiseDesc)
  uint32_t flags;       // NIB_ELEMENTWISE_ONE_ROW, NIB_ELEMENTWISE_HALVES
  uint32_t kind;        // NibElementwiseKind
  uint32_t activation;  // NibActivation of GATED; 0 otherwise
  uint32_t rows;
  uint32_t cols;           // of the result
  uint32_t source_type;    // NibType F32, F16 or BF16
  uint32_t source_stride;  // elements from row to row; 0 = cols (HALVES: 2 * cols)
  uint32_t second_type;    // as source_type; 0 without SECOND
  uint32_t second_stride;  // 0 = cols; 0 without SECOND and with ONE_ROW
  uint32_t result_type;    // NibType F32, F16 or BF16
  uint32_t result_stride;  // 0 = cols (16-bit types: rounded up to even)
  float factor;            // SCALE: finite; CAP: 2^-10 to 2^20; 0 otherwise
} NibElementwiseDesc;

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_ELEMENTWISE_H
