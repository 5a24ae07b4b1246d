// Eight neighbouring weights of a row as halves. Include after memory/weight_eight.glsl, and declare as specialization
// constant:
//   HALVES  scales are halves, and products of halves keep denormals
// Columns change places within the eight, as cheap decoding leaves them: nibHalvesOf puts activations, and weights that
// were decoded as floats, in the same order.
#ifndef NIB_MEMORY_WEIGHT_EIGHT_HALVES_GLSL
#define NIB_MEMORY_WEIGHT_EIGHT_HALVES_GLSL

struct NibEightHalves {
  f16vec4 first, last;
};

// The halves of columns 0..3 and 4..7, in that order.
NibEightHalves nibHalvesOf(f16vec4 a, f16vec4 b) {
#if defined(NIB_OFFSET_CODES) && NIB_BITS_PER_CODE == 4
  return NibEightHalves(f16vec4(a.x, b.x, a.y, b.y), f16vec4(a.z, b.z, a.w, b.w));
#elif defined(NIB_OFFSET_CODES)
  return NibEightHalves(a.xzyw, b.xzyw);
#else
  return NibEightHalves(a, b);
#endif
}
NibEightHalves nibHalvesOf(NibEight w) { return nibHalvesOf(f16vec4(w.low), f16vec4(w.high)); }
NibEightHalves nibHalvesOf(uvec4 words) {
  return nibHalvesOf(f16vec4(unpackFloat2x16(words.x), unpackFloat2x16(words.y)),
                     f16vec4(unpackFloat2x16(words.z), unpackFloat2x16(words.w)));
}

#ifdef NIB_OFFSET_CODES
// The bits of a half 1024 + code, for codes below 1024, are 0x6400 | code.
#if NIB_BITS_PER_CODE == 4
const uint kNibPairMask = 0x000f000fu;
#else
const uint kNibPairMask = 0x00ff00ffu;
#endif

f16vec2 nibOffsetPair(uint word, f16vec2 zero, f16vec2 scale) {
  return (unpackFloat2x16((word & kNibPairMask) | 0x64006400u) - zero) * scale;
}

f16vec2 nibHalfScale(uint index) {
  uint bits = NIB_HALF_OF(params[push.scales_word + push.head.delta1 + (index >> 1)], index);
#ifdef NIB_SIGNED_SCALES
  bits = (bits & 0x7fffu) < 0x7c00u ? bits : 0u;
#else
  bits = bits < 0x7c00u ? bits : 0u;
#endif
  return unpackFloat2x16(bits).xx;
}

// The same halves as those of rounded fp32 products: the differences are exact.
NibEightHalves nibOffsetEight(uvec2 words, uint index) {
  int code = NIB_TWOS_COMPLEMENT ? int(NIB_MID) : 0;  // of 0
#ifndef NIB_GGML_KIND
  code += nibLoadZero(push.zeros_word + push.head.delta1, index);
#else
  code = int(NIB_MID);
#endif
  f16vec2 zero = f16vec2(float(1024 + code));
  f16vec2 scale = nibHalfScale(index);
#if NIB_BITS_PER_CODE == 4
  uint w = words.x;
  return NibEightHalves(f16vec4(nibOffsetPair(w, zero, scale), nibOffsetPair(w >> 4, zero, scale)),
                        f16vec4(nibOffsetPair(w >> 8, zero, scale), nibOffsetPair(w >> 12, zero, scale)));
#else
  if (NIB_TWOS_COMPLEMENT) words ^= 0x80808080u;
  return NibEightHalves(f16vec4(nibOffsetPair(words.x, zero, scale), nibOffsetPair(words.x >> 8, zero, scale)),
                        f16vec4(nibOffsetPair(words.y, zero, scale), nibOffsetPair(words.y >> 8, zero, scale)));
#endif
}
#endif

// As nibWeightEight.
NibEightHalves nibWeightHalves(NibEightRow r, uint step, uint eight, uint group) {
#ifdef NIB_OFFSET_CODES
  if (HALVES && !COLUMN) return nibOffsetEight(nibEightCodes(r, step, eight), r.scale + group);
#elif !defined(NIB_FORMAT)
  if (FULL && SCALE_TYPE == NIB_F16) return nibHalvesOf(codes4[(r.at + NIB_EIGHT_WORDS * (step / 8u)) >> 2]);
#endif
  return nibHalvesOf(nibWeightEight(r, step, eight, group));
}

#endif
