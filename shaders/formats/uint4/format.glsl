// uint4: 0..15, typically asymmetric; symmetric codes are offset binary (code + 8). Eight codes to a word, the first in
// the low nibble.
#define NIB_BITS_PER_CODE 4
#define NIB_BITS 4u
#define NIB_TWOS_COMPLEMENT false
#define NIB_RUN 16
#include "formats/affine.glsl"
