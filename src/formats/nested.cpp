#include "formats/nested.h"

#include "../../shaders/common/dynamic_map.h"
#include "formats/product.h"
#include "formats/scale_store.h"

namespace nib {
namespace {

constexpr uint32_t kMap[256] = {NIB_DYNAMIC_MAP};
constexpr uint32_t kMidpoints[255] = {NIB_DYNAMIC_MIDPOINTS};

}  // namespace

void NestedMean::add(uint32_t bits) {
  if (bits < 0x00800000u) return;  // a denormal is 0
  const uint32_t below = (largest >> 23) - (bits >> 23);
  if (below >= 24u) return;
  const uint32_t mantissa = (bits & 0x7fffffu) | 0x800000u;
  sum += (mantissa + (1u << below)) >> (below + 1u);
}

uint32_t NestedMean::meanBits(uint32_t count) const {
  if (sum == 0) return 0;
  const uint32_t quotient = exact::nibDivBits(bitsOfFloat(float(sum)), bitsOfFloat(float(count)));
  const int32_t exponent = int32_t(quotient >> 23) + int32_t(largest >> 23) - 149;  // a unit is 2^(E - 22)
  return exponent < 1 ? 0u : (uint32_t(exponent) << 23) | (quotient & 0x7fffffu);
}

uint32_t nestedDifference(uint32_t scale_bits, uint32_t offset_bits) {
  return exact::nibFlushBits(bitsOfFloat(floatOfBits(scale_bits) - floatOfBits(offset_bits)));
}

uint32_t nestedRuled(uint32_t largest_difference_bits) { return ruledScale(largest_difference_bits); }

uint8_t nestedCode(uint32_t difference_bits, uint32_t nested_bits) {
  if (nested_bits == 0) return NIB_DYNAMIC_ZERO;
  const float y = floatOfBits(difference_bits) * floatOfBits(exact::nibDivBits(0x3f800000u, nested_bits));
  uint32_t code = 0;
  while (code < 255u && y > floatOfBits(kMidpoints[code])) ++code;
  return uint8_t(code);
}

uint32_t nestedScale(uint8_t code, uint32_t nested_bits, uint32_t offset_bits) {
  const uint32_t product = exact::nibFlushBits(bitsOfFloat(floatOfBits(kMap[code]) * floatOfBits(ruledScale(nested_bits))));
  return ruledScale(bitsOfFloat(floatOfBits(product) + floatOfBits(offset_bits)), true);
}

void nestScales(const uint32_t* scales, uint32_t count, uint8_t* codes, uint32_t* nested) {
  NestedMean mean{0};
  for (uint32_t i = 0; i < count; ++i) mean.largest = scales[i] > mean.largest ? scales[i] : mean.largest;
  for (uint32_t i = 0; i < count; ++i) mean.add(scales[i]);
  nested[0] = mean.meanBits(count);
  for (uint32_t first = 0; first < count; first += kNestedBlock) {
    const uint32_t end = count - first < kNestedBlock ? count : first + kNestedBlock;
    uint32_t largest = 0;
    for (uint32_t i = first; i < end; ++i) {
      const uint32_t size = nestedDifference(scales[i], nested[0]) & 0x7fffffffu;
      largest = size > largest ? size : largest;
    }
    largest = nestedRuled(largest);
    nested[1 + first / kNestedBlock] = largest;
    for (uint32_t i = first; i < end; ++i) codes[i] = nestedCode(nestedDifference(scales[i], nested[0]), largest);
  }
}

}  // namespace nib

using namespace nib;

extern "C" {

void nibNestScales(const float* scales, uint32_t count, uint8_t* out_codes, float* out_nested) {
  nestScales(reinterpret_cast<const uint32_t*>(scales), count, out_codes, reinterpret_cast<uint32_t*>(out_nested));
}

void nibUnnestScales(const uint8_t* codes, const float* nested, uint32_t count, float* out_scales) {
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t bits = nestedScale(codes[i], bitsOfFloat(nested[1 + i / kNestedBlock]), bitsOfFloat(nested[0]));
    out_scales[i] = floatOfBits(bits);
  }
}

}  // extern "C"
