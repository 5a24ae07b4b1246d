// Values of four-bit codes from a table that the lanes of a subgroup hold. Where a subgroup is a CPU's vector, a lookup
// is one instruction instead of fifteen selections. All lanes must be active. Subgroups of less than eight use the
// selections.
#ifndef NIB_WORKGROUP_LANE_TABLE_GLSL
#define NIB_WORKGROUP_LANE_TABLE_GLSL

float nib_lane_low;   // of code `lane`, up to 15
float nib_lane_high;  // of code `lane + 8`, up to 15

// Call it before the first lookup.
void nibFillLanes() {
  ivec4 code = min(ivec4(gl_SubgroupInvocationID) + ivec4(0, 8, 0, 0), ivec4(15));
  vec4 value = nibPart4(code, nibMakePart(0u, 0));
  nib_lane_low = value.x;
  nib_lane_high = value.y;
}

float nibLookUp(uint code) {
  if (gl_SubgroupSize >= 16u) return subgroupShuffle(nib_lane_low, code);
  float low = subgroupShuffle(nib_lane_low, code & 7u);
  float high = subgroupShuffle(nib_lane_high, code & 7u);
  return code > 7u ? high : low;
}

vec4 nibLanePart4(ivec4 code, NibPart part) {
  if (gl_SubgroupSize < 8u) return nibPart4(code, part);
  return vec4(nibLookUp(uint(code.x)), nibLookUp(uint(code.y)), nibLookUp(uint(code.z)), nibLookUp(uint(code.w)));
}

#endif
