// One row of weights as floats: nibBeginRun where a scale begins, nibLoadRun for every run, NIB_RUN_QUAD for four
// columns of it. With NIB_FORMAT weights are codes of format.glsl, else dense elements. FULL, SCALE_TYPE and FLAGS are
// specialization constants of the including shader. Declares binding 0.
#ifndef NIB_MEMORY_WEIGHT_RUN_GLSL
#define NIB_MEMORY_WEIGHT_RUN_GLSL

layout(set = 0, binding = 0, std430) readonly buffer Codes1 { uint codes[]; };
layout(set = 0, binding = 0, std430) readonly buffer Codes2 { uvec2 codes2[]; };
layout(set = 0, binding = 0, std430) readonly buffer Codes4 { uvec4 codes4[]; };

#ifdef NIB_FORMAT
struct NibWeightRun {
  uint word[NIB_RUN_WORDS];
  NibPart part;
#if NIB_RUN_PARTS == 2
  NibPart second;  // of the second half
#endif
};

// The part that stored scale `index` and its zero point describe.
NibPart nibLoadPart(uint index) {
  return nibMakePart(nibLoadScale(push.scales_word + push.head.delta1, index),
                     nibLoadZero(push.zeros_word + push.head.delta1, index));
}

// Scale and zero point of column `col`, for all columns from there on that share its scale.
NibWeightRun nibBeginRun(uint row, uint col) {
  NibWeightRun r;
#ifdef NIB_BLOCK_COLS
  const uint group = uint(NIB_BLOCK_COLS);  // a constant avoids a division, which CPUs do lane by lane
#else
  uint group = push.group;
#endif
  uint index = row * push.scale_row_stride + col / group;
  r.part = nibLoadPart(index);
#if NIB_RUN_PARTS == 2
  r.second = nibLoadPart(index + 1u);
#endif
  return r;
}

// Where the codes of a row begin.
uint nibRowStart(uint row) {
  return row * push.row_words + push.head.delta0;
}

// Run `run` of the row that begins at word `start`.
void nibLoadRunAt(inout NibWeightRun r, uint start, uint run) {
  uint first = run * NIB_RUN_WORDS;
  uint at = start + first;
#if NIB_RUN_WORD_COUNT == 2
  if (FULL) {
    uvec2 words = codes2[at >> 1];
    r.word[0] = words.x;
    r.word[1] = words.y;
    return;
  }
#elif NIB_RUN_WORD_COUNT == 4
  if (FULL) {
    uvec4 words = codes4[at >> 2];
    r.word[0] = words.x;
    r.word[1] = words.y;
    r.word[2] = words.z;
    r.word[3] = words.w;
    return;
  }
#elif NIB_RUN_WORD_COUNT == 8
  if (FULL) {
    uvec4 low = codes4[at >> 2];
    uvec4 high = codes4[(at >> 2) + 1u];
    r.word[0] = low.x;
    r.word[1] = low.y;
    r.word[2] = low.z;
    r.word[3] = low.w;
    r.word[4] = high.x;
    r.word[5] = high.y;
    r.word[6] = high.z;
    r.word[7] = high.w;
    return;
  }
#endif
#define NIB_RUN_LOAD(w) r.word[w] = codes[FULL ? at + w : start + min(first + w, push.row_words - 1u)];
  NIB_EACH_WORD(NIB_RUN_LOAD)
}

void nibLoadRun(inout NibWeightRun r, uint row, uint run) {
  nibLoadRunAt(r, nibRowStart(row), run);
}

#if NIB_RUN_WORD_COUNT == 2
// Two neighbouring runs at a multiple of four words.
void nibLoadTwoRunsAt(inout NibWeightRun r, inout NibWeightRun next, uint start, uint run) {
  uvec4 words = codes4[(start >> 2) + (run >> 1)];
  r.word[0] = words.x;
  r.word[1] = words.y;
  next.word[0] = words.z;
  next.word[1] = words.w;
}
#endif

// Scales of four neighbouring columns.
NibDecoder nibColumnDecoder(uint col) {
  uvec4 index = min(col + uvec4(0u, 1u, 2u, 3u), uvec4(push.cols - 1u));
  uint base = push.scales_word + push.head.delta1;
  uvec4 scale = uvec4(nibLoadScale(base, index.x), nibLoadScale(base, index.y), nibLoadScale(base, index.z),
                      nibLoadScale(base, index.w));
  base = push.zeros_word + push.head.delta1;
  ivec4 zero = ivec4(nibLoadZero(base, index.x), nibLoadZero(base, index.y), nibLoadZero(base, index.z),
                     nibLoadZero(base, index.w));
  return nibMakeDecoder(scale, zero);
}

// The codes of columns col..col+3, in the low bits.
uint nibLoadQuadCodes(uint row, uint col) {
  uint bit = col * NIB_BITS;
  uint word = bit >> 5;
  uint shift = bit & 31u;
  uint at = row * push.row_words + push.head.delta0;
  uint low = codes[at + word] >> shift;
  if (shift + 4u * NIB_BITS <= 32u) return low;
  return low | codes[at + min(word + 1u, push.row_words - 1u)] << (32u - shift);
}

#if NIB_RUN_PARTS == 2
#define NIB_RUN_QUAD(r, q, col)                                                      \
  ((q) < uint(NIB_QUADS / 2) ? nibPart4(nibUnpack4(NIB_QUAD_OF(r.word, q)), r.part)  \
                             : nibPart4(nibUnpack4(NIB_QUAD_OF(r.word, q)), r.second))
#else
#define NIB_RUN_QUAD(r, q, col) nibPart4(nibUnpack4(NIB_QUAD_OF(r.word, q)), r.part)
#endif

#else

// Dense weights of type SCALE_TYPE: a run has 16 elements, which NIB_RUN_QUAD loads.
#define NIB_RUN 16
#define NIB_QUADS 4
#define NIB_EACH_QUAD(X) X(0u) X(1u) X(2u) X(3u)
struct NibPart {
  float scale;
};
struct NibWeightRun {
  uint start;  // word of the row
  NibPart part;
};

uint nibRowStart(uint row) {
  return row * push.row_words + push.head.delta0;
}

NibWeightRun nibBeginRun(uint row, uint col) {
  return NibWeightRun(nibRowStart(row), NibPart(1.0));
}

void nibLoadRun(inout NibWeightRun r, uint row, uint run) {
}

float nibDenseWeight(uint start, uint col) {
  if (SCALE_TYPE == NIB_F32) return uintBitsToFloat(codes[start + col]);
  uint half_word = (codes[start + (col >> 1)] >> ((col & 1u) * 16u)) & 0xffffu;
  return uintBitsToFloat(SCALE_TYPE == NIB_BF16 ? half_word << 16 : nibHalfToF32Bits(half_word));
}

// Columns beyond the last repeat it.
vec4 nibDenseQuad(uint start, uint col) {
  if (FULL) {
    if (SCALE_TYPE == NIB_F32) return uintBitsToFloat(codes4[(start + col) >> 2]);
    uvec2 words = codes2[(start + (col >> 1)) >> 1];
    return uintBitsToFloat(nibWidenWords(words, SCALE_TYPE == NIB_BF16));
  }
  uvec4 at = min(col + uvec4(0u, 1u, 2u, 3u), uvec4(push.cols - 1u));
  return vec4(nibDenseWeight(start, at.x), nibDenseWeight(start, at.y), nibDenseWeight(start, at.z),
              nibDenseWeight(start, at.w));
}
#define NIB_RUN_QUAD(r, q, col) nibDenseQuad(r.start, col)
#endif

#endif
