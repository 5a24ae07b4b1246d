// A run is the NIB_RUN neighbouring elements that one invocation handles at a time: NIB_QUADS vectors of four, whose
// codes fill NIB_RUN_WORDS words. Code i starts at bit i * NIB_BITS of the run's LSB-first stream.
//
// NIB_EACH_QUAD and NIB_EACH_WORD repeat a macro instead of a loop: every array index is then a constant, and no
// compiler needs to unroll to keep a run in registers.
#ifndef NIB_MEMORY_CODES_GLSL
#define NIB_MEMORY_CODES_GLSL

#define NIB_QUAD(q) NIB_QUAD_OF(word, q)
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

// NIB_WORD(w) is word w of the packed quads p[0..NIB_QUADS-1]. NIB_QUAD_OF(word, q) has quad q of word[0..] in its low
// bits.
#if NIB_BITS_PER_CODE == 8
#define NIB_EACH_WORD(X) X(0u) X(1u) X(2u) X(3u)
#define NIB_WORD(w) p[w]
#define NIB_QUAD_OF(word, q) word[q]
#if NIB_RUN == 32
#undef NIB_EACH_WORD
#define NIB_EACH_WORD(X) X(0u) X(1u) X(2u) X(3u) X(4u) X(5u) X(6u) X(7u)
#endif
#elif NIB_BITS_PER_CODE == 4
#define NIB_EACH_WORD(X) X(0u) X(1u)
#define NIB_WORD(w) (p[2u * (w)] | (p[2u * (w) + 1u] << 16u))
#define NIB_QUAD_OF(word, q) (word[(q) / 2u] >> (((q) & 1u) * 16u))
#if NIB_RUN == 32
#undef NIB_EACH_WORD
#define NIB_EACH_WORD(X) X(0u) X(1u) X(2u) X(3u)
#endif
#elif NIB_BITS_PER_CODE == 2
#define NIB_EACH_WORD(X) X(0u)
#define NIB_WORD(w) ((p[0] | (p[1] << 8u)) | ((p[2] << 16u) | (p[3] << 24u)))
#define NIB_QUAD_OF(word, q) (word[0] >> ((q) * 8u))
#elif NIB_BITS_PER_CODE == 1
#define NIB_EACH_WORD(X) X(0u)
#define NIB_WORD(w)                                                                \
  (((p[0] | (p[1] << 4u)) | ((p[2] << 8u) | (p[3] << 12u))) |                      \
   (((p[4] << 16u) | (p[5] << 20u)) | ((p[6] << 24u) | (p[7] << 28u))))
#define NIB_QUAD_OF(word, q) (word[0] >> ((q) * 4u))
#elif NIB_BITS_PER_CODE == 3
// Quads of 12 bits; the third and the sixth cross a word boundary.
#define NIB_EACH_WORD(X) X(0u) X(1u) X(2u)
#define NIB_WORD(w)                                                                   \
  ((w) == 0u   ? (p[0] | (p[1] << 12u)) | (p[2] << 24u)                               \
   : (w) == 1u ? ((p[2] >> 8u) | (p[3] << 4u)) | ((p[4] << 16u) | (p[5] << 28u))      \
               : ((p[5] >> 4u) | (p[6] << 8u)) | (p[7] << 20u))
#define NIB_QUAD_OF(word, q)                                             \
  ((q) == 2u   ? (word[0] >> 24u) | (word[1] << 8u)             \
   : (q) == 5u ? (word[1] >> 28u) | (word[2] << 4u)             \
               : word[(q) * 12u / 32u] >> ((q) * 12u % 32u))
#elif NIB_BITS_PER_CODE == 5
// Quads of 20 bits.
#define NIB_EACH_WORD(X) X(0u) X(1u) X(2u) X(3u) X(4u)
#define NIB_WORD(w)                                                    \
  ((w) == 0u   ? p[0] | (p[1] << 20u)                                  \
   : (w) == 1u ? ((p[1] >> 12u) | (p[2] << 8u)) | (p[3] << 28u)        \
   : (w) == 2u ? (p[3] >> 4u) | (p[4] << 16u)                          \
   : (w) == 3u ? ((p[4] >> 16u) | (p[5] << 4u)) | (p[6] << 24u)        \
               : (p[6] >> 8u) | (p[7] << 12u))
#define NIB_QUAD_OF(word, q)                                             \
  ((q) == 1u   ? (word[0] >> 20u) | (word[1] << 12u)            \
   : (q) == 3u ? (word[1] >> 28u) | (word[2] << 4u)             \
   : (q) == 4u ? (word[2] >> 16u) | (word[3] << 16u)            \
   : (q) == 6u ? (word[3] >> 24u) | (word[4] << 8u)             \
               : word[(q) * 20u / 32u] >> ((q) * 20u % 32u))
#elif NIB_BITS_PER_CODE == 6
// Quads of 24 bits, in runs of 16.
#define NIB_EACH_WORD(X) X(0u) X(1u) X(2u)
#define NIB_WORD(w)                             \
  ((w) == 0u   ? p[0] | (p[1] << 24u)           \
   : (w) == 1u ? (p[1] >> 8u) | (p[2] << 16u)   \
               : (p[2] >> 16u) | (p[3] << 8u))
#define NIB_QUAD_OF(word, q)                                \
  ((q) == 0u   ? word[0]                           \
   : (q) == 1u ? (word[0] >> 24u) | (word[1] << 8u)   \
   : (q) == 2u ? (word[1] >> 16u) | (word[2] << 16u)  \
               : word[2] >> 8u)
#else
#error "NIB_BITS_PER_CODE: add how quads make words"
#endif

// NIB_QUAD_COUNTS: quad q of word[0..] as floats that count from the lowest code, or from 0 if the codes are signed
// bytes and NIB_SIGNED_BYTES says that the device converts those. Codes of 4 bits become bytes first, a whole word at a
// time: GPUs convert bytes, and two masks serve eight codes.
#ifndef NIB_SIGNED_BYTES
#define NIB_SIGNED_BYTES false
#endif
#if NIB_BITS_PER_CODE == 8
#define NIB_COUNTS_FROM_ZERO (NIB_SIGNED_BYTES && NIB_TWOS_COMPLEMENT)
#else
#define NIB_COUNTS_FROM_ZERO false
#endif

vec4 nibByteCounts(uint even, uint odd, uint shift) {
  return vec4((even >> shift) & 0xffu, (odd >> shift) & 0xffu, (even >> (shift + 8u)) & 0xffu,
              (odd >> (shift + 8u)) & 0xffu);
}

vec4 nibWordCounts(uint word) {
  if (NIB_COUNTS_FROM_ZERO) return vec4(ivec4(word << 24, word << 16, word << 8, word) >> 24);
  uint bytes = NIB_TWOS_COMPLEMENT ? word ^ 0x80808080u : word;
  return vec4(bytes & 0xffu, (bytes >> 8) & 0xffu, (bytes >> 16) & 0xffu, bytes >> 24);
}

vec4 nibPackedCounts(uint packed) {
  uvec4 c = uvec4(packed, packed >> NIB_BITS, packed >> (2u * NIB_BITS), packed >> (3u * NIB_BITS));
  return vec4(c & NIB_CODE_MASK);
}

#if NIB_BITS_PER_CODE == 8
#define NIB_QUAD_COUNTS(word, q) nibWordCounts(word[q])
#elif NIB_BITS_PER_CODE == 4
#define NIB_QUAD_COUNTS(word, q) \
  nibByteCounts(word[(q) / 2u] & 0x0f0f0f0fu, (word[(q) / 2u] >> 4) & 0x0f0f0f0fu, ((q) & 1u) * 16u)
#else
#define NIB_QUAD_COUNTS(word, q) nibPackedCounts(NIB_QUAD_OF(word, q))
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
// Scales of a run; each belongs to as many quads.
#ifndef NIB_RUN_PARTS
#define NIB_RUN_PARTS 1
#endif
#define NIB_RUN_WORD_COUNT (NIB_RUN * NIB_BITS_PER_CODE / 32)
#define NIB_RUN_WORDS uint(NIB_RUN_WORD_COUNT)

#ifdef NIB_FAULT
// A planted fault for tests of the tests: the top bit of the last word of every third run.
#define NIB_FAULTY(run, w) ((run) % 3u == 2u && (w) == NIB_RUN_WORDS - 1u ? 0x80000000u : 0u)
#else
#define NIB_FAULTY(run, w) 0u
#endif

#endif
