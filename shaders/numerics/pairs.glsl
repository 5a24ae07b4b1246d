// Numbers as unevaluated sums of two fp32, a high part and what it leaves (two-float, double-single). No operation here is
// inexact but the sums of low parts, so results depend on the order of operations alone, as long as no intermediate is
// denormal or overflows: see errors.comp for what the caller must see to.
//
// TwoSum is Knuth's, the product Dekker's with operands split by their bits: without a fused multiply-add, which not every
// device has. src/cpu/pairs.h is the twin.
#ifndef NIBBLE_NUMERICS_PAIRS_GLSL
#define NIBBLE_NUMERICS_PAIRS_GLSL

// {high, low}, four at a time, two at a time; a vec2 is one of them.
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

// a + b, the low parts rounded; a result's low part may be larger than half an ulp of its high one. 8 operations.
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

// The four of a pair4: ((0 + 1) + (2 + 3)).
vec2 nibPairFold(NibPair4 a) {
  NibPair2 two = nibPairAdd(NibPair2(a.high.xz, a.low.xz), NibPair2(a.high.yw, a.low.yw));
  return nibPairAdd(vec2(two.high.x, two.low.x), vec2(two.high.y, two.low.y));
}

#endif
