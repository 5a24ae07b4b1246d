// The extent of runs of dense elements, as nibFindScale takes it. Include memory/codes.glsl, memory/dense.glsl and
// workgroup/reduce.glsl first.
#ifndef NIB_WORKGROUP_RUN_EXTENT_GLSL
#define NIB_WORKGROUP_RUN_EXTENT_GLSL

#include "workgroup/extent.glsl"

// Accumulates a run: asymmetric, the keys of minimum and maximum; else the largest magnitude in `high`. Inf and NaN
// have magnitudes and keys beyond all finite ones, so the extremes show them.
void nibAccumulateRun(uvec4 x[NIB_QUADS], bool asymmetric, inout uvec4 low, inout uvec4 high) {
#define NIB_ACCUMULATE(q)                  \
  if (asymmetric) {                        \
    uvec4 key = nibKey4(x[q]);             \
    low = min(low, key);                   \
    high = max(high, key);                 \
  } else {                                 \
    high = max(high, x[q] & 0x7fffffffu);  \
  }
  NIB_EACH_QUAD(NIB_ACCUMULATE)
}

NibReduced nibExtentOf(uvec4 low, uvec4 high) {
  return NibReduced(min(min(low.x, low.y), min(low.z, low.w)), max(max(high.x, high.y), max(high.z, high.w)), 0u);
}

// fp32 bits of a group's extremes, 0 for the unused kind; all 0 if any element was not finite.
struct NibRunExtent {
  bool finite;
  uint min_bits, max_bits;  // asymmetric; the range includes 0
  uint absmax_bits;
};

NibRunExtent nibRunExtent(NibReduced extent, bool asymmetric) {
  NibRunExtent e;
  e.finite = asymmetric ? extent.high < (kNibInfinity | 0x80000000u) && extent.low > 0x7fffffffu - kNibInfinity
                        : extent.high < kNibInfinity;
  e.min_bits = asymmetric && e.finite ? nibUnkey(min(extent.low, 0x80000000u)) : 0u;
  e.max_bits = asymmetric && e.finite ? nibUnkey(max(extent.high, 0x80000000u)) : 0u;
  e.absmax_bits = !asymmetric && e.finite ? extent.high : 0u;
  return e;
}

#endif
