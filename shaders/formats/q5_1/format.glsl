// Q5_1 of ggml: code * scale + minimum, both halves, per 32 elements. A dense stream of 32 codes in five words, the
// first in the low bits.
#define NIB_BITS_PER_CODE 5
#define NIB_BITS 5u
#define NIB_GGML_KIND 1  // NIB_GGML_MINIMUM
#include "formats/ggml.glsl"
