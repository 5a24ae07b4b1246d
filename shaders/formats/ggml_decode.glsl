// Decoding of ggml's integer codes: value = (code - 2^(bits-1)) * scale, or code * scale + minimum. The including
// format.glsl defines NIB_BITS, NIB_GGML_KIND and NIB_BLOCK_COLS, the columns that share a scale.
#ifndef NIB_FORMATS_GGML_DECODE_GLSL
#define NIB_FORMATS_GGML_DECODE_GLSL

#define NIB_GGML_SIGNED 0   // q4_0, q5_0, q3_k, q6_k: steps count from the middle code
#define NIB_GGML_MINIMUM 1  // q4_1, q5_1, q2_k, q4_k, q5_k
#define NIB_GGML_ABSMAX 2   // q8_0
#if NIB_GGML_KIND == NIB_GGML_MINIMUM
#define NIB_MINIMUM
#endif
#include "numerics/exact.glsl"
#include "numerics/scale_store.glsl"

#define NIB_TWOS_COMPLEMENT (NIB_GGML_KIND == NIB_GGML_ABSMAX)
#define NIB_MID (1u << (NIB_BITS - 1u))

// fp32 bits of the minimum; 0 in formats without one.
int nibZeroFromStored(uint stored, uint flags) {
#ifdef NIB_MINIMUM
  uint bits = nibHalfToF32Bits(stored);
  return (bits & 0x7fffffffu) < 0x7f800000u ? int(bits) : 0;
#else
  return 0;
#endif
}

struct NibDecoder {
  vec4 scale;
  vec4 minimum;
  ivec4 mask;  // 0 for blocks whose scale is 0
};

// scale_bits: stored scales as fp32, after nibRuledScale. zero: as nibZeroFromStored gives it.
NibDecoder nibMakeDecoder(uvec4 scale_bits, ivec4 zero) {
  NibDecoder d;
  d.scale = uintBitsToFloat(scale_bits);
  d.minimum = intBitsToFloat(zero);
  d.mask = mix(ivec4(-1), ivec4(0), equal(scale_bits, uvec4(0u)));
  return d;
}

// fp32 bits of four codes' values: products of halves and codes are exact.
uvec4 nibDecode4(ivec4 code, NibDecoder d) {
#if NIB_GGML_KIND == NIB_GGML_ABSMAX
  ivec4 steps = code & d.mask;
#elif NIB_GGML_KIND == NIB_GGML_SIGNED
  ivec4 steps = (code - int(NIB_MID)) & d.mask;
#else
  ivec4 steps = code & d.mask;
#endif
  precise vec4 value = vec4(steps) * d.scale;
#ifdef NIB_MINIMUM
  value = value + d.minimum;
#endif
  // Zeros are +0.
  return mix(floatBitsToUint(value), uvec4(0u), equal(value, vec4(0.0)));
}

// For sums of products: value = nibPart4(code, p) * p.scale, so that the sum is scaled once. Formats with a minimum
// scale every code: code * scale and minimum nearly cancel where values are small. Those with two scales in a run do
// the same.
struct NibPart {
  float scale;
  float step;
  float minimum;
};

NibPart nibMakePart(uint scale_bits, int zero) {
#if defined(NIB_MINIMUM) || NIB_RUN > NIB_BLOCK_COLS
  return NibPart(1.0, uintBitsToFloat(scale_bits), intBitsToFloat(zero));
#else
  return NibPart(uintBitsToFloat(scale_bits), 1.0, 0.0);
#endif
}

vec4 nibPart4(ivec4 code, NibPart p) {
#if NIB_GGML_KIND == NIB_GGML_ABSMAX
  return vec4(code);
#elif NIB_GGML_KIND == NIB_GGML_SIGNED && NIB_RUN > NIB_BLOCK_COLS
  return vec4(code - int(NIB_MID)) * p.step;
#elif NIB_GGML_KIND == NIB_GGML_SIGNED
  return vec4(code - int(NIB_MID));
#else
  return vec4(code) * p.step + p.minimum;
#endif
}

#if !defined(NIB_MINIMUM) && NIB_RUN <= NIB_BLOCK_COLS
// value = (count - nibPartZero(p)) * p.scale, where a code counts from the lowest.
#define NIB_PART_HAS_ZERO
float nibPartZero(NibPart p) {
  return float(NIB_MID);
}
#endif

#endif
