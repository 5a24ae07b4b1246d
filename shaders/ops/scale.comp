#version 450
// Converts extents to scales and zero points, or given scales to the table that encode.comp reads for columns. A
// workgroup owns 4 * WG scales, an invocation four neighbouring ones, and so the words of their scales and zero points.
// Reads 16 bytes per extent (or a given scale and zero point), writes per scale 2 or 4 bytes, 1 byte if asymmetric, and
// 8 bytes of table if there is one.
#extension GL_GOOGLE_include_directive : require
#include "ops/scale.h"
SCALE_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { ScalePush push; };

#include "format.glsl"
#define NIB_PARAMS_BINDING 2
#define NIB_PARAMS_ACCESS
#include "memory/params.glsl"
#include "memory/shared_words.glsl"
layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };
#include "memory/status.glsl"

#ifdef NIB_FAULT
const uint kFault = 1u;
#else
const uint kFault = 0u;
#endif

void main() {
  // Items are scales, counted from the word that holds the run's first one; a row's scale may be words of its own.
  uint first_item = ((push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex) * 4u;
  bool alone = PER_ROW && push.scale_row_stride > 1u;
  uint lead = PER_ROW && !alone ? push.head.first_row % 4u : 0u;
  uint end_item = lead + (PER_ROW ? push.head.rows : push.count);
  bool last_rows = !PER_ROW || push.head.first_row + push.head.rows == push.blob_rows;
  if (first_item >= end_item) return;
  uint stored[4] = uint[4](0u, 0u, 0u, 0u);
  uint zeros[4] = uint[4](0u, 0u, 0u, 0u);
  for (uint i = 0u; i < 4u; ++i) {
    uint item = first_item + i;
    if (item < lead) continue;
    if (item >= end_item) break;
    uint scale = item - lead;  // of the run
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
      zeros[i] = nibZeroToStored(zero);
    }
    if (TABLE) {
      uint at = push.table_word + 2u * scale + push.head.delta3;
      aux[at] = nibReciprocal(bits) ^ kFault;
      aux[at + 1u] = uint(zero);
    }
  }
  if (GIVEN) return;
  const uint shift = SCALE_TYPE == NIB_F32 ? 0u : 1u;
  if (alone) {
    for (uint i = 0u; i < 4u && first_item + i < end_item; ++i) {
      uint index = (push.head.first_row + first_item + i) * push.scale_row_stride;
      params[push.scales_word + (index >> shift) + push.head.delta2] = stored[i];
      // Padding is 0.
      for (uint w = 1u; w < push.scale_row_stride >> shift; ++w) {
        params[push.scales_word + (index >> shift) + w + push.head.delta2] = 0u;
      }
      if ((FLAGS & NIB_ASYMMETRIC) != 0u) params[push.zeros_word + (index >> 2) + push.head.delta2] = zeros[i];
    }
    return;
  }
  uint first_index = (PER_ROW ? push.head.first_row : 0u) - lead + first_item;
  uint scale_word = 0u;
  uint scale_mask = 0u;
  uint zero_word = 0u;
  uint zero_mask = 0u;
  bool word_used = false;
  for (uint i = 0u; i < 4u; ++i) {
    uint item = first_item + i;
    uint at = SCALE_TYPE == NIB_F32 ? 0u : (i & 1u) * 16u;
    bool owned = nibOwnsItem(item, lead, end_item, last_rows);
    scale_word |= stored[i] << at;
    scale_mask |= owned ? (SCALE_TYPE == NIB_F32 ? ~0u : 0xffffu << at) : 0u;
    zero_word |= zeros[i] << (i * 8u);
    zero_mask |= owned ? 0xffu << (i * 8u) : 0u;
    word_used = word_used || (item >= lead && item < end_item);
    if (SCALE_TYPE != NIB_F32 && (i & 1u) == 0u) continue;
    if (word_used) {
      nibStoreShared(push.scales_word + ((first_index + i) >> shift) + push.head.delta2, scale_word, scale_mask);
    }
    scale_word = 0u;
    scale_mask = 0u;
    word_used = false;
  }
  if ((FLAGS & NIB_ASYMMETRIC) != 0u) {
    nibStoreShared(push.zeros_word + (first_index >> 2) + push.head.delta2, zero_word, zero_mask);
  }
}
