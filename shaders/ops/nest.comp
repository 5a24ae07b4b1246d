#version 450
// fp32 scales to double quantization: 8-bit codes of the dynamic map in blocks of 256, less the mean. The largest and the
// sum are integers, so no order shows. Twin of src/formats/nested.cpp.
#extension GL_GOOGLE_include_directive : require
#include "ops/nest.h"
NEST_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { NestPush push; };

#include "common/dynamic_map.h"
#include "common/exact.glsl"
layout(set = 0, binding = 2, std430) writeonly buffer Params { uint params[]; };
layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };

const uint kEach = 64u;  // scales of an invocation in phases 1 and 2: their sum fits a word
const uint kMidpoints[255] = uint[255](NIB_DYNAMIC_MIDPOINTS);

#ifdef NIB_FAULT
const uint kFault = 1u;
#else
const uint kFault = 0u;
#endif

uint scaleBits(uint index) {
  return aux[push.scale_word + index + push.head.delta3];
}

// The sum of 2^64 at most, as fp32 bits, rounded half-even.
uint wideToF32Bits(uint high, uint low) {
  if (high == 0u && low == 0u) return 0u;
  uint top = high != 0u ? 32u + uint(findMSB(high)) : uint(findMSB(low));
  // 24 bits from the top one down, the rest as a remainder.
  uint mantissa;
  uint rest;  // left-aligned in 32 bits, with all that is below as its last bit
  if (top < 24u) {
    return ((top + 127u) << 23) + ((low << (23u - top)) & 0x7fffffu);
  }
  uint drop = top - 23u;
  if (drop < 32u) {
    mantissa = (low >> drop) | (high << (32u - drop));
    rest = low << (32u - drop);
  } else if (drop == 32u) {
    mantissa = high;
    rest = low;
  } else {
    mantissa = high >> (drop - 32u);
    rest = (high << (64u - drop)) | (low >> (drop - 32u)) | (low != 0u ? 1u : 0u);
  }
  bool up = rest > 0x80000000u || (rest == 0x80000000u && (mantissa & 1u) != 0u);
  // A carry out of the mantissa is one more in the exponent.
  return ((top + 126u) << 23) + mantissa + (up ? 1u : 0u);
}

uint meanBits() {
  uint at = push.sum_word + push.head.delta3;
  uint limb0 = aux[at + 1u], limb1 = aux[at + 2u], limb2 = aux[at + 3u];
  uint carry;
  uint low = uaddCarry(limb0, limb1 << 10, carry);
  uint high = (limb1 >> 22) + carry;
  low = uaddCarry(low, limb2 << 20, carry);
  high += (limb2 >> 12) + carry;
  if (high == 0u && low == 0u) return 0u;
  uint quotient = nibDivBits(wideToF32Bits(high, low), wideToF32Bits(0u, push.count));
  int exponent = int(quotient >> 23) + int(aux[at] >> 23) - 149;
  return exponent < 1 ? 0u : (uint(exponent) << 23) | (quotient & 0x7fffffu);
}

uint differenceBits(uint scale, uint offset) {
  precise float difference = uintBitsToFloat(scale) - uintBitsToFloat(offset);
  return nibFlushBits(floatBitsToUint(difference));
}

void main() {
  uint lane = gl_LocalInvocationIndex;
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  uint sums = push.sum_word + push.head.delta3;
  if (PHASE == 0u) {
    if (tile == 0u && lane < 4u) aux[sums + lane] = 0u;
    return;
  }
  if (PHASE == 1u || PHASE == 2u) {
    uint first = tile * WG * kEach + lane;
    uint largest = PHASE == 2u ? aux[sums] >> 23 : 0u;
    uint result = 0u;
    for (uint i = 0u; i < kEach; ++i) {
      uint index = first + i * WG;
      if (index >= push.count) break;
      uint bits = scaleBits(index);
      if (PHASE == 1u) {
        result = max(result, bits);
      } else if (bits >= 0x00800000u) {
        uint below = largest - (bits >> 23);
        if (below < 24u) result += (((bits & 0x7fffffu) | 0x800000u) + (1u << below)) >> (below + 1u);
      }
    }
    if (PHASE == 1u) {
      atomicMax(aux[sums], result);
    } else {
      atomicAdd(aux[sums + 1u], result & 0x3ffu);
      atomicAdd(aux[sums + 2u], (result >> 10) & 0x3ffu);
      atomicAdd(aux[sums + 3u], result >> 20);
    }
    return;
  }
  uint block = tile * WG + lane;
  uint first = block * 256u;
  if (first >= push.count) return;
  uint end = min(first + 256u, push.count);
  uint offset = meanBits();
  uint largest = 0u;
  for (uint i = first; i < end; ++i) largest = max(largest, differenceBits(scaleBits(i), offset) & 0x7fffffffu);
  if (largest < 0x03800000u) largest = 0u;
  float reciprocal = uintBitsToFloat(largest == 0u ? 0u : nibDivBits(0x3f800000u, largest));
  for (uint i = first; i < end; i += 4u) {
    uint word = 0u;
    for (uint j = 0u; j < 4u && i + j < end; ++j) {
      precise float y = uintBitsToFloat(differenceBits(scaleBits(i + j), offset)) * reciprocal;
      // Entries whose upper midpoint is below y.
      uint code = 0u;
      for (uint step = 128u; step > 0u; step >>= 1) {
        if (y > uintBitsToFloat(kMidpoints[code + step - 1u])) code += step;
      }
      if (largest == 0u) code = NIB_DYNAMIC_ZERO;
      word |= code << (j * 8u);
    }
    params[push.code_word + (i >> 2) + push.head.delta2] = word ^ kFault;
  }
  params[push.nested_word + 1u + block + push.head.delta2] = largest;
  if (block == 0u) params[push.nested_word + push.head.delta2] = offset;
}
