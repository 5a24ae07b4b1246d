#version 450
// Extents to scales and zero points, or given scales to the table that encode.comp reads for columns. A workgroup owns
// 4 * WG scales, an invocation four neighbouring ones, and so the words of their scales and zero points. Reads 16 bytes
// per extent (or a given scale and zero point), writes per scale 2 or 4 bytes, 1 byte if asymmetric, and 8 bytes of
// table if there is one.
#extension GL_GOOGLE_include_directive : require
#include "ops/scale.h"
SCALE_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { ScalePush push; };

#include "format.glsl"
#define NIB_PARAMS_BINDING 2
#define NIB_PARAMS_ACCESS
#include "memory/params.glsl"
layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };
#include "memory/status.glsl"

#ifdef NIB_FAULT
const uint kFault = 1u;
#else
const uint kFault = 0u;
#endif

void main() {
  uint index = ((push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex) * 4u;
  uint count = PER_ROW ? push.head.rows : push.count;
  if (index >= count) return;
  uint stored[4] = uint[4](0u, 0u, 0u, 0u);
  uint zero_word = 0u;
  for (uint i = 0u; i < 4u; ++i) {
    uint scale = index + i;
    if (scale >= count) break;
    uint bits;
    int zero;
    if (GIVEN) {
      bits = nibLoadScale(push.scales_word + push.head.delta2, scale);
      zero = nibLoadZero(push.zeros_word + push.head.delta2, scale);
    } else {
      uint at = push.extent_word + 4u * scale + push.head.delta3;
      bool finite = aux[at + 3u] == 0u;
      NibFound found = nibFindScale(finite ? aux[at] : 0u, finite ? aux[at + 1u] : 0u, finite ? aux[at + 2u] : 0u,
                                    FLAGS, SCALE_TYPE);
      if (STATUS && found.saturated) nibCountSaturated();
      bits = found.bits;
      zero = found.zero;
      stored[i] = found.stored ^ kFault;
      zero_word |= nibZeroToStored(zero) << (i * 8u);
    }
    if (TABLE) {
      uint at = push.table_word + 2u * scale + push.head.delta3;
      aux[at] = nibReciprocal(bits) ^ kFault;
      aux[at + 1u] = uint(zero);
    }
  }
  if (GIVEN) return;
  if (SCALE_TYPE == NIB_F32) {
    for (uint i = 0u; i < 4u && index + i < count; ++i) params[push.scales_word + index + i + push.head.delta2] = stored[i];
  } else {
    uint at = push.scales_word + (index >> 1) + push.head.delta2;
    params[at] = stored[0] | (stored[1] << 16);
    if (index + 2u < count) params[at + 1u] = stored[2] | (stored[3] << 16);
  }
  if ((FLAGS & NIB_ASYMMETRIC) != 0u) params[push.zeros_word + (index >> 2) + push.head.delta2] = zero_word;
}
