#version 450
// Products of int8 codes with dense tokens in one dispatch: int8_gemm.comp, but every workgroup first quantizes its
// TOKENS tokens to codes in shared memory. The result has the same bytes as quantize followed by int8_gemm. It saves a
// dispatch and its barrier; in return every workgroup reads the tokens. A workgroup makes 4 * WG / LANES output
// channels of TOKENS tokens; a team of LANES invocations owns four of the channels. Reads a weights code (1 byte, or
// half a byte of 4-bit weights) once per TOKENS tokens, an input element (2 or 4 bytes) twice per 4 * WG / LANES
// channels, writes every result (1 to 4 bytes) once.
#extension GL_GOOGLE_include_directive : require
#ifdef DOT4
#extension GL_EXT_spirv_intrinsics : require
#endif
#include "ops/dynamic_gemm.h"
DYNAMIC_GEMM_SPEC(NIB_SPEC_CONSTANT)
#define NIB_STAGED
#include "products/int8_registers.glsl"
