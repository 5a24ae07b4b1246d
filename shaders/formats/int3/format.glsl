// int3: -4..3 as offset binary (code + 4), a dense stream of 32 codes in three words, the first in the low bits.
#define NIB_BITS_PER_CODE 3
#define NIB_BITS 3u
#define NIB_TWOS_COMPLEMENT false
#define NIB_RUN 32
#include "formats/affine.glsl"
