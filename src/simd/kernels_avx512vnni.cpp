#define NIB_KERNELS_NAME avx512vnni
#include "simd/kernels_body.inc"
