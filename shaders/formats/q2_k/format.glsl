// Q2_K of ggml: code * scale + minimum in groups of 16. Sixteen codes to a word, in order.
#define NIB_BITS_PER_CODE 2
#define NIB_BITS 2u
#define NIB_RUN 16
#define NIB_SUPER_BLOCKS 16
#define NIB_SUPER_OFFSET 0
#define NIB_GGML_KIND 1  // NIB_GGML_MINIMUM
#include "formats/super.glsl"
#include "formats/ggml_decode.glsl"
