// The searches of ggml for the scale of a group of NIB_BLOCK_COLS columns: least squares over a grid of candidates. The
// including shader fills nib_x and nib_w. Numbers are prepared so that no sum is denormal: elements are divided by a
// power of two, so that the largest magnitude is from 1 to 2, and those below 2^-20 are 0; weights are from 2^-24 to
// 2^4. src/formats/group_search.h is the C++ counterpart.
#ifndef NIB_FORMATS_SEARCH_GLSL
#define NIB_FORMATS_SEARCH_GLSL

#include "numerics/exact.glsl"

#define NIB_GROUP_QUADS (NIB_BLOCK_COLS / 4)
#if NIB_GROUP_QUADS == 4
#define NIB_EACH_GROUP_QUAD(X) X(0u) X(1u) X(2u) X(3u)
#else
#define NIB_EACH_GROUP_QUAD(X) X(0u) X(1u) X(2u) X(3u) X(4u) X(5u) X(6u) X(7u)
#endif

const float kNibSmall = 9.5367431640625e-7;  // 2^-20

vec4 nib_x[NIB_GROUP_QUADS];  // elements
vec4 nib_w[NIB_GROUP_QUADS];  // weights

struct NibGroupFit {
  float scale;
  float minimum;  // at most 0
};

float nibAddFour(vec4 part) {
  precise float sum = (part.x + part.y) + (part.z + part.w);
  return sum;
}

float nibSumOfWeights() {
  precise vec4 sum = vec4(0.0);
#define NIB_ADD_WEIGHT(q) sum += nib_w[q];
  NIB_EACH_GROUP_QUAD(NIB_ADD_WEIGHT)
  return nibAddFour(sum);
}

float nibSumOfSquares() {
  precise vec4 sum = vec4(0.0);
#define NIB_ADD_SQUARE(q) sum += nib_x[q] * nib_x[q];
  NIB_EACH_GROUP_QUAD(NIB_ADD_SQUARE)
  return nibAddFour(sum);
}

// The one of two numbers that is farther from 0; the first if they are equally far.
float nibFartherOf(float a, float b) { return abs(b) > abs(a) ? b : a; }

float nibFarthestElement() {
  float far = 0.0;
#define NIB_FARTHER(q)                                                \
  far = nibFartherOf(far, nibFartherOf(nibFartherOf(nib_x[q].x, nib_x[q].y), nibFartherOf(nib_x[q].z, nib_x[q].w)));
  NIB_EACH_GROUP_QUAD(NIB_FARTHER)
  return far;
}

// The best of several scales by (sum of w x l)^2 / sum of w l^2.
struct NibBest {
  float xl;
  float l2;
  float rcp;
};

NibBest nibBetter(NibBest best, float xl, float l2, float rcp) {
  precise float mine = xl * xl * best.l2;
  precise float its = best.xl * best.xl * l2;
  if (l2 > 0.0 && (best.l2 == 0.0 || mine > its)) return NibBest(xl, l2, rcp);
  return best;
}

float nibScaleOf(NibBest best) { return best.l2 > 0.0 ? nibDiv(best.xl, best.l2) : 0.0; }

// Candidate k of a signed search, which begins with 0 and then walks from -9 to 9.
float nibSignedLevels(float reach, uint k) {
  precise float tenths = 0.1 * float(int(k) - (k <= 9u ? 10 : 9));
  precise float levels = reach + tenths;
  return k == 0u ? reach : levels;
}

vec4 nibNearestStep(vec4 y, float low, float high) { return roundEven(clamp(y, vec4(low), vec4(high))); }

#if defined(NIB_PART_IS_TABLE)
// The value of the nearest IQ4 code; between two, the higher. The codes are counts of thresholds that are reached.
#define NIB_IQ4_EACH(X)                                                                                     \
  X(IQ4_T0, 23.0) X(IQ4_T1, 21.0) X(IQ4_T2, 18.0) X(IQ4_T3, 16.0) X(IQ4_T4, 14.0) X(IQ4_T5, 13.0)             \
  X(IQ4_T6, 12.0) X(IQ4_T7, 11.0) X(IQ4_T8, 12.0) X(IQ4_T9, 12.0) X(IQ4_T10, 13.0) X(IQ4_T11, 15.0)           \
  X(IQ4_T12, 16.0) X(IQ4_T13, 20.0) X(IQ4_T14, 24.0)

vec4 nibNearestIq4Value4(vec4 y) {
  precise vec4 value = vec4(-127.0);
#define NIB_IQ4_STEP(t, step) value += mix(vec4(0.0), vec4(step), greaterThanEqual(y, vec4(uintBitsToFloat(t))));
  NIB_IQ4_EACH(NIB_IQ4_STEP)
  return value;
}

ivec4 nibNearestIq4Code4(vec4 y) {
  ivec4 code = ivec4(0);
#define NIB_IQ4_COUNT(t, step) code += ivec4(greaterThanEqual(y, vec4(uintBitsToFloat(t))));
  NIB_IQ4_EACH(NIB_IQ4_COUNT)
  return code;
}

NibGroupFit nibFitGroup(bool weighted) {
  float far = nibFarthestElement();
  if (far == 0.0) return NibGroupFit(0.0, 0.0);
  float inverse = nibDiv(1.0, far);
  NibBest best = NibBest(0.0, 0.0, 0.0);
  for (uint k = 0u; k < 16u; ++k) {
    // The first candidate lets the farthest element have the lowest value with its sign.
    precise float rcp = (k == 0u ? 127.0 : float(int(k) - 135)) * inverse;
    precise vec4 xl = vec4(0.0);
    precise vec4 l2 = vec4(0.0);
#define NIB_TRY_IQ4(q)                                        \
  {                                                           \
    precise vec4 y = nib_x[q] * rcp;                          \
    vec4 value = nibNearestIq4Value4(y);                      \
    precise vec4 weighted_value = nib_w[q] * value;           \
    xl += weighted_value * nib_x[q];                          \
    l2 += weighted_value * value;                             \
  }
    NIB_EACH_GROUP_QUAD(NIB_TRY_IQ4)
    best = nibBetter(best, nibAddFour(xl), nibAddFour(l2), rcp);
  }
  return NibGroupFit(nibScaleOf(best), 0.0);
}

#elif defined(NIB_MINIMUM)

vec4 nibRangeStep4(vec4 x, float low, float rcp) {
  precise vec4 y = (x - low) * rcp;
  return nibNearestStep(y, 0.0, float((1u << NIB_BITS) - 1u));
}

float nibRangeError(float low, float rcp, NibGroupFit fit, bool absolute) {
  precise vec4 error = vec4(0.0);
#define NIB_ADD_ERROR(q)                                                                         \
  {                                                                                              \
    vec4 l = nibRangeStep4(nib_x[q], low, rcp);                                                  \
    precise vec4 difference = (fit.scale * l + fit.minimum) - nib_x[q];                          \
    precise vec4 square = difference * difference;                                               \
    error += nib_w[q] * (absolute ? abs(difference) : square);                                   \
  }
  NIB_EACH_GROUP_QUAD(NIB_ADD_ERROR)
  return nibAddFour(error);
}

NibGroupFit nibFitGroup(bool weighted) {
  const float levels = float((1u << NIB_BITS) - 1u);
  float first = weighted ? -0.9 : NIB_BITS == 4u ? -1.0 : -0.5;
  float step = weighted ? 0.05 : 0.1;
  uint count = weighted ? 36u : NIB_BITS == 4u ? 20u : 15u;
  bool absolute = !weighted && NIB_BITS == 2u;

  vec4 low4 = nib_x[0];
  vec4 high4 = nib_x[0];
  precise vec4 w4 = vec4(0.0);
  precise vec4 x4 = vec4(0.0);
#define NIB_ADD_EXTENT(q)                  \
  low4 = min(low4, nib_x[q]);              \
  high4 = max(high4, nib_x[q]);            \
  w4 += nib_w[q];                          \
  x4 += nib_w[q] * nib_x[q];
  NIB_EACH_GROUP_QUAD(NIB_ADD_EXTENT)
  float low = min(0.0, min(min(low4.x, low4.y), min(low4.z, low4.w)));
  float high = max(max(high4.x, high4.y), max(high4.z, high4.w));
  if (!(high > low)) return NibGroupFit(0.0, low);
  float w = nibAddFour(w4);
  float x = nibAddFour(x4);
  precise float whole = high - low;
  NibGroupFit best = NibGroupFit(nibDiv(whole, levels), low);
  float best_error = nibRangeError(low, nibDiv(levels, whole), best, absolute);
  for (uint k = 0u; k <= count; ++k) {
    precise float range = high - best.minimum;
    if (range < kNibSmall) break;
    precise float reach = (first + step * float(k)) + levels;
    float rcp = nibDiv(reach, range);
    precise vec4 l4 = vec4(0.0);
    precise vec4 l24 = vec4(0.0);
    precise vec4 xl4 = vec4(0.0);
#define NIB_TRY_RANGE(q)                                          \
  {                                                               \
    vec4 l = nibRangeStep4(nib_x[q], best.minimum, rcp);          \
    precise vec4 weighted_step = nib_w[q] * l;                    \
    l4 += weighted_step;                                          \
    l24 += weighted_step * l;                                     \
    xl4 += weighted_step * nib_x[q];                              \
  }
    NIB_EACH_GROUP_QUAD(NIB_TRY_RANGE)
    float l = nibAddFour(l4);
    float l2 = nibAddFour(l24);
    float xl = nibAddFour(xl4);
    precise float product = w * l2;
    precise float determinant = product - l * l;
    precise float least = product * kNibSmall;
    if (!(determinant > least)) continue;
    float inverse = nibDiv(1.0, determinant);
    precise float scale = (w * xl - x * l) * inverse;
    precise float minimum = (l2 * x - l * xl) * inverse;
    NibGroupFit fit = NibGroupFit(scale, minimum);
    if (fit.minimum > 0.0) fit.scale = nibDiv(xl, l2);
    if (fit.minimum > -kNibSmall) fit.minimum = 0.0;
    float error = nibRangeError(best.minimum, rcp, fit, absolute);
    if (error < best_error) {
      best = fit;
      best_error = error;
    }
  }
  return best;
}

#else

NibGroupFit nibFitGroup(bool weighted) {
  const float reach = float(1u << (NIB_BITS - 1u));
  float far = nibFarthestElement();
  if (far == 0.0) return NibGroupFit(0.0, 0.0);
  float inverse = nibDiv(-1.0, far);
  NibBest best = NibBest(0.0, 0.0, 0.0);
  for (uint k = 0u; k < 19u; ++k) {
    precise float rcp = nibSignedLevels(reach, k) * inverse;
    precise vec4 xl = vec4(0.0);
    precise vec4 l2 = vec4(0.0);
#define NIB_TRY_SIGNED(q)                                     \
  {                                                           \
    precise vec4 y = nib_x[q] * rcp;                          \
    vec4 l = nibNearestStep(y, -reach, reach - 1.0);          \
    precise vec4 weighted_step = nib_w[q] * l;                \
    xl += weighted_step * nib_x[q];                           \
    l2 += weighted_step * l;                                  \
  }
    NIB_EACH_GROUP_QUAD(NIB_TRY_SIGNED)
    best = nibBetter(best, nibAddFour(xl), nibAddFour(l2), rcp);
  }
  return NibGroupFit(nibScaleOf(best), 0.0);
}
#endif

// bits with `by` added to the exponent; 0 if the exponent field is then below `least`, which is at least 1.
uint nibMovedExponent(uint bits, int by, int least) {
  int field = int((bits >> 23) & 0xffu);
  return field == 0 || field + by < least ? 0u : bits + (uint(by) << 23);
}

uvec4 nibMovedExponent4(uvec4 bits, int by, int least) {
  ivec4 field = ivec4((bits >> 23) & 0xffu);
  bvec4 none = bvec4(uvec4(equal(field, ivec4(0))) | uvec4(lessThan(field + by, ivec4(least))));
  return mix(bits + (uint(by) << 23), uvec4(0u), none);
}

// The half of a number that is divided by 2^(exponent - 127). Numbers that do not fit become the largest half and are
// added to `saturated`.
uint nibHalfOfDivided(float number, int exponent, inout uint saturated) {
  uint bits = floatBitsToUint(number);
  uint magnitude = bits & 0x7fffffffu;
  bool beyond = int(magnitude >> 23) + exponent - 127 >= 255;
  magnitude = beyond ? 0x7f7fffffu : nibMovedExponent(magnitude, exponent - 127, 1);
  if (magnitude >= 0x477ff000u) ++saturated;
  uint h = nibF32ToHalfSatBits(magnitude);
  return h == 0u ? 0u : h | ((bits & 0x80000000u) >> 16);
}

// The weights of four importances relative to the largest one of their super-block. Numbers that are negative or not
// finite count as 0, and all below 2^-20 of the largest as that. If all are 0, all weights are 1.
uint nibImportanceBits(uint bits) { return bits - 0x00800000u < 0x7f000000u ? bits : 0u; }
uvec4 nibImportanceBits4(uvec4 bits) {
  return mix(uvec4(0u), bits, lessThan(bits - 0x00800000u, uvec4(0x7f000000u)));
}
vec4 nibImportanceWeight4(uvec4 bits, uint largest) {
  uvec4 moved = nibMovedExponent4(nibImportanceBits4(bits), 127 - int(largest >> 23), 107);
  return largest == 0u ? vec4(1.0) : uintBitsToFloat(max(moved, uvec4(0x35800000u)));
}

vec4 nibSqrt4(vec4 x) { return vec4(nibSqrt(x.x), nibSqrt(x.y), nibSqrt(x.z), nibSqrt(x.w)); }

#endif
