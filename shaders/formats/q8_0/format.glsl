// Q8_0 of ggml: code * scale, a half, per 32 elements. Four codes to a word, two's complement.
#define NIB_BITS_PER_CODE 8
#define NIB_BITS 8u
#define NIB_GGML_KIND 2  // NIB_GGML_ABSMAX
#include "formats/ggml.glsl"
