#include "formats/nested.h"

#include "formats/product.h"
#include "formats/scale_store.h"
#include "numerics/mean.h"
#include "shaders/numerics/dynamic_map.h"

namespace nib {
namespace {

constexpr uint32_t kMap[256] = {NIB_DYNAMIC_MAP};
constexpr uint32_t kMidpoints[255] = {NIB_DYNAMIC_MIDPOINTS};

// scale - offset, without denormals.
uint32_t difference(uint32_t scale_bits, uint32_t offset_bits) {
  return exact::nibFlushBits(exact::bitsOf(exact::floatOf(scale_bits) - exact::floatOf(offset_bits)));
}

uint8_t nearestCode(uint32_t difference_bits, uint32_t nested_bits) {
  if (nested_bits == 0) return NIB_DYNAMIC_ZERO;
  const float y = exact::floatOf(difference_bits) * exact::floatOf(exact::nibDivBits(0x3f800000u, nested_bits));
  uint32_t code = 0;
  while (code < 255u && y > exact::floatOf(kMidpoints[code])) ++code;
  return uint8_t(code);
}

}  // namespace

uint32_t nestedScale(uint8_t code, uint32_t nested_bits, uint32_t offset_bits) {
  const float product = exact::nibFlush(exact::floatOf(kMap[code]) * exact::floatOf(ruledScale(nested_bits)));
  return ruledScale(exact::bitsOf(product + exact::floatOf(offset_bits)), true);
}

void nestScales(const uint32_t* scales, uint32_t count, uint8_t* codes, uint32_t* nested) {
  Mean mean{0};
  for (uint32_t i = 0; i < count; ++i) mean.largest = scales[i] > mean.largest ? scales[i] : mean.largest;
  for (uint32_t i = 0; i < count; ++i) mean.add(scales[i]);
  nested[0] = mean.bits(count);
  for (uint32_t first = 0; first < count; first += kNestedBlock) {
    const uint32_t end = count - first < kNestedBlock ? count : first + kNestedBlock;
    uint32_t largest = 0;
    for (uint32_t i = first; i < end; ++i) {
      const uint32_t size = difference(scales[i], nested[0]) & 0x7fffffffu;
      largest = size > largest ? size : largest;
    }
    largest = ruledScale(largest);
    nested[1 + first / kNestedBlock] = largest;
    for (uint32_t i = first; i < end; ++i) codes[i] = nearestCode(difference(scales[i], nested[0]), largest);
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
    const uint32_t bits = nestedScale(codes[i], exact::bitsOf(nested[1 + i / kNestedBlock]), exact::bitsOf(nested[0]));
    out_scales[i] = exact::floatOf(bits);
  }
}

}  // extern "C"
