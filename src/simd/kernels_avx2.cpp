#define NIB_KERNELS_NAME avx2
#include "simd/kernels_body.inc"
