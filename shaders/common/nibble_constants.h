// Numbers of nibble.h that kernels take as specialization constants. GLSL cannot include nibble.h, so they are repeated
// here; src/ops/shader_constants.cpp compares each one with its enum.
#ifndef NIB_COMMON_NIBBLE_CONSTANTS_H
#define NIB_COMMON_NIBBLE_CONSTANTS_H

// NibType
#define NIB_F32 0u
#define NIB_F16 1u
#define NIB_BF16 2u
#define NIB_E8M0 3u
#define NIB_BYTE 4u
// Only of kernels' SCALE_TYPE, not a NibType: a scale is a byte of double quantization.
#define NIB_NESTED 5u

// NibWeights.flags
#define NIB_ASYMMETRIC 1u
#define NIB_NARROW 2u
#define NIB_FOUR_BITS 32u
#define NIB_SCALE_RULE (3u << 8)
#define NIB_SCALE_CEIL (1u << 8)
#define NIB_SCALE_EVEN (2u << 8)
#define NIB_SCALE_RCEIL (3u << 8)

// NibActivation
#define NIB_RELU 1u
#define NIB_RELU6 2u
#define NIB_GELU 3u
#define NIB_GELU_TANH 4u
#define NIB_SILU 5u

// NibElementwiseKind
#define NIB_KIND_ADD 0u
#define NIB_KIND_SCALE 2u
#define NIB_KIND_CAP 4u

// NibMixWeighting
#define NIB_MIX_ALL 0u
#define NIB_MIX_CHOSEN 1u
#define NIB_MIX_SIGN 2u

// NibInt8Result
#define NIB_RESULT_I32 8u
#define NIB_RESULT_I8 9u
#define NIB_RESULT_U8 10u

#endif
