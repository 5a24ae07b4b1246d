// One planted fault for each PLANT, so that the check of SPIR-V modules is itself checked. 0 has none. One invocation
// reads and writes one element.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PLANT_NONE 0
#define PLANT_DIVIDE 1
#define PLANT_CONTRACTION 2
#define PLANT_CALL 3
#define PLANT_SQRT 4
#define PLANT_PACK 5
#define PLANT_ROUND 6
#define PLANT_HALF 7
#define PLANT_DOT 8
#define PLANT_BINDING 9
#define PLANT_SET 10
#define PLANT_UNIFORM 11
#define PLANT_PUSH 12
#define PLANT_DEFAULT 13
#define PLANT_TYPE 14
#define PLANT_UNKNOWN_ID 15
#define PLANT_SUBGROUP 16
#define PLANT_FMA 17
#define PLANT_ATOMIC 18
#define PLANT_EXP 19
#define PLANT_POW 20
#define PLANT_TANH 21
#define PLANT_COS 22
#if PLANT == PLANT_HALF
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#endif
#if PLANT == PLANT_SUBGROUP
#extension GL_KHR_shader_subgroup_vote : require
#endif
#if PLANT == PLANT_ATOMIC
#extension GL_EXT_shader_atomic_float : require
#endif
#include "planted.h"

layout(constant_id = 0) const uint WG = 128u;
layout(constant_id = 2) const bool NEGATE = true;
#if PLANT == PLANT_DEFAULT
layout(constant_id = 1) const uint STEPS = 5u;
#elif PLANT == PLANT_TYPE
layout(constant_id = 1) const int STEPS = 4;
#elif PLANT == PLANT_UNKNOWN_ID
layout(constant_id = 30) const uint STEPS = 4u;
#else
layout(constant_id = 1) const uint STEPS = 4u;
#endif
#if PLANT == PLANT_PUSH
layout(push_constant, std430) uniform Push {
  PlantedPush push;
  uint more;
};
#else
layout(push_constant, std430) uniform Push { PlantedPush push; };
#endif

#if PLANT == PLANT_SET
layout(set = 1, binding = 1, std430) readonly buffer Input { float x[]; };
#elif PLANT == PLANT_BINDING
layout(set = 0, binding = 4, std430) readonly buffer Input { float x[]; };
#elif PLANT == PLANT_UNIFORM
layout(set = 0, binding = 1, std140) uniform Input { float x[4]; };
#else
layout(set = 0, binding = 1, std430) readonly buffer Input { float x[]; };
#endif
layout(set = 0, binding = 3, std430) buffer Output { float y[]; };

float called(float a, float b) { return a * b + 1.0; }

void main() {
  uint i = gl_GlobalInvocationID.x;
  if (i >= push.count * uint(STEPS) * WG) return;
  float a = x[i];
  float b = x[i + 1u];
  precise float sum = a * b + 1.0;
#if PLANT == PLANT_DIVIDE
  precise float result = a / b;
#elif PLANT == PLANT_CONTRACTION
  float result = a * b + 1.0;
#elif PLANT == PLANT_CALL
  // precise does not reach into a function.
  precise float result = called(a, b);
#elif PLANT == PLANT_SQRT
  precise float result = sqrt(a);
#elif PLANT == PLANT_EXP
  precise float result = exp(a);
#elif PLANT == PLANT_POW
  precise float result = pow(a, b);
#elif PLANT == PLANT_TANH
  precise float result = tanh(a);
#elif PLANT == PLANT_COS
  precise float result = cos(a);
#elif PLANT == PLANT_PACK
  precise float result = uintBitsToFloat(packHalf2x16(vec2(a, b)));
#elif PLANT == PLANT_ROUND
  precise float result = round(a);
#elif PLANT == PLANT_FMA
  precise float result = fma(a, b, 1.0);
#elif PLANT == PLANT_HALF
  precise float result = float(float16_t(a));
#elif PLANT == PLANT_DOT
  precise float result = dot(vec2(a, b), vec2(b, a));
#elif PLANT == PLANT_SUBGROUP
  precise float result = subgroupAny(a > b) ? a : b;
#elif PLANT == PLANT_ATOMIC
  precise float result = atomicAdd(y[0], a);
#else
  precise float result = roundEven(clamp(sum, a, b));
#endif
#if PLANT == PLANT_PUSH
  result = more == 1u ? sum : result;
#endif
  y[i] = NEGATE ? -result : result;
}
