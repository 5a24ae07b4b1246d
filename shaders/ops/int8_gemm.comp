#version 450
// Products of int8 codes, from memory straight to registers: for devices where that is cheaper than shared memory, and
// for few tokens, whose weights no second invocation needs. A workgroup makes 4 * WG / LANES output channels of TOKENS
// tokens; a team of LANES invocations owns four of the channels. Reads a weights code (1 byte, or half a byte of 4-bit
// weights) once per TOKENS tokens and an input code (1 byte) once per four channels, writes every result (1 to 4 bytes)
// once. SMOOTH: GELU or SiLU in floats, with an error bound instead of exact bytes.
#extension GL_GOOGLE_include_directive : require
#ifdef DOT4
#extension GL_EXT_spirv_intrinsics : require
#endif
#include "ops/int8_gemm.h"
INT8_GEMM_SPEC(NIB_SPEC_CONSTANT)
#include "products/int8_registers.glsl"
