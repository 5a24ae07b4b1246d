// The interface of exact_probe.comp, which applies one function of numerics/ to an array of pairs, and the list
// of those functions. Each row is one expression in a and b that GLSL and C++ both evaluate, so the list cannot differ.
#ifndef NIB_TESTS_EXACT_PROBE_H
#define NIB_TESTS_EXACT_PROBE_H

#include "common/interface.h"

// id 0 = workgroup size, id 1 = the row to apply.
#define EXACT_PROBE_SPEC(X) \
  X(0, uint, WG, 64)        \
  X(1, uint, OP, 0)

#define EXACT_PROBE_BIND_PAIRS 1    // uint a, b, a, b, ...
#define EXACT_PROBE_BIND_RESULTS 2  // one uint for each pair

// X(row, name, inputs, expression). EXACT_PROBE_ANY: defined for every pair of bit patterns. EXACT_PROBE_ORDINARY: the
// expression uses floats, which do not keep denormals, Inf and NaN on every device: a, b and the result are zeros or
// normal numbers.
#define EXACT_PROBE_ANY 0
#define EXACT_PROBE_ORDINARY 1
#define EXACT_PROBE_OPS(X)                                                                                   \
  X(0, IsNonFinite, EXACT_PROBE_ANY, uint(nibIsNonFinite(a)))                                                \
  X(1, FlushBits, EXACT_PROBE_ANY, nibFlushBits(a))                                                          \
  X(2, HalveBits, EXACT_PROBE_ANY, nibHalveBits(a))                                                          \
  X(3, Key, EXACT_PROBE_ANY, nibKey(a))                                                                      \
  X(4, Unkey, EXACT_PROBE_ANY, nibUnkey(a))                                                                  \
  X(5, DivBits, EXACT_PROBE_ANY, nibDivBits(a, b))                                                           \
  X(6, SqrtBits, EXACT_PROBE_ANY, nibSqrtBits(a))                                                            \
  X(7, I32ToF32Bits, EXACT_PROBE_ANY, nibI32ToF32Bits(int(a)))                                               \
  X(8, HalfToF32Bits, EXACT_PROBE_ANY, nibHalfToF32Bits(a))                                                  \
  X(9, F32ToHalfBits, EXACT_PROBE_ANY, nibF32ToHalfBits(a))                                                  \
  X(10, F32ToHalfSatBits, EXACT_PROBE_ANY, nibF32ToHalfSatBits(a))                                           \
  X(11, Bf16ToF32Bits, EXACT_PROBE_ANY, nibBf16ToF32Bits(a))                                                 \
  X(12, F32ToBf16Bits, EXACT_PROBE_ANY, nibF32ToBf16Bits(a))                                                 \
  X(13, F32ToBf16SatBits, EXACT_PROBE_ANY, nibF32ToBf16SatBits(a))                                           \
  X(14, E4m3ToF32Bits, EXACT_PROBE_ANY, nibE4m3ToF32Bits(a))                                                 \
  X(15, F32ToE4m3Bits, EXACT_PROBE_ANY, nibF32ToE4m3Bits(a))                                                 \
  X(16, E5m2ToF32Bits, EXACT_PROBE_ANY, nibE5m2ToF32Bits(a))                                                 \
  X(17, F32ToE5m2Bits, EXACT_PROBE_ANY, nibF32ToE5m2Bits(a))                                                 \
  X(18, Flush, EXACT_PROBE_ORDINARY, floatBitsToUint(nibFlush(uintBitsToFloat(a))))                          \
  X(19, Halve, EXACT_PROBE_ORDINARY, floatBitsToUint(nibHalve(uintBitsToFloat(a))))                          \
  X(20, Div, EXACT_PROBE_ORDINARY, floatBitsToUint(nibDiv(uintBitsToFloat(a), uintBitsToFloat(b))))          \
  X(21, Sqrt, EXACT_PROBE_ORDINARY, floatBitsToUint(nibSqrt(uintBitsToFloat(a))))                            \
  X(22, I32ToF32, EXACT_PROBE_ANY, floatBitsToUint(nibI32ToF32(int(a))))                                     \
  X(23, HalfToF32, EXACT_PROBE_ORDINARY, floatBitsToUint(nibHalfToF32(nibF32ToHalfSat(uintBitsToFloat(a))))) \
  X(24, F32ToHalf, EXACT_PROBE_ORDINARY, nibF32ToHalf(uintBitsToFloat(a)))                                   \
  X(25, Bf16ToF32, EXACT_PROBE_ORDINARY, floatBitsToUint(nibBf16ToF32(nibF32ToBf16Sat(uintBitsToFloat(a))))) \
  X(26, F32ToBf16, EXACT_PROBE_ORDINARY, nibF32ToBf16(uintBitsToFloat(a)))                                   \
  X(27, E4m3ToF32, EXACT_PROBE_ORDINARY, floatBitsToUint(nibE4m3ToF32(nibF32ToE4m3(uintBitsToFloat(a)))))    \
  X(28, E5m2ToF32, EXACT_PROBE_ORDINARY, floatBitsToUint(nibE5m2ToF32(nibF32ToE5m2(uintBitsToFloat(a)))))    \
  X(29, WidenHalves, EXACT_PROBE_ANY, nibProbeWiden(a))                                                      \
  X(30, NarrowHalves, EXACT_PROBE_ORDINARY, nibProbeNarrow(a))                                               \
  X(31, SumBits, EXACT_PROBE_ANY, nibProbeSum(a, b))                                                         \
  X(32, ProductBits, EXACT_PROBE_ANY, nibProbeProduct(a, b))                                                 \
  X(33, SumNearZero, EXACT_PROBE_ANY, nibProbeSum(a, (a ^ 0x80000000u) + (b & 15u) - 8u))                    \
  X(34, SumOfTiny, EXACT_PROBE_ANY, nibProbeSum(a & 0x81ffffffu, b & 0x81ffffffu))                           \
  X(35, SumOfLarge, EXACT_PROBE_ANY, nibProbeSum(a | 0x7e000000u, b | 0x7c000000u))                          \
  /* m * 2^-87 times about 2 / m * 2^-40: on both sides of 2^-126. */                                        \
  X(36, ProductNearLeast, EXACT_PROBE_ANY,                                                                   \
    nibProbeProduct((a & 0x807fffffu) | 0x14000000u,                                                         \
                    nibDivBits(0x40000000u, (a & 0x007fffffu) | 0x3f800000u) - 0x14000000u))                 \
  /* The same about 2^128. */                                                                                \
  X(37, ProductNearMost, EXACT_PROBE_ANY,                                                                    \
    nibProbeProduct((a & 0x807fffffu) | 0x5f000000u,                                                         \
                    nibDivBits(0x40000000u, (a & 0x007fffffu) | 0x3f800000u) + 0x20000000u))

#define EXACT_PROBE_OP_COUNT 38

#ifdef __cplusplus
namespace nib {
#endif

struct ExactProbePush {
  uint count;  // pairs
  uint pad;
};

#ifdef __cplusplus
}  // namespace nib

#include "numerics/exact.h"
#include "numerics/float_bits.h"

namespace nib::exact_probe {

inline std::uint32_t floatBitsToUint(float x) { return exact::bitsOf(x); }
inline float uintBitsToFloat(std::uint32_t bits) { return exact::floatOf(bits); }
// As in numerics/halves.glsl: Inf and NaN have the exponent 255 instead of 143, 112 too high.
inline std::uint32_t nibProbeWiden(std::uint32_t h) {
  const std::uint32_t bits = exact::nibHalfToF32Bits(h & 0xffffu);
  return exact::nibIsNonFinite(bits) ? bits - (112u << 23) : bits;
}
inline std::uint32_t nibProbeNarrow(std::uint32_t bits) { return exact::nibF32ToHalfBits(bits); }
inline std::uint32_t nibProbeSum(std::uint32_t a, std::uint32_t b) {
  return exact::nibSumBits(exact::nibCanonicalBits(a), exact::nibCanonicalBits(b));
}
inline std::uint32_t nibProbeProduct(std::uint32_t a, std::uint32_t b) {
  return exact::nibProductBits(exact::nibCanonicalBits(a), exact::nibCanonicalBits(b));
}

struct Row {
  const char* name;
  int inputs;
  std::uint32_t (*apply)(std::uint32_t a, std::uint32_t b);
};

// kRows[OP] is the function that exact_probe.comp computes with that OP.
namespace detail {
using namespace nib::exact;
using uint = std::uint32_t;
#define EXACT_PROBE_ROW(row, name, inputs, expression) \
  Row{#name, inputs, []([[maybe_unused]] uint a, [[maybe_unused]] uint b) -> uint { return expression; }},
inline constexpr Row kRows[] = {EXACT_PROBE_OPS(EXACT_PROBE_ROW)};
#undef EXACT_PROBE_ROW
}  // namespace detail
using detail::kRows;
static_assert(sizeof(kRows) / sizeof(kRows[0]) == EXACT_PROBE_OP_COUNT);

}  // namespace nib::exact_probe
#endif
#endif
