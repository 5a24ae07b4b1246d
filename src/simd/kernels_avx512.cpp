#define NIB_KERNELS_NAME avx512
#include "simd/kernels_body.inc"
