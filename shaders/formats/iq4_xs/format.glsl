// IQ4_XS of ggml: IQ4 codes times a scale in groups of 32. Eight codes to a word, in order.
#define NIB_SUPER_BLOCKS 8
#define NIB_SUPER_OFFSET 32
#include "formats/super.glsl"
#include "formats/iq4_decode.glsl"
