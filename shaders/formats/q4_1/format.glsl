// Q4_1 of ggml: code * scale + minimum, both halves, per 32 elements. Eight codes to a word, in order.
#define NIB_BITS_PER_CODE 4
#define NIB_BITS 4u
#define NIB_GGML_KIND 1  // NIB_GGML_MINIMUM
#include "formats/ggml.glsl"
