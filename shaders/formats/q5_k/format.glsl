// Q5_K of ggml: code * scale + minimum in groups of 32, whose codes fill five words.
#define NIB_BITS_PER_CODE 5
#define NIB_BITS 5u
#define NIB_RUN 32
#define NIB_SUPER_BLOCKS 8
#define NIB_SUPER_OFFSET 0
#define NIB_GGML_KIND 1  // NIB_GGML_MINIMUM
#include "formats/super.glsl"
#include "formats/ggml_decode.glsl"
