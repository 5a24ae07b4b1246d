// Packing a run's codes into its words. A run owns NIB_RUN_WORDS whole words; code i lies at bit i * NIB_BITS of their
// LSB-first stream.
#ifndef NIBBLE_COMMON_CODES_GLSL
#define NIBBLE_COMMON_CODES_GLSL

#define NIB_RUN_WORDS (uint(NIB_RUN) * NIB_BITS / 32u)

#ifdef NIB_FAULT
// A planted fault for tests of the tests: the top bit of the last word of every seventh run.
#define NIB_FAULTY(run, word) ((run) % 7u == 6u && (word) == NIB_RUN_WORDS - 1u ? 0x80000000u : 0u)
#else
#define NIB_FAULTY(run, word) 0u
#endif

void nibPutCode(inout uint words[NIB_RUN_WORDS], uint i, uint code) {
  uint bit = i * NIB_BITS;
  words[bit >> 5] |= code << (bit & 31u);
  if ((bit & 31u) + NIB_BITS > 32u) words[(bit >> 5) + 1u] |= code >> (32u - (bit & 31u));
}

uint nibGetCode(uint words[NIB_RUN_WORDS], uint i) {
  uint bit = i * NIB_BITS;
  uint code = words[bit >> 5] >> (bit & 31u);
  if ((bit & 31u) + NIB_BITS > 32u) code |= words[(bit >> 5) + 1u] << (32u - (bit & 31u));
  return code & ((1u << NIB_BITS) - 1u);
}

#endif
