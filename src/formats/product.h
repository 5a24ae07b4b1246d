// Products of a format's code values with a scale: rounded once to 24 bits; 0 below 2^-126; above fp32's range its
// largest number. shaders/numerics/product.glsl is the GPU counterpart.
#ifndef NIB_FORMATS_PRODUCT_H
#define NIB_FORMATS_PRODUCT_H

#include "numerics/exact.h"

namespace nib {

// magnitude and scale are finite and not negative. Their product is exact in double. Tiny and large products are scaled
// before the conversion to float, so that it rounds to 24 bits and cannot overflow.
inline uint32_t productBits(float magnitude, float scale) {
  const double product = double(magnitude) * double(scale);
  if (product < 0x1p-100) {
    const float up = float(product * 0x1p64);
    return up < 0x1p-62f ? 0u : exact::bitsOf(up * 0x1p-64f);
  }
  if (product >= 0x1p100) {
    const float down = float(product * 0x1p-64);
    return down >= 0x1p64f ? 0x7f7fffffu : exact::bitsOf(down * 0x1p64f);
  }
  return exact::bitsOf(float(product));
}

}  // namespace nib
#endif
