// NibActivation in double. shaders/numerics/activation.glsl is the GPU counterpart.
#ifndef NIB_REFERENCE_ACTIVATION_H
#define NIB_REFERENCE_ACTIVATION_H

#include <nibble/nibble.h>

#include <cmath>

namespace nib::reference {

inline double activate(uint32_t activation, double x) {
  switch (activation) {
    case NIB_ACTIVATION_RELU: return x > 0 ? x : 0;
    case NIB_ACTIVATION_RELU6: return x > 6 ? 6 : x > 0 ? x : 0;
    case NIB_ACTIVATION_GELU: return 0.5 * x * (1 + std::erf(x * 0.70710678118654752440));
    case NIB_ACTIVATION_GELU_TANH:
      return 0.5 * x * (1 + std::tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    case NIB_ACTIVATION_SILU: return x / (1 + std::exp(-x));
    default: return x;
  }
}

}  // namespace nib::reference
#endif
