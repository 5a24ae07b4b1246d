// A scale of double quantization from its code. src/formats/nested.h is the C++ counterpart.
#ifndef NIB_NUMERICS_NESTED_GLSL
#define NIB_NUMERICS_NESTED_GLSL

#include "numerics/dynamic_map.h"
#include "numerics/exact.glsl"
#include "numerics/scale_store.glsl"

const uint kNestedMap[256] = uint[256](NIB_DYNAMIC_MAP);

// fp32 bits of the scale, which may be negative; magnitudes below 2^-120 give 0. nested, offset: fp32 bits of the
// block's scale and of the mean.
uint nibNestedScale(uint code, uint nested, uint offset) {
  precise float product = uintBitsToFloat(kNestedMap[code]) * uintBitsToFloat(nibRuledScale(nested, false));
  precise float scale = nibFlush(product) + uintBitsToFloat(offset);
  return nibRuledScale(floatBitsToUint(scale), true);
}

#endif
