#version 450
// Quantizes super-blocks of 256 columns, in one dispatch. An invocation owns a group: it searches its scale, and later
// encodes it. The invocations of a super-block exchange in shared memory what the steps of all scales need; its first
// one finds the steps of the scales, the second those of the minima. Reads every element (2 or 4 bytes) twice and with
// IMPORTANCE 4 bytes per element, writes NIB_BITS bits per element, 1 or 2 bytes per group and 4 per super-block.
#extension GL_GOOGLE_include_directive : require
#include "ops/quantize_super.h"
QUANTIZE_SUPER_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { QuantizeSuperPush push; };

#include "format.glsl"
#include "formats/search.glsl"
#include "memory/codes.glsl"
#define NIB_DENSE_SOURCE
#include "memory/dense.glsl"
layout(set = 0, binding = 0, std430) writeonly buffer Codes { uint codes[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Params { uint params[]; };
layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };
#include "memory/status.glsl"

const uint kLanes = uint(NIB_SUPER_BLOCKS);
const uint kCols = uint(NIB_BLOCK_COLS);
#ifdef NIB_SUPER_SIGNED
const int kOffset = 0;
#else
const int kOffset = NIB_SUPER_OFFSET;
#endif

// By invocation. Exponents and largest importances first, then scales and minima, at last codes that share words.
shared uint first_value[WG];
shared uint second_value[WG];
shared float sum_of[WG];  // sums of squares, then of weights
shared uint scale_byte[WG];
shared uint zero_byte[WG];
shared uint half_of[WG];  // d and dmin, by the first two invocations of a super-block

uvec4 source_bits[NIB_GROUP_QUADS];

// Loads a group. Columns beyond the row are zeros.
void loadGroup(uint row_start, uint col) {
#define NIB_LOAD_PAIR(a, b) \
  nibLoadPair(row_start, col + 4u * a, push.cols, push.head.delta1, source_bits[a], source_bits[b]);
#if NIB_GROUP_QUADS == 4
  NIB_LOAD_PAIR(0u, 1u) NIB_LOAD_PAIR(2u, 3u)
#else
  NIB_LOAD_PAIR(0u, 1u) NIB_LOAD_PAIR(2u, 3u) NIB_LOAD_PAIR(4u, 5u) NIB_LOAD_PAIR(6u, 7u)
#endif
#define NIB_INSIDE(q) if (!FULL) source_bits[q] &= nibInside(col + 4u * q, push.cols);
  NIB_EACH_GROUP_QUAD(NIB_INSIDE)
}

uint mostOf(uvec4 x) { return max(max(x.x, x.y), max(x.z, x.w)); }

uvec4 importanceBits4(uint col) {
  uint at = push.importance_word + push.head.delta3;
  uvec4 index = min(col + uvec4(0u, 1u, 2u, 3u), uvec4(push.cols - 1u));
  uvec4 bits = uvec4(aux[at + index.x], aux[at + index.y], aux[at + index.z], aux[at + index.w]);
  return nibImportanceBits4(bits) & nibInside(col, push.cols);
}

// Fills nib_w. exponent: of the group's elements. square: the mean square of the super-block, whose elements have the
// exponent `most`.
void weigh(uint col, bool live, int exponent, int most, float square, uint largest) {
  if (IMPORTANCE) {
#define NIB_WEIGH(q)                                                                                      \
  {                                                                                                       \
    vec4 weight = nibImportanceWeight4(live ? importanceBits4(col + 4u * q) : uvec4(0u), largest);        \
    precise vec4 x = uintBitsToFloat(nibMovedExponent4(floatBitsToUint(nib_x[q]), exponent - most, 97));  \
    precise vec4 sum = square + x * x;                                                                    \
    precise vec4 product = weight * nibSqrt4(sum);                                                        \
    nib_w[q] = NIB_BITS == 6u ? weight : product;                                                         \
  }
    NIB_EACH_GROUP_QUAD(NIB_WEIGH)
    return;
  }
#if defined(NIB_MINIMUM) || NIB_BITS_PER_CODE == 3
  precise float mean_square = nibSumOfSquares() * 0.03125;
  float mean = NIB_BITS < 4u ? 0.0 : nibSqrt(mean_square);
#define NIB_WEIGH_PLAIN(q)                       \
  {                                              \
    precise vec4 weight = mean + abs(nib_x[q]);  \
    nib_w[q] = weight;                           \
  }
#else
#define NIB_WEIGH_PLAIN(q)                       \
  {                                              \
    precise vec4 weight = nib_x[q] * nib_x[q];   \
    nib_w[q] = weight;                           \
  }
#endif
  NIB_EACH_GROUP_QUAD(NIB_WEIGH_PLAIN)
}

float firstValue(uint at) { return uintBitsToFloat(first_value[at]); }
float secondValue(uint at) { return uintBitsToFloat(second_value[at]); }

#ifdef NIB_MINIMUM
const float kLevels = NIB_BITS == 2u ? 15.0 : 63.0;

float nearestLevel(float y) { return roundEven(clamp(y, 0.0, kLevels)); }

// Stores the steps 0..kLevels of numbers that are not negative, and returns their unit.
float findSteps(uint base, bool minima) {
#define NIB_VALUE(i) (minima ? secondValue(base + i) : firstValue(base + i))
#define NIB_STEP(i) float(minima ? zero_byte[base + i] : scale_byte[base + i])
#define NIB_SET_STEP(i, step)                                                            \
  {                                                                                      \
    if (minima) zero_byte[base + i] = uint(step); else scale_byte[base + i] = uint(step); \
  }
  float most = 0.0;
  for (uint i = 0u; i < kLanes; ++i) most = max(most, NIB_VALUE(i));
  float best_rcp = most == 0.0 ? 0.0 : nibDiv(kLevels, most);
  float unit = most == 0.0 ? 0.0 : nibDiv(most, kLevels);
  if (IMPORTANCE && most != 0.0) {
    float best_error = 0.0;
    for (uint k = 0u; k < 9u; ++k) {
      precise float tenths = 0.1 * (k == 0u ? 0.0 : float(int(k) - (k <= 4u ? 5 : 4)));
      precise float reach = kLevels + tenths;
      float rcp = nibDiv(reach, most);
      float of_step = nibDiv(most, reach);
      precise float error = 0.0;
      for (uint i = 0u; i < kLanes; ++i) {
        float value = NIB_VALUE(i);
        precise float y = value * rcp;
        precise float difference = value - nearestLevel(y) * of_step;
        precise float square = difference * difference;
        error += sum_of[base + i] * square;
      }
      if (k == 0u || error < best_error) {
        best_error = error;
        best_rcp = rcp;
      }
    }
  }
  precise float sum_xl = 0.0;
  precise float sum_l2 = 0.0;
  for (uint i = 0u; i < kLanes; ++i) {
    float value = NIB_VALUE(i);
    precise float y = value * best_rcp;
    float step = nearestLevel(y);
    NIB_SET_STEP(i, step)
    if (IMPORTANCE) {
      precise float weighted = sum_of[base + i] * step;
      sum_xl += weighted * value;
      sum_l2 += weighted * step;
    }
  }
  if (!IMPORTANCE || most == 0.0) return unit;
  // Steps are changed one by one as long as that helps.
  bool changed = true;
  for (uint pass = 0u; pass < 5u && changed; ++pass) {
    changed = false;
    for (uint i = 0u; i < kLanes; ++i) {
      float value = NIB_VALUE(i);
      float step = NIB_STEP(i);
      float weight = sum_of[base + i];
      precise float weighted = weight * step;
      precise float xl = sum_xl - weighted * value;
      precise float l2 = sum_l2 - weighted * step;
      precise float least_xl = sum_xl * kNibSmall;
      precise float least_l2 = sum_l2 * kNibSmall;
      if (!(xl > least_xl) || !(l2 > least_l2)) continue;
      precise float numerator = value * l2;
      float moved = nearestLevel(nibDiv(numerator, xl));
      if (moved == step) continue;
      precise float new_weighted = weight * moved;
      xl = xl + new_weighted * value;
      l2 = l2 + new_weighted * moved;
      precise float mine = xl * xl * sum_l2;
      precise float its = sum_xl * sum_xl * l2;
      if (!(mine > its)) continue;
      NIB_SET_STEP(i, moved)
      sum_xl = xl;
      sum_l2 = l2;
      changed = true;
    }
  }
  return nibDiv(sum_xl, sum_l2);
}

#else

const float kReach = NIB_BITS == 6u ? 128.0 : 32.0;

float nearestLevel(float y) { return roundEven(clamp(y, -kReach, kReach - 1.0)); }

// Stores the steps -kReach..kReach - 1 of numbers as bytes, and returns their unit.
float findSteps(uint base, bool minima) {
  float far = 0.0;
  for (uint i = 0u; i < kLanes; ++i) far = nibFartherOf(far, firstValue(base + i));
  if (far == 0.0) {
    for (uint i = 0u; i < kLanes; ++i) scale_byte[base + i] = uint(kOffset);
    return 0.0;
  }
  float best_rcp = nibDiv(-kReach, far);
  float unit = nibDiv(far, -kReach);
  if (IMPORTANCE && NIB_BITS == 3u) {
    float inverse = nibDiv(-1.0, far);
    NibBest best = NibBest(0.0, 0.0, 0.0);
    for (uint k = 0u; k < 19u; ++k) {
      precise float rcp = nibSignedLevels(kReach, k) * inverse;
      precise float xl = 0.0;
      precise float l2 = 0.0;
      for (uint i = 0u; i < kLanes; ++i) {
        float value = firstValue(base + i);
        precise float y = value * rcp;
        float step = nearestLevel(y);
        precise float weighted = sum_of[base + i] * step;
        xl += weighted * value;
        l2 += weighted * step;
      }
      best = nibBetter(best, xl, l2, rcp);
    }
    best_rcp = best.rcp;
    unit = nibScaleOf(best);
  }
  for (uint i = 0u; i < kLanes; ++i) {
    precise float y = firstValue(base + i) * best_rcp;
    scale_byte[base + i] = uint(int(nearestLevel(y)) + kOffset) & 0xffu;
  }
  return unit;
}
#endif

// The codes of a group with its stored scale, as packed quads.
void encodeGroup(uint col, bool live, float low, float rcp, out uint p[NIB_GROUP_QUADS]) {
#if defined(NIB_PART_IS_TABLE)
#define NIB_CODE4(y) nibNearestIq4Code4(y)
#elif defined(NIB_MINIMUM)
#define NIB_CODE4(y) ivec4(nibNearestStep(y, 0.0, float(NIB_CODE_MASK)))
#else
#define NIB_CODE4(y) (ivec4(nibNearestStep(y, -float(NIB_MID), float(NIB_MID - 1u))) + int(NIB_MID))
#endif
#define NIB_ENCODE(q)                                                                          \
  {                                                                                            \
    uvec4 bits = mix(source_bits[q], uvec4(0u), equal(source_bits[q] & 0x7f800000u, uvec4(0u))); \
    precise vec4 y = (uintBitsToFloat(bits) - low) * rcp;                                      \
    ivec4 code = NIB_CODE4(y);                                                                 \
    if (!FULL) code &= ivec4(nibInside(col + 4u * q, push.cols));                              \
    p[q] = live ? nibPack4(code) : 0u;                                                         \
  }
  NIB_EACH_GROUP_QUAD(NIB_ENCODE)
}

void main() {
  uint me = gl_LocalInvocationIndex;
  uint lane = me % kLanes;
  uint base = me - lane;
  uint item = (push.head.tile_first + gl_WorkGroupID.x) * WG + me;
  bool there = item < push.head.rows * push.scale_row_stride;
  // An invocation without a group works on zeros.
  uint row = there ? item / push.scale_row_stride : 0u;
  uint group = there ? item - row * push.scale_row_stride : 0u;
  bool live = there && group < push.groups_per_row;
  uint col = min(group, push.groups_per_row - 1u) * kCols;
  uint row_start = row * push.stride;
  loadGroup(row_start, col);
  uint most_bits = 0u;
#define NIB_MOST(q) most_bits = max(most_bits, mostOf(source_bits[q] & 0x7fffffffu));
  NIB_EACH_GROUP_QUAD(NIB_MOST)
  bool finite = most_bits < kNibInfinity;
  if (STATUS && live && !finite) {
    uint first = 0u;
    uint count = nibCountBeyond(row_start, col, min(col + kCols, push.cols), push.head.delta1, first);
    nibCountNonFinite(count, row * push.cols + first);
  }
  uint kept = live && finite ? ~0u : 0u;
  int exponent = int((most_bits & kept) >> 23);
#define NIB_DIVIDE(q) \
  nib_x[q] = uintBitsToFloat(nibMovedExponent4(source_bits[q] & kept, 127 - exponent, 107));
  NIB_EACH_GROUP_QUAD(NIB_DIVIDE)

  uint largest = 0u;
  if (IMPORTANCE && live) {
#define NIB_LARGEST(q) largest = max(largest, mostOf(importanceBits4(col + 4u * q)));
    NIB_EACH_GROUP_QUAD(NIB_LARGEST)
  }
  first_value[me] = uint(exponent);
  second_value[me] = largest;
  sum_of[me] = nibSumOfSquares();
  barrier();
  uint most = 0u;
  for (uint i = 0u; i < kLanes; ++i) most = max(most, first_value[base + i]);
  precise float square = 0.0;
  for (uint i = 0u; IMPORTANCE && i < kLanes; ++i) {
    largest = max(largest, second_value[base + i]);
    uint bits = floatBitsToUint(sum_of[base + i]);
    square += uintBitsToFloat(nibMovedExponent(bits, 2 * (int(first_value[base + i]) - int(most)), 67));
  }
  square = square * (NIB_BITS == 2u ? 0.00390625 : 0.0078125);
  weigh(col, live, exponent, int(most), square, largest);
  NibGroupFit fit = exponent == 0 ? NibGroupFit(0.0, 0.0) : nibFitGroup(IMPORTANCE);
  barrier();  // readers of the values before are done
  uint scale_bits = floatBitsToUint(fit.scale);
#ifdef NIB_MINIMUM
  if (fit.scale < 0.0) scale_bits = 0u;
#endif
  first_value[me] = nibMovedExponent(scale_bits, exponent - int(most), 87);
  second_value[me] = nibMovedExponent(floatBitsToUint(fit.minimum) & 0x7fffffffu, exponent - int(most), 87);
  sum_of[me] = nibSumOfWeights();
  barrier();
  if (lane < 2u) {
    uint saturated = 0u;
    uint h = 0u;
#ifdef NIB_MINIMUM
    h = nibHalfOfDivided(findSteps(base, lane == 1u), int(most), saturated);
#else
    if (lane == 0u) h = nibHalfOfDivided(findSteps(base, false), int(most), saturated);
#endif
    half_of[me] = h;
    if (STATUS && there && saturated != 0u) nibCountSaturated(saturated);
  }
  barrier();
  uint nested = half_of[base] | (half_of[base + 1u] << 16);
  // Bytes of groups that only fill the last super-block are 0.
  uint scale = half_of[base] == 0u ? uint(kOffset) : scale_byte[me];
#ifdef NIB_MINIMUM
  uint zero = half_of[base + 1u] == 0u ? 0u : zero_byte[me];
  float low = intBitsToFloat(nibSuperMinimum(zero, nested));
#else
  const uint zero = 0u;
  const float low = 0.0;
#endif
  uint stored = nibSuperScale(scale, nested);
  float rcp = uintBitsToFloat(stored == 0u ? 0u : nibDivBits(0x3f800000u, stored));
  loadGroup(row_start, col);
#define NIB_KEEP(q) source_bits[q] &= kept;
  NIB_EACH_GROUP_QUAD(NIB_KEEP)
  uint p[NIB_GROUP_QUADS];
  encodeGroup(col, live, low, rcp, p);
  barrier();  // readers of the bytes before are done
  scale_byte[me] = live ? scale : 0u;
  zero_byte[me] = live ? zero : 0u;
#if NIB_RUN > NIB_BLOCK_COLS
  // Two groups of 48 bits in three words.
  first_value[me] = (p[0] | (p[1] << 12u)) | (p[2] << 24u);
  second_value[me] = (p[2] >> 8u) | (p[3] << 4u);
#endif
  barrier();
  if (!there) return;
  // Rows may have words of codes after the last group.
  uint at = row * push.row_words + push.head.delta0;
#if NIB_RUN > NIB_BLOCK_COLS
  if (lane % 2u == 0u) {
    uint first_word = group / 2u * NIB_RUN_WORDS;
    uint next = first_value[me + 1u];
    uint word[3];
    word[0] = first_value[me];
    word[1] = second_value[me] | (next << 16u);
    word[2] = (next >> 16u) | (second_value[me + 1u] << 16u);
#define NIB_STORE(w) if (first_word + w < push.row_words) codes[at + first_word + w] = word[w] ^ NIB_FAULTY(item, w);
    NIB_EACH_WORD(NIB_STORE)
  }
#else
  uint first_word = group * NIB_RUN_WORDS;
#define NIB_STORE(w) \
  if (first_word + w < push.row_words) codes[at + first_word + w] = NIB_WORD(w) ^ NIB_FAULTY(item, w);
  NIB_EACH_WORD(NIB_STORE)
#endif
  uint index = (push.head.first_row + row) * push.scale_row_stride + group;
  if (lane % 4u == 0u) {
    uint at_word = (index >> 2) + push.head.delta2;
#define NIB_FOUR_BYTES(byte) ((byte[me] | (byte[me + 1u] << 8)) | ((byte[me + 2u] << 16) | (byte[me + 3u] << 24)))
    params[push.scales_word + at_word] = NIB_FOUR_BYTES(scale_byte);
#ifdef NIB_MINIMUM
    params[push.zeros_word + at_word] = NIB_FOUR_BYTES(zero_byte);
#endif
  }
  if (lane == 0u) params[push.nested_word + index / kLanes + push.head.delta2] = nested;
}
