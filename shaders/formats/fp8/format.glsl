// FP8 E4M3FN: bias 7, largest 448, no infinity, NaN 0x7f. Four codes to a word.
#define NIB_MANTISSA_BITS 3u
#define NIB_BIAS 7u
#define NIB_LAST_CODE 0x7eu
#define NIB_LARGEST_BITS 0x43e00000u
#define NIB_NAN_ABOVE 0x7eu
#define NIB_REACH 10u
#include "formats/fp8.glsl"
