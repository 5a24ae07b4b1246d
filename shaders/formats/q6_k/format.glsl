// Q6_K of ggml: (code - 32) * scale in groups of 16, whose codes fill three words.
#define NIB_BITS_PER_CODE 6
#define NIB_BITS 6u
#define NIB_RUN 16
#define NIB_SUPER_BLOCKS 16
#define NIB_SUPER_SIGNED
#define NIB_GGML_KIND 0  // NIB_GGML_SIGNED
#include "formats/super.glsl"
#include "formats/ggml_decode.glsl"
