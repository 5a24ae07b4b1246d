#include "formats/iq4.h"

#include "formats/group_search.h"

namespace nib {

void quantizeIq4(const uint32_t* x_bits, const uint32_t* importance_bits, uint32_t count, Block* block) {
  SearchGroup g{kMostGroupCols, {}, {}};
  int32_t exponent = 0;
  uint32_t largest = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const int32_t field = exact::exponentFieldOf(x_bits[i]);
    exponent = field > exponent ? field : exponent;
    if (importance_bits == nullptr) continue;
    const uint32_t bits = importanceBits(importance_bits[i]);
    largest = bits > largest ? bits : largest;
  }
  for (uint32_t i = 0; i < count; ++i) g.x[i] = exact::floatOf(movedExponent(x_bits[i], 127 - exponent, 107));
  const float square = sumOfSquares(g) * (2.0f / 32.0f);
  for (uint32_t i = 0; i < g.count; ++i) {
    if (importance_bits == nullptr) {
      g.weight[i] = g.x[i] * g.x[i];
    } else {
      g.weight[i] =
          importanceWeight(i < count ? importance_bits[i] : 0u, largest) * exact::nibSqrt(square + g.x[i] * g.x[i]);
    }
  }
  block->scale_stored = halfOfDivided(exponent == 0 ? 0.0f : fitIq4(g), exponent, &block->saturated);
  const uint32_t scale = exact::nibHalfToF32Bits(block->scale_stored);
  const float rcp = block->scale_stored == 0 ? 0.0f : exact::floatOf(exact::nibDivBits(0x3f800000u, scale));
  for (uint32_t i = 0; i < count; ++i) {
    block->code[i] = uint8_t(nearestIq4(exact::floatOf(exact::nibFlushBits(x_bits[i])) * rcp));
  }
}

}  // namespace nib
