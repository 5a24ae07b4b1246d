// uint8: 0..255, typically asymmetric; symmetric codes are offset binary (code + 128). Four codes to a word.
#define NIB_BITS_PER_CODE 8
#define NIB_BITS 8u
#define NIB_TWOS_COMPLEMENT false
#define NIB_RUN 16
#include "formats/affine.glsl"
