// The NF4 code table and the thresholds between neighbours, as fp32 bit patterns, read by GLSL and C++.
// Source: bitsandbytes' published table (QLoRA, arXiv 2305.14314: quantiles of a normal distribution with an exact 0);
// a threshold is the fp32 midpoint of its neighbours. A value on a threshold belongs to the lower code.
#ifndef NIB_FORMATS_NF4_TABLE_H
#define NIB_FORMATS_NF4_TABLE_H

#define NF4_V0 0xbf800000u
#define NF4_V1 0xbf3239b1u
#define NF4_V2 0xbf066b30u
#define NF4_V3 0xbeca32a0u
#define NF4_V4 0xbe91a24du
#define NF4_V5 0xbe3d353fu
#define NF4_V6 0xbdba7871u
#define NF4_V7 0x00000000u
#define NF4_V8 0x3da2faffu
#define NF4_V9 0x3e24cae3u
#define NF4_V10 0x3e7c04ddu
#define NF4_V11 0x3ead033au
#define NF4_V12 0x3ee1a4b8u
#define NF4_V13 0x3f1007abu
#define NF4_V14 0x3f3913b3u
#define NF4_V15 0x3f800000u

// A value above threshold i has at least code i + 1.
#define NF4_T0 0xbf591cd8u
#define NF4_T1 0xbf1c5270u
#define NF4_T2 0xbeeb8480u
#define NF4_T3 0xbeadea76u
#define NF4_T4 0xbe703cecu
#define NF4_T5 0xbe0d38bcu
#define NF4_T6 0xbd3a7871u
#define NF4_T7 0x3d22faffu
#define NF4_T8 0x3df64862u
#define NF4_T9 0x3e5067e0u
#define NF4_T10 0x3e9582d4u
#define NF4_T11 0x3ec753f9u
#define NF4_T12 0x3f006d04u
#define NF4_T13 0x3f248dafu
#define NF4_T14 0x3f5c89dau

#endif
