// int8: two's complement, -128..127, four codes to a word.
#define NIB_BITS_PER_CODE 8
#define NIB_BITS 8u
#define NIB_TWOS_COMPLEMENT true
#define NIB_RUN 16
#include "formats/affine.glsl"
