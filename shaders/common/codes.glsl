// A run: the NIB_RUN neighbouring elements that one invocation handles at a time, as NIB_QUADS vectors of four, and the
// NIB_RUN_WORDS words of their codes. Code i lies at bit i * NIB_BITS of the run's LSB-first stream.
//
// Runs are written out with NIB_EACH_QUAD and NIB_EACH_WORD instead of loops: every array index is then a constant, and
// no compiler needs to unroll to keep a run in registers.
#ifndef NIBBLE_COMMON_CODES_GLSL
#define NIBBLE_COMMON_CODES_GLSL

#define NIB_CODE_MASK ((1u << NIB_BITS) - 1u)

// Four codes to 4 * NIB_BITS bits.
uint nibPack4(ivec4 code) {
  uvec4 c = uvec4(code);
  if (NIB_TWOS_COMPLEMENT) c &= NIB_CODE_MASK;
  return (c.x | (c.y << NIB_BITS)) | ((c.z << (2u * NIB_BITS)) | (c.w << (3u * NIB_BITS)));
}

// Four codes from the low bits of a word, sign-extended where the format is two's complement.
ivec4 nibUnpack4(uint packed) {
  uvec4 c = uvec4(packed, packed >> NIB_BITS, packed >> (2u * NIB_BITS), packed >> (3u * NIB_BITS));
  if (NIB_TWOS_COMPLEMENT) return ivec4(c << (32u - NIB_BITS)) >> (32u - NIB_BITS);
  return ivec4(c & NIB_CODE_MASK);
}

// p[q] is quad q packed; NIB_WORD(w) the word w they make. word[w] is a word; NIB_QUAD(q) has quad q in its low bits.
#if NIB_BITS_PER_CODE == 8
#define NIB_EACH_WORD(X) X(0u) X(1u) X(2u) X(3u)
#define NIB_WORD(w) p[w]
#define NIB_QUAD(q) word[q]
#elif NIB_BITS_PER_CODE == 4
#define NIB_EACH_WORD(X) X(0u) X(1u)
#define NIB_WORD(w) (p[2u * (w)] | (p[2u * (w) + 1u] << 16u))
#define NIB_QUAD(q) (word[(q) / 2u] >> (((q) & 1u) * 16u))
#else
#error "NIB_BITS_PER_CODE: add how quads make words"
#endif

#if NIB_RUN == 16
#define NIB_EACH_QUAD(X) X(0u) X(1u) X(2u) X(3u)
#define NIB_EACH_PAIR(X) X(0u, 1u) X(2u, 3u)
#elif NIB_RUN == 32
#define NIB_EACH_QUAD(X) X(0u) X(1u) X(2u) X(3u) X(4u) X(5u) X(6u) X(7u)
#define NIB_EACH_PAIR(X) X(0u, 1u) X(2u, 3u) X(4u, 5u) X(6u, 7u)
#else
#error "NIB_RUN must be 16 or 32"
#endif
#define NIB_QUADS (NIB_RUN / 4)
#define NIB_RUN_WORDS (uint(NIB_RUN) * NIB_BITS / 32u)

#ifdef NIB_FAULT
// A planted fault for tests of the tests: the top bit of the last word of every seventh run.
#define NIB_FAULTY(run, w) ((run) % 7u == 6u && (w) == NIB_RUN_WORDS - 1u ? 0x80000000u : 0u)
#else
#define NIB_FAULTY(run, w) 0u
#endif

#endif
