// Compares the numbers that shaders repeat with the enums of nibble.h.
#include "ops/shader_constants.h"

static_assert(NIB_F32 == NIB_TYPE_F32);
static_assert(NIB_F16 == NIB_TYPE_F16);
static_assert(NIB_BF16 == NIB_TYPE_BF16);
static_assert(NIB_E8M0 == NIB_TYPE_E8M0);
static_assert(NIB_BYTE == NIB_TYPE_BYTE);
static_assert(NIB_NESTED > NIB_TYPE_BYTE, "SCALE_TYPE must tell NESTED from every NibType");

static_assert(NIB_ASYMMETRIC == NIB_WEIGHTS_ASYMMETRIC);
static_assert(NIB_NARROW == NIB_WEIGHTS_NARROW);
static_assert(NIB_FOUR_BITS == NIB_WEIGHTS_FOUR_BITS);
static_assert(NIB_SCALE_RULE == NIB_WEIGHTS_SCALE_RULE);
static_assert(NIB_SCALE_CEIL == NIB_WEIGHTS_SCALE_CEIL);
static_assert(NIB_SCALE_EVEN == NIB_WEIGHTS_SCALE_EVEN);
static_assert(NIB_SCALE_RCEIL == NIB_WEIGHTS_SCALE_RCEIL);
static_assert(NIB_WEIGHTS_SCALE_FLOOR == 0, "shaders take FLOOR for what is left");

static_assert(NIB_ACTIVATION_NONE == 0, "shaders compare ACTIVATION with 0");
static_assert(NIB_RELU == NIB_ACTIVATION_RELU);
static_assert(NIB_RELU6 == NIB_ACTIVATION_RELU6);
static_assert(NIB_GELU == NIB_ACTIVATION_GELU);
static_assert(NIB_GELU_TANH == NIB_ACTIVATION_GELU_TANH);
static_assert(NIB_SILU == NIB_ACTIVATION_SILU);
static_assert(NIB_GELU > NIB_RELU6 && NIB_GELU_TANH > NIB_GELU && NIB_SILU > NIB_GELU,
              "int8_epilogue.glsl takes GELU and everything after it for smooth");

static_assert(NIB_KIND_ADD == NIB_ELEMENTWISE_ADD);
static_assert(NIB_KIND_SCALE == NIB_ELEMENTWISE_SCALE);
static_assert(NIB_KIND_CAP == NIB_ELEMENTWISE_CAP);

static_assert(NIB_MIX_ALL == NIB_MIX_SOFTMAX_ALL);
static_assert(NIB_MIX_CHOSEN == NIB_MIX_SOFTMAX_CHOSEN);
static_assert(NIB_MIX_SIGN == NIB_MIX_SIGMOID);

static_assert(NIB_RESULT_I32 == NIB_INT8_RESULT_I32);
static_assert(NIB_RESULT_I8 == NIB_INT8_RESULT_I8);
static_assert(NIB_RESULT_U8 == NIB_INT8_RESULT_U8);
