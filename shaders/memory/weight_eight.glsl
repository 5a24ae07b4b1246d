// Eight neighbouring weights of a row as floats, scaled, for staging in shared memory. Include after
// memory/weight_run.glsl and memory/weight_quad.glsl. Declare before including:
//   BK      columns of a step, a multiple of eight
//   GROUP   columns sharing a scale, a multiple of eight; 0: a row has one
// and, as specialization constants of common/float_product.h, WG, FULL, COLUMN, SCALE_TYPE and FLAGS.
#ifndef NIB_MEMORY_WEIGHT_EIGHT_GLSL
#define NIB_MEMORY_WEIGHT_EIGHT_GLSL

#if defined(NIB_FORMAT) && (NIB_BITS_PER_CODE == 4 || NIB_BITS_PER_CODE == 8)
#define NIB_WHOLE_WORDS  // eight codes are whole words
#endif
// Codes that are integers minus a zero point.
#if defined(NIB_WHOLE_WORDS) && !defined(NIB_MINIMUM) && \
    (defined(NIB_GGML_KIND) || defined(NIB_FORMATS_AFFINE_DECODE_GLSL))
#define NIB_OFFSET_CODES
#elif defined(NIB_PART_VALUES)
#define NIB_VALUE_TABLE
#include "workgroup/value_table.glsl"
#endif

struct NibEight {
  vec4 low, high;  // columns 0..3 and 4..7
};

// Any eight columns of a row from col on, which are zeros from push.cols on. Slow.
NibEight nibAnyEight(uint row, uint col) {
  NibEight w = NibEight(vec4(0.0), vec4(0.0));
  if (col < push.cols) w.low = nibWeightQuad(row, col);
  if (col + 4u < push.cols) w.high = nibWeightQuad(row, col + 4u);
  return w;
}

// Words of eight codes, or of eight dense weights.
#ifndef NIB_FORMAT
#define NIB_EIGHT_WORDS (SCALE_TYPE == NIB_F32 ? 8u : 4u)
#elif defined(NIB_WHOLE_WORDS)
#define NIB_EIGHT_WORDS (NIB_BITS / 4u)
#else
#define NIB_EIGHT_WORDS 0u
#endif

// A row, for an invocation that takes the same eight columns of every step.
struct NibEightRow {
  uint at;     // word of the first step's eight
  uint scale;  // index of the row's first scale
#ifndef NIB_WHOLE_WORDS
  uint row;
#endif
};

NibEightRow nibEightRow(uint row, uint eight) {
  NibEightRow r;
  r.at = row * push.row_words + push.head.delta0 + NIB_EIGHT_WORDS * eight;
  r.scale = row * push.scale_row_stride;
#ifndef NIB_WHOLE_WORDS
  r.row = row;
#endif
  return r;
}

// The index of their scale, counted from the row's first.
uint nibEightGroup(uint step, uint eight) {
  return GROUP == 0u ? 0u : (GROUP % BK == 0u ? step : step + 8u * eight) / max(GROUP, 1u);
}

#ifdef NIB_FORMAT
// Eight codes: of 8 bits in two words, of fewer in the low bits of two words unless they fit one.
uvec2 nibEightCodes(NibEightRow r, uint step, uint eight) {
#ifdef NIB_WHOLE_WORDS
  uint at = r.at + NIB_EIGHT_WORDS * (step / 8u);
#if NIB_BITS_PER_CODE == 8
  if (FULL) return codes2[at >> 1];
  return uvec2(codes[at], codes[at + 1u]);
#else
  return uvec2(codes[at], 0u);
#endif
#else
  uint col = step + 8u * eight;
  return uvec2(nibLoadQuadCodes(r.row, col), nibLoadQuadCodes(r.row, col + 4u));
#endif
}

#if NIB_BITS_PER_CODE == 4
#define NIB_EIGHT_QUADS(words) uvec2((words).x, (words).x >> 16)
#else
#define NIB_EIGHT_QUADS(words) (words)
#endif

// A scale that is a half: nibLoadScale in fewer operations, because no half is below 2^-120.
uint nibEightHalfScale(uint index) {
  uint h = NIB_HALF_OF(params[push.scales_word + push.head.delta1 + (index >> 1)], index);
#ifdef NIB_SIGNED_SCALES
  uint sign = (h & 0x8000u) << 16;
  h &= 0x7fffu;
#else
  const uint sign = 0u;
#endif
  h = h < 0x7c00u ? h : 0u;
  // As nibWidenHalves does it.
  precise float without = uintBitsToFloat((h << 13) + 0x38800000u) - uintBitsToFloat(0x38800000u);
  return min((h << 13) + 0x38000000u, floatBitsToUint(without)) | sign;
}

NibPart nibEightPart(uint index) {
  uint scale = SCALE_TYPE == NIB_F16 ? nibEightHalfScale(index)
                                     : nibLoadScale(push.scales_word + push.head.delta1, index);
  return nibMakePart(scale, nibLoadZero(push.zeros_word + push.head.delta1, index));
}

vec4 nibBytes(uint word) { return vec4(word & 0xffu, (word >> 8) & 0xffu, (word >> 16) & 0xffu, word >> 24); }

// The values of the codes without their scale.
NibEight nibEightValues(uvec2 words, NibPart part) {
#ifdef NIB_OFFSET_CODES
#ifdef NIB_GGML_KIND
  float zero = float(NIB_MID);
#else
  float zero = float(part.zero + (NIB_TWOS_COMPLEMENT ? int(NIB_MID) : 0));
#endif
#if NIB_BITS_PER_CODE == 4
  vec4 even = nibBytes(words.x & 0x0f0f0f0fu), odd = nibBytes((words.x >> 4) & 0x0f0f0f0fu);
  vec4 low = vec4(even.x, odd.x, even.y, odd.y), high = vec4(even.z, odd.z, even.w, odd.w);
#else
  if (NIB_TWOS_COMPLEMENT) words ^= 0x80808080u;
  vec4 low = nibBytes(words.x), high = nibBytes(words.y);
#endif
  return NibEight(low - zero, high - zero);
#elif defined(NIB_VALUE_TABLE)
  uvec2 packed = NIB_EIGHT_QUADS(words);
  return NibEight(nibValues4(packed.x), nibValues4(packed.y));
#else
  uvec2 packed = NIB_EIGHT_QUADS(words);
  return NibEight(nibPart4(nibUnpack4(packed.x), part), nibPart4(nibUnpack4(packed.y), part));
#endif
}

// Eight columns of a row, all below push.cols. group: their scale, as nibEightGroup counts.
NibEight nibWeightEight(NibEightRow r, uint step, uint eight, uint group) {
  uvec2 words = nibEightCodes(r, step, eight);
  if (COLUMN) {
    uint col = step + 8u * eight;
    uvec2 packed = NIB_EIGHT_QUADS(words);
    return NibEight(uintBitsToFloat(nibDecode4(nibUnpack4(packed.x), nibColumnDecoder(col))),
                    uintBitsToFloat(nibDecode4(nibUnpack4(packed.y), nibColumnDecoder(col + 4u))));
  }
  NibPart part = nibEightPart(r.scale + group);
  NibEight w = nibEightValues(words, part);
  w = NibEight(w.low * part.scale, w.high * part.scale);
#ifdef NIB_NONFINITE_CODES
  // A zero group is 0 for any codes.
  if (part.scale == 0.0) w = NibEight(vec4(0.0), vec4(0.0));
#endif
  return w;
}
#else
NibEight nibWeightEight(NibEightRow r, uint step, uint eight, uint group) {
  uint start = r.row * push.row_words + push.head.delta0;
  uint col = step + 8u * eight;
  return NibEight(nibDenseQuad(start, col), nibDenseQuad(start, col + 4u));
}
#endif

#endif
