// Q3_K of ggml: (code - 4) * scale in groups of 16. A run of 32 codes in three words has two scales.
#define NIB_BITS_PER_CODE 3
#define NIB_BITS 3u
#define NIB_RUN 32
#define NIB_SUPER_BLOCKS 16
#define NIB_SUPER_OFFSET 32
#define NIB_RUN_PARTS 2
#define NIB_GGML_KIND 0  // NIB_GGML_SIGNED
#include "formats/super.glsl"
#include "formats/ggml_decode.glsl"
