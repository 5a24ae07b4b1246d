// A table of eight values as a tree of selections: a table in memory costs more on devices without indexed constants.
#ifndef NIB_FORMATS_SELECT_GLSL
#define NIB_FORMATS_SELECT_GLSL

#define NIB_EITHER(a, b, c) mix(uvec4(a), uvec4(b), c)

// The value v0..v7 that the low three bits of each code name.
uvec4 nibSelect4(ivec4 code, uint v0, uint v1, uint v2, uint v3, uint v4, uint v5, uint v6, uint v7) {
  bvec4 c0 = notEqual(code & 1, ivec4(0));
  bvec4 c1 = notEqual(code & 2, ivec4(0));
  bvec4 c2 = notEqual(code & 4, ivec4(0));
  uvec4 low = mix(NIB_EITHER(v0, v1, c0), NIB_EITHER(v2, v3, c0), c1);
  uvec4 high = mix(NIB_EITHER(v4, v5, c0), NIB_EITHER(v6, v7, c0), c1);
  return mix(low, high, c2);
}

#endif
