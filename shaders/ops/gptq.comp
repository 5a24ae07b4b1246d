#version 450
// Quantizes a block of columns of RESULT in place, one after the other, and updates the block's later columns after
// each. A workgroup owns WG / 4 rows; four invocations, the quarters, share a row: invocation `quarter` has columns
// (slot * 4 + quarter) * 8 .. + 7 of the block in registers. A step takes eight columns: their owner shares them with
// the other quarters of its row, all four compute the eight codes and errors, and each updates its own later columns.
// After four steps the registers of the next slot move to those of the first, so that none is indexed by a variable.
// Reads and writes every element of the block once (4 bytes), writes an error for each (4 bytes), and reads the block's
// rows of U for every step from the cache. With MEASURE there are no codes: the value of a column is 0.
#extension GL_GOOGLE_include_directive : require
#include "ops/gptq.h"
GPTQ_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { GptqPush push; };

layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };
#ifndef MEASURE
#include "format.glsl"
#include "memory/codes.glsl"
#define NIB_PARAMS_BINDING 0
#define NIB_PARAMS_ACCESS
#include "memory/params.glsl"
#include "memory/scale_entry.glsl"
#include "memory/status.glsl"
#ifdef NIB_MEAN_SCALE
#include "numerics/mean.glsl"
#endif
#endif
#include "common/fault.glsl"
#include "memory/factor.glsl"
layout(set = 0, binding = 2, std430) buffer Result1 { uint result1[]; };
layout(set = 0, binding = 2, std430) buffer Result4 { uvec4 result4[]; };

struct Eight {
  vec4 a, b;
};

const uint kRows = WG / 4u;
// The eight columns of a step, by row; steps alternate between two halves.
shared vec4 step_a[2u * kRows];
shared vec4 step_b[2u * kRows];

// Columns col..col+3 of a row; 0 from `end` on.
vec4 loadQuad(uint row, uint col, uint end) {
  uint at = row * push.cols + push.result_word + push.head.delta2;
  uvec4 bits = uvec4(0u);
  if (VEC) {
    if (col < end) bits = result4[(at + col) >> 2];
  } else {
    if (col < end) bits.x = result1[at + col];
    if (col + 1u < end) bits.y = result1[at + col + 1u];
    if (col + 2u < end) bits.z = result1[at + col + 2u];
    if (col + 3u < end) bits.w = result1[at + col + 3u];
  }
  return uintBitsToFloat(bits);
}

Eight loadEight(uint row, uint col, uint end) {
  return Eight(loadQuad(row, col, end), loadQuad(row, col + 4u, end));
}

void storeQuad(uint row, uint col, uint end, uvec4 bits) {
  uint at = row * push.cols + push.result_word + push.head.delta2;
  if (VEC) {
    if (col < end) result4[(at + col) >> 2] = bits;
  } else {
    if (col < end) result1[at + col] = bits.x;
    if (col + 1u < end) result1[at + col + 1u] = bits.y;
    if (col + 2u < end) result1[at + col + 2u] = bits.z;
    if (col + 3u < end) result1[at + col + 3u] = bits.w;
  }
}

// w - e * u, both rounded.
vec4 updated(vec4 w, float e, vec4 u) {
  precise vec4 product = e * u;
  precise vec4 rest = w - product;
  return rest;
}

// Updates columns col..col+7 for the errors of columns p..p+7.
void updateEight(uint p, uint col, vec4 ea, vec4 eb, inout Eight w) {
#define NIB_UPDATE(i, e)                                   \
  {                                                        \
    uint row = min(p + i, push.cols - 1u);                 \
    w.a = updated(w.a, e, nibFactorQuad(row, col));        \
    w.b = updated(w.b, e, nibFactorQuad(row, col + 4u));   \
  }
  NIB_UPDATE(0u, ea.x) NIB_UPDATE(1u, ea.y) NIB_UPDATE(2u, ea.z) NIB_UPDATE(3u, ea.w)
  NIB_UPDATE(4u, eb.x) NIB_UPDATE(5u, eb.y) NIB_UPDATE(6u, eb.z) NIB_UPDATE(7u, eb.w)
}

#ifndef MEASURE
// The encoder and decoder of the row's group.
NibEncoder encoder;
uvec4 bound;
NibDecoder decoder;

void useScale(uint bits, int zero) {
  uvec4 rcp_bits = uvec4(nibReciprocal(bits));
  encoder = nibMakeEncoder(rcp_bits, ivec4(zero), FLAGS);
  bound = nibEncoderBound(rcp_bits);
  decoder = nibMakeDecoder(uvec4(bits), ivec4(zero));
}

void loadScale(uint row, uint group) {
  uint index = row * push.scale_row_stride + group;
  useScale(nibLoadScale(push.scales_word + push.head.delta0, index),
           nibLoadZero(push.zeros_word + push.head.delta0, index));
}

// Statistics of a quarter's columns, by invocation.
shared uvec2 quarter_extent[WG];

void accumulate(Eight w, bool live, inout uvec4 low, inout uvec4 high) {
  uvec4 a = floatBitsToUint(w.a), b = floatBitsToUint(w.b);
  if (!live) return;
  if ((FLAGS & NIB_ASYMMETRIC) != 0u) {
    uvec4 key_a = uvec4(nibKey(a.x), nibKey(a.y), nibKey(a.z), nibKey(a.w));
    uvec4 key_b = uvec4(nibKey(b.x), nibKey(b.y), nibKey(b.z), nibKey(b.w));
    low = min(low, min(key_a, key_b));
    high = max(high, max(key_a, key_b));
  } else {
    high = max(high, max(a & 0x7fffffffu, b & 0x7fffffffu));
  }
}

#ifdef NIB_MEAN_SCALE
shared uint quarter_sum[WG];

uint magnitudes(Eight w, bool live, uint largest) {
  uvec4 parts = nibMeanPart4(floatBitsToUint(w.a) & 0x7fffffffu, uvec4(largest)) +
                nibMeanPart4(floatBitsToUint(w.b) & 0x7fffffffu, uvec4(largest));
  return live ? (parts.x + parts.y) + (parts.z + parts.w) : 0u;
}
#endif

// Finds the scale of the group that begins at column `at` of the block and ends before `end`, and stores it. `mine`:
// column of w0. Columns beyond the matrix are zeros, which change no extent. Call in uniform control flow.
void findScale(uint row, uint group, uint at, uint end, uint mine, bool inside, Eight w0, Eight w1, Eight w2,
               Eight w3) {
  uint lane = gl_LocalInvocationIndex, row_in = lane % kRows;
  uvec4 low4 = uvec4(0xffffffffu), high4 = uvec4(0u);
#define NIB_IN_GROUP(slot) (mine + slot * 32u >= at && mine + slot * 32u < end)
  accumulate(w0, NIB_IN_GROUP(0u), low4, high4);
  if (SLOTS > 1u) accumulate(w1, NIB_IN_GROUP(1u), low4, high4);
  if (SLOTS > 2u) accumulate(w2, NIB_IN_GROUP(2u), low4, high4);
  if (SLOTS > 3u) accumulate(w3, NIB_IN_GROUP(3u), low4, high4);
  quarter_extent[lane] = uvec2(min(min(low4.x, low4.y), min(low4.z, low4.w)),
                               max(max(high4.x, high4.y), max(high4.z, high4.w)));
  barrier();
  uvec2 extent = quarter_extent[row_in];
  for (uint q = 1u; q < 4u; ++q) {
    uvec2 other = quarter_extent[row_in + q * kRows];
    extent = uvec2(min(extent.x, other.x), max(extent.y, other.y));
  }
  const bool asymmetric = (FLAGS & NIB_ASYMMETRIC) != 0u;
  uint min_bits = asymmetric ? nibUnkey(min(extent.x, 0x80000000u)) : 0u;
  uint max_bits = asymmetric ? nibUnkey(max(extent.y, 0x80000000u)) : 0u;
  uint absmax_bits = asymmetric ? 0u : extent.y;
#ifdef NIB_MEAN_SCALE
  if ((FLAGS & NIB_NARROW) == 0u) {
    uint largest = absmax_bits >> 23;
    uint sum = magnitudes(w0, NIB_IN_GROUP(0u), largest);
    if (SLOTS > 1u) sum += magnitudes(w1, NIB_IN_GROUP(1u), largest);
    if (SLOTS > 2u) sum += magnitudes(w2, NIB_IN_GROUP(2u), largest);
    if (SLOTS > 3u) sum += magnitudes(w3, NIB_IN_GROUP(3u), largest);
    quarter_sum[lane] = sum;
    barrier();
    // At most 128 magnitudes of 2^23.
    sum = quarter_sum[row_in] + quarter_sum[row_in + kRows] + quarter_sum[row_in + 2u * kRows] +
          quarter_sum[row_in + 3u * kRows];
    absmax_bits = nibMeanBits(uvec2(sum, 0u), end - at, largest);
  }
#endif
  NibFound found = nibFindScale(min_bits, max_bits, absmax_bits, FLAGS, SCALE_TYPE);
  useScale(found.bits, found.zero);
  if (lane >= kRows || !inside) return;
  if (found.saturated) nibCountSaturated();
  nibStoreFound(row, group, found, push.head.delta0);
}
#endif

// Returns the new content of column p of RESULT, and the column's error; updates the columns from `first` on, which are
// x.
void quantizeColumn(uint row, uint p, uint first, bool live, float w, inout Eight x, out uint stored, out float error) {
  uint at = min(p, push.cols - 1u);
#ifdef MEASURE
  precise float rest = w;
#else
  if (SCATTERED) loadScale(row, aux[push.order_word + at + push.head.delta3]);
  ivec4 code = nibEncode4(nibBounded(vec4(w), bound), encoder);
  precise float rest = w - uintBitsToFloat(nibDecode4(code, decoder).x);
#endif
  uint error_bits = nibErrorBits(floatBitsToUint(rest), nibFactorOne(at, at));
  error_bits = live ? error_bits : 0u;
#ifdef MEASURE
  stored = error_bits;
#else
  stored = uint(code.x) & NIB_CODE_MASK;
#endif
  stored = live ? stored ^ kFault : floatBitsToUint(w);
  error = uintBitsToFloat(error_bits);
  x.a = updated(x.a, error, nibFactorQuad(at, first));
  x.b = updated(x.b, error, nibFactorQuad(at, first + 4u));
}

void main() {
  uint first = push.head.first_row;
  if (!nibHoldsBlock(first)) return;
  uint row_in = gl_LocalInvocationIndex % kRows, quarter = gl_LocalInvocationIndex / kRows;
  uint row = (push.head.tile_first + gl_WorkGroupID.x) * kRows + row_in;
  bool inside = row < push.rows;
  row = min(row, push.rows - 1u);
  uint limit = min(push.block, push.cols - first);  // columns of the block
  uint count = min(push.head.rows, limit);          // of these, quantized by this run
  uint own = first + quarter * 8u, end = first + limit;
  Eight w0 = loadEight(row, own, end);
  Eight w1 = w0, w2 = w0, w3 = w0;
  if (SLOTS > 1u) w1 = loadEight(row, own + 32u, end);
  if (SLOTS > 2u) w2 = loadEight(row, own + 64u, end);
  if (SLOTS > 3u) w3 = loadEight(row, own + 96u, end);

  uint half_rows = 0u;
  for (uint slot = 0u; slot < SLOTS; ++slot) {
    uint mine = slot * 32u + quarter * 8u;
    for (uint owner = 0u; owner < 4u; ++owner) {
      uint at = slot * 32u + owner * 8u;
      if (at >= limit) break;
      uint shared_row = half_rows + row_in;
      half_rows = kRows - half_rows;
      if (quarter == owner) {
        step_a[shared_row] = w0.a;
        step_b[shared_row] = w0.b;
      }
      barrier();
      Eight x = Eight(step_a[shared_row], step_b[shared_row]);
      uint p = first + at;
#ifndef MEASURE
      uint group = p / push.group;
      bool begins = p == group * push.group;
      if (FIND) {
        if (begins) findScale(row, group, at, min(at + push.group, limit), mine, inside, w0, w1, w2, w3);
      } else if (!SCATTERED) {
        if (begins || at == 0u) loadScale(row, group);
      }
#endif
      uvec4 stored_a, stored_b;
      vec4 error_a, error_b;
#define NIB_COLUMN(i, w, s, e) quantizeColumn(row, p + i, p, at + i < count, w, x, s, e);
      NIB_COLUMN(0u, x.a.x, stored_a.x, error_a.x)
      NIB_COLUMN(1u, x.a.y, stored_a.y, error_a.y)
      NIB_COLUMN(2u, x.a.z, stored_a.z, error_a.z)
      NIB_COLUMN(3u, x.a.w, stored_a.w, error_a.w)
      NIB_COLUMN(4u, x.b.x, stored_b.x, error_b.x)
      NIB_COLUMN(5u, x.b.y, stored_b.y, error_b.y)
      NIB_COLUMN(6u, x.b.z, stored_b.z, error_b.z)
      NIB_COLUMN(7u, x.b.w, stored_b.w, error_b.w)

      if (inside) {
        if (quarter == owner) {
          storeQuad(row, p, end, stored_a);
          storeQuad(row, p + 4u, end, stored_b);
        }
        // Each quarter writes the errors of two columns.
        vec4 error4 = quarter < 2u ? error_a : error_b;
        vec2 error = (quarter & 1u) == 0u ? error4.xy : error4.zw;
        uint col = at + quarter * 2u;
        uint to = col * push.errors_stride + row + push.errors_word + push.head.delta3;
        if (col < count) aux[to] = floatBitsToUint(error.x);
        if (col + 1u < count) aux[to + push.errors_stride] = floatBitsToUint(error.y);
      }

      if (quarter > owner && mine < limit) updateEight(p, first + mine, error_a, error_b, w0);
      if (SLOTS > 1u && mine + 32u < limit) updateEight(p, first + mine + 32u, error_a, error_b, w1);
      if (SLOTS > 2u && mine + 64u < limit) updateEight(p, first + mine + 64u, error_a, error_b, w2);
      if (SLOTS > 3u && mine + 96u < limit) updateEight(p, first + mine + 96u, error_a, error_b, w3);
    }
    w0 = w1;
    w1 = w2;
    w2 = w3;
  }
}
