#define NIB_KERNELS_NAME base
#include "simd/kernels_body.inc"
