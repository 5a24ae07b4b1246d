// The values of all codes in shared memory, for formats whose nibPart4 depends on the code only (NIB_PART_VALUES
// codes): one load in the place of a decoder's selections or shifts. Codes that are bytes of halves (NIB_PART_IS_HALF)
// need no table where NIB_HALVES_KEPT.
#ifndef NIB_WORKGROUP_VALUE_TABLE_GLSL
#define NIB_WORKGROUP_VALUE_TABLE_GLSL

#if defined(NIB_PART_IS_HALF) && defined(NIB_HALVES_KEPT)
#define NIB_VALUES_MAY_BE_HALVES
const bool kNibValueTable = !NIB_HALVES_KEPT;
#else
const bool kNibValueTable = true;
#endif

shared float nib_value[NIB_PART_VALUES];

// Before the first lookup, in uniform control flow.
void nibFillValues() {
  if (!kNibValueTable) return;
  for (uint code = gl_LocalInvocationIndex; code < uint(NIB_PART_VALUES); code += WG) {
    nib_value[code] = nibPart4(ivec4(code), nibMakePart(0u, 0)).x;
  }
  barrier();
}

// The values of four codes in the low bits.
vec4 nibValues4(uint packed) {
#ifdef NIB_VALUES_MAY_BE_HALVES
  if (!kNibValueTable) {
    vec2 even = unpackHalf2x16((packed << 8) & 0xff00ff00u);
    vec2 odd = unpackHalf2x16(packed & 0xff00ff00u);
    return vec4(even.x, odd.x, even.y, odd.y);
  }
#endif
  return vec4(nib_value[packed & NIB_CODE_MASK], nib_value[(packed >> NIB_BITS) & NIB_CODE_MASK],
              nib_value[(packed >> (2u * NIB_BITS)) & NIB_CODE_MASK],
              nib_value[(packed >> (3u * NIB_BITS)) & NIB_CODE_MASK]);
}

#endif
