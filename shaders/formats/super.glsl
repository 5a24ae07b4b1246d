// Super-blocks of ggml's K-quants: a scale is a byte's number times the fp16 d of 256 columns, a minimum is -(byte *
// dmin). The including format.glsl defines NIB_SUPER_BLOCKS, the groups of a super-block, and NIB_SUPER_OFFSET, which
// is subtracted from the byte of a scale, or NIB_SUPER_SIGNED if that byte is in two's complement. src/formats/super.h
// is the C++ counterpart.
#ifndef NIB_FORMATS_SUPER_GLSL
#define NIB_FORMATS_SUPER_GLSL

#define NIB_SIGNED_SCALES
#define NIB_BLOCK_COLS (256 / NIB_SUPER_BLOCKS)
#include "numerics/exact.glsl"
#include "numerics/scale_store.glsl"

// fp32 bits of steps times a half; +0 if the half is not finite. The product is exact.
uint nibSuperProduct(int steps, uint half_bits) {
  uint d = nibHalfToF32Bits(half_bits);
  precise float product = float(steps) * uintBitsToFloat(d);
  return steps == 0 || !nibIsRuled(d, true) ? 0u : floatBitsToUint(product);
}

// fp32 bits of the scale that a byte and the word of its super-block stand for.
uint nibSuperScale(uint byte, uint nested) {
#ifdef NIB_SUPER_SIGNED
  int steps = int(byte << 24) >> 24;
#else
  int steps = int(byte) - NIB_SUPER_OFFSET;
#endif
  return nibSuperProduct(steps, nested & 0xffffu);
}

// The same of a minimum.
int nibSuperMinimum(uint byte, uint nested) {
  return int(nibSuperProduct(-int(byte), nested >> 16));
}

#endif
