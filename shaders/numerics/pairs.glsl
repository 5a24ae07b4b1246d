// Numbers as unevaluated sums of two fp32, a high part and the remainder (two-float, double-single). Only sums of low
// parts round, so results depend on the order of operations alone, as long as no intermediate is denormal or overflows.
// errors.comp shows how a caller ensures that.
//
// TwoSum is Knuth's. The product is Dekker's with operands split by their bits, because not every device has a fused
// multiply-add. src/numerics/pairs.h is the C++ counterpart.
#ifndef NIB_NUMERICS_PAIRS_GLSL
#define NIB_NUMERICS_PAIRS_GLSL

// Four pairs and two pairs; a vec2 {high, low} is one pair.
struct NibPair4 {
  vec4 high;
  vec4 low;
};
struct NibPair2 {
  vec2 high;
  vec2 low;
};

// a * b exactly. 17 operations.
NibPair4 nibPairProduct(vec4 a, vec4 b) {
  vec4 a_high = uintBitsToFloat(floatBitsToUint(a) & 0xfffff000u);
  vec4 b_high = uintBitsToFloat(floatBitsToUint(b) & 0xfffff000u);
  precise vec4 a_low = a - a_high;
  precise vec4 b_low = b - b_high;
  precise vec4 high = a * b;
  precise vec4 low = a_low * b_low - (((high - a_high * b_high) - a_low * b_high) - a_high * b_low);
  return NibPair4(high, low);
}

// a + b with rounded low parts. A result's low part may exceed half an ulp of its high part. 8 operations.
NibPair4 nibPairAdd(NibPair4 a, NibPair4 b) {
  precise vec4 sum = a.high + b.high;
  precise vec4 part = sum - a.high;
  precise vec4 rest = (a.high - (sum - part)) + (b.high - part);
  precise vec4 low = rest + (a.low + b.low);
  return NibPair4(sum, low);
}

NibPair2 nibPairAdd(NibPair2 a, NibPair2 b) {
  precise vec2 sum = a.high + b.high;
  precise vec2 part = sum - a.high;
  precise vec2 rest = (a.high - (sum - part)) + (b.high - part);
  precise vec2 low = rest + (a.low + b.low);
  return NibPair2(sum, low);
}

// The same with the low part brought below half an ulp. 14 operations.
vec2 nibPairAdd(vec2 a, vec2 b) {
  precise float sum = a.x + b.x;
  precise float part = sum - a.x;
  precise float rest = (a.x - (sum - part)) + (b.x - part);
  precise float low = rest + (a.y + b.y);
  precise float high = sum + low;
  precise float over = high - sum;
  precise float left = (sum - (high - over)) + (low - over);
  return vec2(high, left);
}

// The sum of all four, in the order (0 + 1) + (2 + 3).
vec2 nibPairFold(NibPair4 a) {
  NibPair2 two = nibPairAdd(NibPair2(a.high.xz, a.low.xz), NibPair2(a.high.yw, a.low.yw));
  return nibPairAdd(vec2(two.high.x, two.low.x), vec2(two.high.y, two.low.y));
}

#endif
