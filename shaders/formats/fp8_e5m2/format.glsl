// FP8 E5M2: bias 15, largest 57344, infinity 0x7c, NaN above. Four codes to a word.
#define NIB_MANTISSA_BITS 2u
#define NIB_BIAS 15u
#define NIB_LAST_CODE 0x7bu
#define NIB_LARGEST_BITS 0x47600000u
#define NIB_NAN_ABOVE 0x7cu
#define NIB_REACH 17u
#define NIB_PART_IS_HALF  // a code is the upper byte of a half
#include "formats/fp8.glsl"
