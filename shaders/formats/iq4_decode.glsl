// Decoding of ggml's IQ4 codes: one of sixteen values from -127 to 113 times a scale. The including format.glsl defines
// NIB_BLOCK_COLS.
#ifndef NIB_FORMATS_IQ4_DECODE_GLSL
#define NIB_FORMATS_IQ4_DECODE_GLSL

#include "numerics/exact.glsl"
#include "numerics/scale_store.glsl"
#include "formats/scale_only.glsl"
#include "formats/select.glsl"
#include "formats/iq4/table.h"

#define NIB_BITS_PER_CODE 4
#define NIB_BITS 4u
#define NIB_TWOS_COMPLEMENT false
#define NIB_RUN 32

struct NibDecoder {
  vec4 scale;
};

// scale_bits: scales as fp32, which are finite.
NibDecoder nibMakeDecoder(uvec4 scale_bits, ivec4 zero) {
  NibDecoder d;
  d.scale = uintBitsToFloat(scale_bits);
  return d;
}

// fp32 bits of four codes' values in the table.
uvec4 nibIq4Value4(ivec4 code) {
  uvec4 low = nibSelect4(code, IQ4_V0, IQ4_V1, IQ4_V2, IQ4_V3, IQ4_V4, IQ4_V5, IQ4_V6, IQ4_V7);
  uvec4 high = nibSelect4(code, IQ4_V8, IQ4_V9, IQ4_V10, IQ4_V11, IQ4_V12, IQ4_V13, IQ4_V14, IQ4_V15);
  return mix(low, high, notEqual(code & 8, ivec4(0)));
}

// fp32 bits of four codes' values, which are exact; a zero group is +0.
uvec4 nibDecode4(ivec4 code, NibDecoder d) {
  precise vec4 value = uintBitsToFloat(nibIq4Value4(code)) * d.scale;
  return mix(floatBitsToUint(value), uvec4(0u), equal(d.scale, vec4(0.0)));
}

#define NIB_PART_IS_TABLE
#define NIB_PART_VALUES 16
vec4 nibPart4(ivec4 code, NibPart p) {
  return uintBitsToFloat(nibIq4Value4(code));
}

#endif
