// int2: -2..1 as offset binary (code + 2), sixteen codes to a word, the first in the low bits.
#define NIB_BITS_PER_CODE 2
#define NIB_BITS 2u
#define NIB_TWOS_COMPLEMENT false
#define NIB_RUN 16
#include "formats/affine.glsl"
