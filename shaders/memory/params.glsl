// Scales and zero points of a blob of weights, bound as words. Define before including:
//   NIB_PARAMS_BINDING     2 in kernels that quantize, 1 in kernels that decode
//   NIB_PARAMS_ACCESS      readonly, writeonly or nothing
//   NIB_PARAMS_WRITE_ONLY  leaves the loads out
//   NIB_PARAMS_NESTED      loads scales of double quantization and of super-blocks too; needs push.nested_word,
//                          push.scales_word and push.zeros_word
#ifndef NIB_MEMORY_PARAMS_GLSL
#define NIB_MEMORY_PARAMS_GLSL

#include "numerics/halves.glsl"
#include "numerics/scale_store.glsl"

layout(set = 0, binding = NIB_PARAMS_BINDING, std430) NIB_PARAMS_ACCESS buffer Params { uint params[]; };

#define NIB_HALF_OF(word, index) (((word) >> (((index) & 1u) * 16u)) & 0xffffu)
#define NIB_BYTE_OF(word, index) (((word) >> (((index) & 3u) * 8u)) & 0xffu)

#if defined(NIB_HAS_NESTED) && defined(NIB_PARAMS_NESTED)
#include "numerics/nested.glsl"
#endif

#ifndef NIB_PARAMS_WRITE_ONLY
// Added to the index of a scale, this makes it count from the binding's begin. base: first word of the scales.
uint nibScaleStart(uint base) {
  return base << (SCALE_TYPE == NIB_F32 ? 0 : SCALE_TYPE >= NIB_E8M0 ? 2 : 1);
}

// fp32 bits of the stored scale that nibScaleStart counts as `index`, before the zero-group rule. Not of double
// quantization, nor of super-blocks.
uint nibStoredScale(uint index) {
  if (SCALE_TYPE == NIB_F32) return params[index];
  if (SCALE_TYPE == NIB_E8M0) return nibScaleFromStored(NIB_BYTE_OF(params[index >> 2], index), SCALE_TYPE);
  uint word = params[index >> 1] >> ((index & 1u) * 16u);
#ifdef NIB_HALVES_KEPT
  if (NIB_HALVES_KEPT && SCALE_TYPE == NIB_F16) return floatBitsToUint(unpackHalf2x16(word).x);
#endif
  return nibScaleFromStored(word & 0xffffu, SCALE_TYPE);
}

// fp32 bits of stored scale `index` after the zero-group rule. base: first word of the scales.
uint nibLoadScale(uint base, uint index) {
#if defined(NIB_SUPER_BLOCKS) && defined(NIB_PARAMS_NESTED)
  uint nested = base + push.nested_word - push.scales_word;
  return nibSuperScale(NIB_BYTE_OF(params[base + (index >> 2)], index),
                       params[nested + index / uint(NIB_SUPER_BLOCKS)]);
#endif
#if defined(NIB_HAS_NESTED) && defined(NIB_PARAMS_NESTED)
  if (SCALE_TYPE == NIB_NESTED) {
    uint nested = base + push.nested_word - push.scales_word;
    return nibNestedScale(NIB_BYTE_OF(params[base + (index >> 2)], index), params[nested + 1u + (index >> 8)],
                          params[nested]);
  }
#endif
  return nibRuledScale(nibStoredScale(nibScaleStart(base) + index));
}

int nibLoadZero(uint base, uint index) {
#ifdef NIB_SUPER_BLOCKS
#if defined(NIB_MINIMUM) && defined(NIB_PARAMS_NESTED)
  uint nested = base + push.nested_word - push.zeros_word;
  return nibSuperMinimum(NIB_BYTE_OF(params[base + (index >> 2)], index),
                         params[nested + index / uint(NIB_SUPER_BLOCKS)]);
#endif
  return 0;
#elif defined(NIB_MINIMUM)
  return nibZeroFromStored(NIB_HALF_OF(params[base + (index >> 1)], index), FLAGS);
#endif
  if ((FLAGS & NIB_ASYMMETRIC) == 0u) return nibZeroFromStored(0u, FLAGS);
  return nibZeroFromStored(NIB_BYTE_OF(params[base + (index >> 2)], index), FLAGS);
}
#endif

#endif
