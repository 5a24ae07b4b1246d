// Q4_0 of ggml: (code - 8) * scale, per 32 elements; the scale is a half and may be negative. Eight codes to a word, in
// order (a byte of ggml's blocks holds elements j and j + 16; repack converts).
#define NIB_BITS_PER_CODE 4
#define NIB_BITS 4u
#define NIB_GGML_KIND 0  // NIB_GGML_SIGNED
#include "formats/ggml.glsl"
