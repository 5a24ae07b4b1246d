// Products of a format's small values with a scale, for values too far from 1 for a plain product: a scale may be 2^-120 or
// near fp32's largest. Rounded once to 24 bits; below 2^-126 they are 0, beyond fp32 its largest number. Twin of
// src/formats/product.h.
#ifndef NIBBLE_NUMERICS_PRODUCT_GLSL
#define NIBBLE_NUMERICS_PRODUCT_GLSL

struct NibScale4 {
  vec4 scale;   // times 2^64 if tiny, 2^-32 if large
  uvec4 shift;  // what undoes that, in the exponent
  uvec4 sign;   // double quantization can make negative scales
  uvec4 least;  // bits of the smallest product that is an ordinary number
  uvec4 most;   // and of the largest
};

// signed_bits: stored scales as fp32, after nibRuledScale; those of double quantization may be negative.
NibScale4 nibMakeScale4(uvec4 signed_bits) {
  NibScale4 s;
  uvec4 scale_bits = signed_bits & 0x7fffffffu;
  s.sign = signed_bits & 0x80000000u;
  bvec4 tiny = lessThan(scale_bits, uvec4(0x21800000u));           // 2^-60
  bvec4 large = greaterThanEqual(scale_bits, uvec4(0x71800000u));  // 2^100
  s.shift = mix(mix(uvec4(0u), uvec4(0xf0000000u), large), uvec4(0x20000000u), tiny);
  s.scale = uintBitsToFloat(scale_bits + s.shift);
  // Nothing is: a zero group.
  s.least = mix(mix(uvec4(0x00800000u), uvec4(0x20800000u), tiny), uvec4(0xffffffffu), equal(scale_bits, uvec4(0u)));
  s.most = mix(uvec4(0x7f7fffffu), uvec4(0x6f7fffffu), large);
  return s;
}

// Denormals as zeros, by their bits: a scale of 2^-120 would make codes of them. Signs are kept.
vec4 nibFlush4(vec4 x) {
  uvec4 bits = floatBitsToUint(x);
  return uintBitsToFloat(mix(bits, bits & 0x80000000u, equal(bits & 0x7f800000u, uvec4(0u))));
}

// fp32 bits. magnitude: 0, or values from 2^-16 to 2^16.
uvec4 nibProduct4(vec4 magnitude, NibScale4 s) {
  precise vec4 product = magnitude * s.scale;
  uvec4 bits = floatBitsToUint(product);
  return mix(min(bits, s.most) - s.shift, uvec4(0u), lessThan(bits, s.least));
}

#endif
