// The FP4 magnitudes by the low three bits of a code, and the thresholds between neighbours in ascending order, as fp32
// bit patterns, read by GLSL and C++. Source: bitsandbytes' kernels, twelfths of 0, 1/16, 8, 12, 4, 6, 2, 3; the
// thresholds are its decimals with few digits. A value on a threshold belongs to the lower magnitude.
#ifndef NIB_FORMATS_FP4_TABLE_H
#define NIB_FORMATS_FP4_TABLE_H

#define FP4_V0 0x00000000u
#define FP4_V1 0x3baaaaabu
#define FP4_V2 0x3f2aaaabu
#define FP4_V3 0x3f800000u
#define FP4_V4 0x3eaaaaabu
#define FP4_V5 0x3f000000u
#define FP4_V6 0x3e2aaaabu
#define FP4_V7 0x3e800000u

#define FP4_T0 0x3b2aaab9u  // 0.00260417
#define FP4_T1 0x3db00000u  // 0.0859375
#define FP4_T2 0x3e555555u  // 0.20833333
#define FP4_T3 0x3e955555u  // 0.29166667
#define FP4_T4 0x3ed55556u  // 0.4166667
#define FP4_T5 0x3f155550u  // 0.583333
#define FP4_T6 0x3f555555u  // 0.8333333

// Codes in ascending order of their magnitudes, 0, 1, 6, 7, 4, 5, 2, 3; three bits each, the smallest first.
#define FP4_ORDER 0x6acf88u

#endif
