// Products of a format's code values with a scale, where a plain product could be denormal or overflow: a scale may be
// 2^-120 or near fp32's largest number. Products are rounded once to 24 bits. Below 2^-126 they are 0, above fp32's
// range its largest number. src/formats/product.h is the C++ counterpart.
#ifndef NIB_NUMERICS_PRODUCT_GLSL
#define NIB_NUMERICS_PRODUCT_GLSL

struct NibScale4 {
  vec4 scale;   // times 2^64 if tiny, 2^-32 if large
  uvec4 shift;  // subtracted from a product's exponent to undo that
  uvec4 sign;   // double quantization can make negative scales
  uvec4 least;  // bits of the smallest product that is a normal number
  uvec4 most;   // bits of the largest
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
  // In a zero group no product reaches `least`.
  s.least = mix(mix(uvec4(0x00800000u), uvec4(0x20800000u), tiny), uvec4(0xffffffffu), equal(scale_bits, uvec4(0u)));
  s.most = mix(uvec4(0x7f7fffffu), uvec4(0x6f7fffffu), large);
  return s;
}

// Denormals become zeros of the same sign, by their bits: a scale of 2^-120 would otherwise give them nonzero codes.
vec4 nibFlush4(vec4 x) {
  uvec4 bits = floatBitsToUint(x);
  return uintBitsToFloat(mix(bits, bits & 0x80000000u, equal(bits & 0x7f800000u, uvec4(0u))));
}

// fp32 bits of magnitude * scale. magnitude: 0, or values from 2^-16 to 2^16.
uvec4 nibProduct4(vec4 magnitude, NibScale4 s) {
  precise vec4 product = magnitude * s.scale;
  uvec4 bits = floatBitsToUint(product);
  return mix(min(bits, s.most) - s.shift, uvec4(0u), lessThan(bits, s.least));
}

#endif
