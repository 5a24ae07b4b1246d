// Arithmetic with the same bits on every device.
//
// Vulkan lets a quotient be wrong by 2.5 ulp, a square root by more, packHalf2x16 round as it likes, and denormals be
// kept or flushed. All arithmetic that decides a stored code or a stored scale uses this file instead. It needs core
// GLSL 450 only: no bindings, no specialization constants, no extensions. src/numerics/exact.h is its C++ counterpart,
// written separately.
//
// Names: a function ending in Bits takes and returns fp32 values as their bit patterns and is defined for every
// pattern. The one without Bits takes or returns a float. Inf, NaN and denormals may not survive in a float on every
// device, so use Bits where they can occur. The few float sums below act on normal numbers and are `precise`. They
// round to nearest even, as every other sum must in a kernel that promises exact bytes. Costs count 32-bit operations
// without bit casts, which are free. Operands of ?: are names and constants throughout: glslang turns those into
// selects, and expressions into branches.

#ifndef NIB_NUMERICS_EXACT_GLSL
#define NIB_NUMERICS_EXACT_GLSL

// True for Inf and NaN. 2 operations.
bool nibIsNonFinite(uint bits) {
  return (bits & 0x7f800000u) == 0x7f800000u;
}

// fp32 denormals become zero of the same sign; every other pattern is returned as it is. 4 operations.
uint nibFlushBits(uint bits) {
  uint zero = bits & 0x80000000u;
  return (bits & 0x7f800000u) == 0u ? zero : bits;
}

float nibFlush(float x) {
  return uintBitsToFloat(nibFlushBits(floatBitsToUint(x)));
}

// x/2. Results below 2^-126 become zero of the same sign; Inf and NaN are returned as they are. 7 operations.
uint nibHalveBits(uint bits) {
  uint magnitude = bits & 0x7fffffffu;
  uint zero = bits & 0x80000000u;
  uint halved = bits - 0x00800000u;
  halved = magnitude < 0x01000000u ? zero : halved;
  return magnitude >= 0x7f800000u ? bits : halved;
}

float nibHalve(float x) {
  return uintBitsToFloat(nibHalveBits(floatBitsToUint(x)));
}

// A uint that orders as the value does: a < b exactly when nibKey(a) < nibKey(b), so integer min and max of keys are
// those of the values, in any order. Denormals and -0 get the key of +0 (0x80000000). +Inf and then +NaN sort above
// the finite values, -Inf and then -NaN below. 0xffffffff starts a minimum, 0 a maximum. 6 operations.
uint nibKey(uint bits) {
  uint b = (bits & 0x7f800000u) == 0u ? 0u : bits;
  return b ^ (uint(int(b) >> 31) | 0x80000000u);
}

// The fp32 pattern of a key: nibUnkey(nibKey(b)) is b with denormals and -0 made +0. One to one on all keys.
// 4 operations.
uint nibUnkey(uint key) {
  return key ^ (uint(int(~key) >> 31) | 0x80000000u);
}

// One step of restoring division. The remainder sits above bit 6, the quotient bits found so far below it, and d is
// (divisor << 6) - 1: where the divisor fits, the subtraction also sets the new quotient bit; where it does not, the
// difference wraps to something larger than x.
uint nibDivStep(uint x, uint d) {
  x += x;
  return min(x, x - d);
}

// a/b rounded to nearest even at 24 bits as if the exponent had no bounds; then a result of 2^128 or more becomes the
// largest finite value 0x7f7fffff, one below 2^-126 becomes 0. The sign is always that of a xor that of b.
// Denormal operands count as zero. 0/b is 0, also 0/0; a/0 is 0x7f7fffff for other a. Exponent 255 is read as an
// ordinary exponent (Inf as 2^128): the result is finite but meaningless: test with nibIsNonFinite first. No hardware
// division, integer or float. About 120 operations, no branches.
uint nibDivBits(uint a, uint b) {
  uint exponent_a = (a >> 23) & 255u;
  uint exponent_b = (b >> 23) & 255u;
  uint mantissa_a = (a & 0x007fffffu) | 0x00800000u;
  uint mantissa_b = (b & 0x007fffffu) | 0x00800000u;

  // Doubling a smaller dividend puts the quotient in [1, 2), so its first bit is 1 and 24 steps are left: 23 bits of
  // mantissa and the guard bit.
  uint less = uint(mantissa_a < mantissa_b);
  int exponent = int(exponent_a) - int(exponent_b) + 127 - int(less);
  uint x = ((mantissa_a << less) - mantissa_b) << 6;
  uint d = (mantissa_b << 6) - 1u;
  uint q = 1u;
  for (int i = 0; i < 4; ++i) {
    x = nibDivStep(x, d);
    x = nibDivStep(x, d);
    x = nibDivStep(x, d);
    x = nibDivStep(x, d);
    x = nibDivStep(x, d);
    x = nibDivStep(x, d);
    q = (q << 6) | (x & 63u);
    x &= 0xffffffc0u;
  }

  // A tie cannot occur: an odd 25-bit midpoint times b has more than the 24 significant bits of a. So half-even needs
  // the guard bit alone, and the remainder in x is no longer needed.
  q = (q + 1u) >> 1;
  exponent += int(q >> 24);  // rounded up to a power of two; the low bits are 0 then

  uint magnitude = (uint(exponent) << 23) | (q & 0x007fffffu);
  magnitude = exponent <= 0 ? 0u : magnitude;
  magnitude = exponent >= 255 ? 0x7f7fffffu : magnitude;
  magnitude = exponent_b == 0u ? 0x7f7fffffu : magnitude;
  magnitude = exponent_a == 0u ? 0u : magnitude;
  return magnitude | ((a ^ b) & 0x80000000u);
}

float nibDiv(float a, float b) {
  return uintBitsToFloat(nibDivBits(floatBitsToUint(a), floatBitsToUint(b)));
}

// The square root rounded to nearest even. Negative patterns (-0 too) and denormals give +0. Exponent 255 is read as an
// ordinary exponent: the result is finite but meaningless. About 190 operations, no branches.
uint nibSqrtBits(uint a) {
  uint exponent = (a >> 23) & 255u;
  uint mantissa = (a & 0x007fffffu) | 0x00800000u;

  // Digit by digit, keeping twice the root so far. An even exponent field is an odd power of two: its mantissa doubles.
  // The root is in [1, 2), so its first bit is 1 and 24 steps are left, the last of them the guard bit.
  uint rest = (mantissa << (2u - (exponent & 1u))) - 0x01000000u;
  uint twice_root = 0x02000000u;
  uint bit = 0x00800000u;
  for (int i = 0; i < 24; ++i) {
    rest += rest;
    uint next = rest - (twice_root | bit);  // wraps, to above 2^31, where the bit does not fit
    twice_root |= (bit + bit) & ~uint(int(next) >> 31);
    rest = min(rest, next);
    bit >>= 1;
  }

  // A tie cannot occur: the square of an odd 25-bit midpoint is odd and has 49 bits or more.
  uint root = ((twice_root >> 1) + 1u) >> 1;
  // The root's leading 1 adds the last 1 to the exponent.
  uint result = ((((exponent + 1u) >> 1) + 62u) << 23) + root;
  result = exponent == 0u ? 0u : result;
  return int(a) < 0 ? 0u : result;
}

float nibSqrt(float a) {
  return uintBitsToFloat(nibSqrtBits(floatBitsToUint(a)));
}

// The int rounded to nearest even, as fp32 bits. 19 operations and findMSB.
uint nibI32ToF32Bits(int i) {
  uint sign = uint(i) & 0x80000000u;
  uint negative = uint(i >> 31);  // all ones or 0
  uint magnitude = (uint(i) ^ negative) - negative;
  uint msb = uint(findMSB(magnitude | 1u));
  uint aligned = magnitude << (31u - msb);  // the leading 1 in bit 31, 8 bits too many below
  uint rounded = (aligned >> 8) + uint((aligned & 0xffu) + ((aligned >> 8) & 1u) > 0x80u);
  uint bits = sign | (((msb + 126u) << 23) + rounded);
  return magnitude == 0u ? 0u : bits;
}

float nibI32ToF32(int i) {
  return uintBitsToFloat(nibI32ToF32Bits(i));
}

// The half in the low 16 bits (the upper ones are ignored) as fp32 bits: exact, denormal halves too; Inf and NaN keep
// their bits. 13 operations.
uint nibHalfToF32Bits(uint h) {
  uint magnitude = h & 0x7fffu;
  uint bits = (magnitude << 13) + 0x38000000u;
  // A denormal half m: 2^-14 (1 + m/1024) - 2^-14, exact and never an fp32 denormal.
  precise float denormal = uintBitsToFloat(bits + 0x00800000u) - uintBitsToFloat(0x38800000u);
  uint denormal_bits = floatBitsToUint(denormal);
  uint non_finite_bits = bits + 0x38000000u;
  bits = magnitude >= 0x7c00u ? non_finite_bits : bits;
  bits = magnitude < 0x0400u ? denormal_bits : bits;
  return bits | ((h ^ magnitude) << 16);
}

float nibHalfToF32(uint h) {
  return uintBitsToFloat(nibHalfToF32Bits(h));
}

// The magnitude of a half, rounded to nearest even, before overflow is dealt with: 65520 and above give 0x7c00 or more.
uint nibHalfMagnitude(uint magnitude) {
  uint rounded = (magnitude + ((magnitude >> 13) & 1u) - 0x37fff001u) >> 13;
  // Below 2^-14: the ulp of 0.5 is 2^-24, the unit of denormal halves.
  precise float sum = uintBitsToFloat(magnitude) + 0.5;
  uint denormal = floatBitsToUint(sum) - 0x3f000000u;
  return magnitude < 0x38800000u ? denormal : rounded;
}

// The half nearest to an fp32, ties to even, in the low 16 bits. 65520 and above give Inf; NaN gives 0x7e00 with the
// sign kept. 16 operations.
uint nibF32ToHalfBits(uint bits) {
  uint magnitude = bits & 0x7fffffffu;
  uint h = min(nibHalfMagnitude(magnitude), 0x7c00u);
  h = magnitude > 0x7f800000u ? 0x7e00u : h;
  return h | ((bits ^ magnitude) >> 16);
}

uint nibF32ToHalf(float x) {
  return nibF32ToHalfBits(floatBitsToUint(x));
}

// The same, but finite values too large for a half give +-65504 (0x7bff). Inf stays Inf. 18 operations.
uint nibF32ToHalfSatBits(uint bits) {
  uint magnitude = bits & 0x7fffffffu;
  uint h = min(nibHalfMagnitude(magnitude), 0x7bffu);
  h = magnitude >= 0x7f800000u ? 0x7c00u : h;
  h = magnitude > 0x7f800000u ? 0x7e00u : h;
  return h | ((bits ^ magnitude) >> 16);
}

uint nibF32ToHalfSat(float x) {
  return nibF32ToHalfSatBits(floatBitsToUint(x));
}

// The bfloat16 in the low 16 bits (the upper ones are ignored) as fp32 bits. Denormals give zero of the same sign; Inf
// and NaN keep their bits. 5 operations.
uint nibBf16ToF32Bits(uint b) {
  return nibFlushBits(b << 16);
}

float nibBf16ToF32(uint b) {
  return uintBitsToFloat(nibBf16ToF32Bits(b));
}

// The bfloat16 nearest to an fp32, ties to even, in the low 16 bits. Denormals give zero of the same sign; overflow by
// rounding gives Inf; NaN gives 0x7fc0 with the sign kept. 12 operations.
uint nibF32ToBf16Bits(uint bits) {
  uint magnitude = bits & 0x7fffffffu;
  uint rounded = magnitude + 0x7fffu + ((magnitude >> 16) & 1u);
  rounded = magnitude < 0x00800000u ? 0u : rounded;
  rounded = magnitude > 0x7f800000u ? 0x7fc00000u : rounded;
  return (rounded | (bits & 0x80000000u)) >> 16;
}

uint nibF32ToBf16(float x) {
  return nibF32ToBf16Bits(floatBitsToUint(x));
}

// The same, but finite values that would round to Inf give +-0x7f7f. Inf stays Inf. 15 operations.
uint nibF32ToBf16SatBits(uint bits) {
  uint magnitude = bits & 0x7fffffffu;
  uint rounded = min(magnitude + 0x7fffu + ((magnitude >> 16) & 1u), 0x7f7fffffu);
  rounded = magnitude < 0x00800000u ? 0u : rounded;
  rounded = magnitude >= 0x7f800000u ? magnitude : rounded;
  rounded = magnitude > 0x7f800000u ? 0x7fc00000u : rounded;
  return (rounded | (bits & 0x80000000u)) >> 16;
}

uint nibF32ToBf16Sat(float x) {
  return nibF32ToBf16SatBits(floatBitsToUint(x));
}

// The FP8 E4M3FN code in the low 8 bits (the upper ones are ignored) as fp32 bits: exact; 0x7f gives 0x7fc00000, with
// the sign kept. 12 operations.
uint nibE4m3ToF32Bits(uint code) {
  uint magnitude = code & 0x7fu;
  uint bits = (magnitude << 20) + 0x3c000000u;
  precise float denormal = uintBitsToFloat(bits + 0x00800000u) - 0.015625;
  uint denormal_bits = floatBitsToUint(denormal);
  bits = magnitude < 0x08u ? denormal_bits : bits;
  bits = magnitude == 0x7fu ? 0x7fc00000u : bits;
  return bits | ((code ^ magnitude) << 24);
}

float nibE4m3ToF32(uint code) {
  return uintBitsToFloat(nibE4m3ToF32Bits(code));
}

// The E4M3FN code nearest to an fp32, ties to even; finite values beyond 448 give 448 (0x7e). Inf and NaN give 0x7f.
// The sign is always kept. 16 operations.
uint nibF32ToE4m3Bits(uint bits) {
  uint magnitude = bits & 0x7fffffffu;
  uint code = (magnitude + ((magnitude >> 20) & 1u) - 0x3bf80001u) >> 20;
  // Below 2^-6: the ulp of 2^14 is 2^-9, the unit of denormal codes.
  precise float sum = uintBitsToFloat(magnitude) + 16384.0;
  uint denormal = floatBitsToUint(sum) - 0x46800000u;
  code = magnitude < 0x3c800000u ? denormal : code;
  code = min(code, 0x7eu);
  code = magnitude >= 0x7f800000u ? 0x7fu : code;
  return code | ((bits ^ magnitude) >> 24);
}

uint nibF32ToE4m3(float x) {
  return nibF32ToE4m3Bits(floatBitsToUint(x));
}

// The FP8 E5M2 code in the low 8 bits (the upper ones are ignored) as fp32 bits: exact; Inf and NaN keep their bits.
// E5M2 is the upper byte of a half. 14 operations.
uint nibE5m2ToF32Bits(uint code) {
  return nibHalfToF32Bits(code << 8);
}

float nibE5m2ToF32(uint code) {
  return uintBitsToFloat(nibE5m2ToF32Bits(code));
}

// The E5M2 code nearest to an fp32, ties to even; finite values beyond 57344 give 57344 (0x7b). Inf and NaN give 0x7f.
// The sign is always kept. 16 operations.
uint nibF32ToE5m2Bits(uint bits) {
  uint magnitude = bits & 0x7fffffffu;
  uint code = (magnitude + ((magnitude >> 21) & 1u) - 0x37f00001u) >> 21;
  // Below 2^-14: the ulp of 2^7 is 2^-16, the unit of denormal codes.
  precise float sum = uintBitsToFloat(magnitude) + 128.0;
  uint denormal = floatBitsToUint(sum) - 0x43000000u;
  code = magnitude < 0x38800000u ? denormal : code;
  code = min(code, 0x7bu);
  code = magnitude >= 0x7f800000u ? 0x7fu : code;
  return code | ((bits ^ magnitude) >> 24);
}

uint nibF32ToE5m2(float x) {
  return nibF32ToE5m2Bits(floatBitsToUint(x));
}

#endif
