// Q5_0 of ggml: (code - 16) * scale, per 32 elements; the scale is a half and may be negative. A dense stream of 32
// codes in five words, the first in the low bits.
#define NIB_BITS_PER_CODE 5
#define NIB_BITS 5u
#define NIB_GGML_KIND 0  // NIB_GGML_SIGNED
#include "formats/ggml.glsl"
