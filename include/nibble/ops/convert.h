// NIB_OP_CONVERT: one dense type to another.
#ifndef NIBBLE_OPS_CONVERT_H
#define NIBBLE_OPS_CONVERT_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_CONVERT 4u

// A finite element beyond the result type's largest value becomes that value, with its sign, instead of infinity.
#define NIB_CONVERT_SATURATE (1u << 0)
// The aux range begins with a NibStatus that the run adds to.
#define NIB_CONVERT_STATUS (1u << 1)

// INPUT dense [rows, cols] of one type -> OUTPUT dense of the same or another type. NibRun.n = rows.
// Bit-exact. Half-even rounding; beyond the largest value infinite, or saturated. Denormals of fp32 and bfloat16 become
// zeros of their sign; those of fp16 are numbers. Infinities stay. A NaN becomes the quiet NaN of its sign (0x7fc00000,
// 0x7e00, 0x7fc0).
typedef struct NibConvertDesc {
  uint32_t op;          // NIB_OP_CONVERT
  uint32_t desc_bytes;  // sizeof(NibConvertDesc)
  uint32_t flags;       // NIB_CONVERT_*
  uint32_t rows;
  uint32_t cols;
  uint32_t source_type;    // NibType F32, F16 or BF16
  uint32_t source_stride;  // elements from row to row; 0 = cols
  uint32_t result_type;    // NibType F32, F16 or BF16
  uint32_t result_stride;  // as NibDequantizeDesc's
} NibConvertDesc;

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_CONVERT_H
