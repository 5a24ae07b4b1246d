// The values of ggml's IQ4 codes and the thresholds between neighbours, as fp32 bit patterns, read by GLSL and C++.
// A threshold is the midpoint of its neighbours; a value on a threshold belongs to the higher code.
#ifndef NIB_FORMATS_IQ4_TABLE_H
#define NIB_FORMATS_IQ4_TABLE_H

#define IQ4_V0 0xc2fe0000u  // -127
#define IQ4_V1 0xc2d00000u  // -104
#define IQ4_V2 0xc2a60000u  // -83
#define IQ4_V3 0xc2820000u  // -65
#define IQ4_V4 0xc2440000u  // -49
#define IQ4_V5 0xc20c0000u  // -35
#define IQ4_V6 0xc1b00000u  // -22
#define IQ4_V7 0xc1200000u  // -10
#define IQ4_V8 0x3f800000u  // 1
#define IQ4_V9 0x41500000u  // 13
#define IQ4_V10 0x41c80000u  // 25
#define IQ4_V11 0x42180000u  // 38
#define IQ4_V12 0x42540000u  // 53
#define IQ4_V13 0x428a0000u  // 69
#define IQ4_V14 0x42b20000u  // 89
#define IQ4_V15 0x42e20000u  // 113

#define IQ4_T0 0xc2e70000u  // -115.5
#define IQ4_T1 0xc2bb0000u  // -93.5
#define IQ4_T2 0xc2940000u  // -74
#define IQ4_T3 0xc2640000u  // -57
#define IQ4_T4 0xc2280000u  // -42
#define IQ4_T5 0xc1e40000u  // -28.5
#define IQ4_T6 0xc1800000u  // -16
#define IQ4_T7 0xc0900000u  // -4.5
#define IQ4_T8 0x40e00000u  // 7
#define IQ4_T9 0x41980000u  // 19
#define IQ4_T10 0x41fc0000u  // 31.5
#define IQ4_T11 0x42360000u  // 45.5
#define IQ4_T12 0x42740000u  // 61
#define IQ4_T13 0x429e0000u  // 79
#define IQ4_T14 0x42ca0000u  // 101

#endif
