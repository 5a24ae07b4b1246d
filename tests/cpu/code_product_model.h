// Products of codes by their definition: sums in 64-bit integers, scaling and all later steps in double precision,
// rounded to 24 bits after each. It shares no code with the reference or the shaders.
#ifndef NIB_TESTS_CODE_PRODUCT_MODEL_H
#define NIB_TESTS_CODE_PRODUCT_MODEL_H

#include <nibble/formats.h>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "model_ops.h"

namespace nib::tests {

// Rounds a product or sum to 24 bits at any exponent; magnitudes below 2^-126 become 0, from 2^127 on they saturate to
// the largest number below. The argument is exact in double, or its double rounding does not change the result.
inline double round24(double v) {
  if (!std::isfinite(v) || v == 0) return 0.0;
  int exponent = 0;
  const double fraction = std::frexp(v, &exponent);
  const double rounded = std::ldexp(model::halfEven(std::ldexp(fraction, 24)), exponent - 24);
  if (std::fabs(rounded) < 0x1p-126) return 0.0;
  if (std::fabs(rounded) >= 0x1p127) return std::copysign(0x1.fffffep126, rounded);
  return rounded;
}

// A value that the application provides: non-finite values and denormals count as 0.
inline double inputValue(double v) { return std::isfinite(v) && std::fabs(v) >= 0x1p-126 ? round24(v) : 0.0; }

// The codes, scales and zero points of one operand.
struct CodeSide {
  const NibWeights& w;
  const uint8_t* codes;
  const uint8_t* scales;
  const uint8_t* zeros;
  uint64_t row_bytes;
  uint32_t cols;

  bool isSigned() const { return w.format == NIB_FORMAT_INT8; }
  bool isNibble() const { return w.format == NIB_FORMAT_INT4 || w.format == NIB_FORMAT_UINT4; }
  uint32_t group() const { return w.granularity == NIB_GRANULARITY_GROUP && w.group_size < cols ? w.group_size : cols; }
  uint64_t index(uint64_t row, uint32_t col) const {
    if (w.granularity == NIB_GRANULARITY_TENSOR) return 0;
    if (w.granularity == NIB_GRANULARITY_ROW) return row;
    return row * ((cols + group() - 1) / group()) + col / group();
  }
  int64_t value(uint8_t byte) const { return isSigned() && byte >= 128 ? int64_t(byte) - 256 : int64_t(byte); }
  int64_t code(uint64_t row, uint32_t col) const {
    if (isNibble()) return codes[row * row_bytes + col / 2] >> (col % 2 * 4) & 15;
    return value(codes[row * row_bytes + col]);
  }
  int64_t zero(uint64_t row, uint32_t col) const {
    if ((w.flags & NIB_WEIGHTS_ASYMMETRIC) == 0) return isSigned() ? 0 : isNibble() ? 8 : 128;
    return isNibble() ? zeros[index(row, col)] & 15 : value(zeros[index(row, col)]);
  }
  double scale(uint64_t row, uint32_t col) const {
    const double v = model::load(scales, w.scale_type, index(row, col));
    return std::isfinite(v) && v >= 0x1p-120 ? v : 0.0;
  }
};

inline int64_t codeOf(double y, float scale, int32_t zero, int64_t first, int64_t last) {
  const double steps = round24(y * model::quotient(1.0, double(scale)));
  const double code = model::halfEven(std::fmax(-1e6, std::fmin(1e6, steps))) + zero;
  return int64_t(std::fmax(double(first), std::fmin(double(last), code)));
}

// An element of a token that is multiplied in fp32.
struct Outlier {
  uint32_t col;
  double x;
};

struct CodeProduct {
  const NibInt8GemmDesc& d;
  CodeSide w, x;
  const uint8_t* bias;
  const uint8_t* table;
  std::vector<std::vector<Outlier>> outliers = {};  // by token

  bool toCode() const { return d.result_type == NIB_INT8_RESULT_I8 || d.result_type == NIB_INT8_RESULT_U8; }
  int64_t firstCode() const { return d.result_type == NIB_INT8_RESULT_I8 ? -128 : 0; }

  int64_t sum(uint64_t w_row, uint64_t x_row, uint32_t col) const {
    return (x.code(x_row, col) - x.zero(x_row, col)) * (w.code(w_row, col) - w.zero(w_row, col));
  }

  double scaledSums(uint64_t w_row, uint64_t x_row) const {
    double y = 0;
    int64_t piece = 0;
    for (uint32_t col = 0; col < d.cols; ++col) {
      piece += sum(w_row, x_row, col);
      // A piece ends at every multiple of the greatest common divisor of the two group sizes.
      uint32_t a = w.group(), b = x.group();
      if (a >= d.cols) a = 0;
      if (b >= d.cols) b = 0;
      while (b != 0) {
        const uint32_t rest = a % b;
        a = b;
        b = rest;
      }
      if (col + 1 != d.cols && (a == 0 || (col + 1) % a != 0)) continue;
      y = round24(y + round24(round24(double(float(piece)) * x.scale(x_row, col)) * w.scale(w_row, col)));
      piece = 0;
    }
    return y;
  }

  double activated(double y) const {
    if (d.activation == NIB_ACTIVATION_NONE) return y;
    if (d.activation == NIB_ACTIVATION_RELU) return std::fmax(y, 0.0);
    if (d.activation == NIB_ACTIVATION_RELU6) return std::fmin(std::fmax(y, 0.0), 6.0);
    return inputValue(model::load(table, NIB_TYPE_F32, uint64_t(codeOf(y, d.table_scale, d.table_zero, 0, 255))));
  }

  // The element's bits; `held` are its bits before the run.
  uint32_t element(uint64_t w_row, uint64_t x_row, uint32_t held) const {
    if (d.result_type == NIB_INT8_RESULT_I32) {
      int64_t all = 0;
      for (uint32_t col = 0; col < d.cols; ++col) all += sum(w_row, x_row, col);
      CHECK(std::llabs(all) < int64_t(1) << 31);
      return uint32_t(all);
    }
    double y = scaledSums(w_row, x_row);
    if (!outliers.empty()) {
      for (const Outlier& outlier : outliers[size_t(x_row)]) {
        const double value =
            round24(double(w.code(w_row, outlier.col) - w.zero(w_row, outlier.col)) * w.scale(w_row, outlier.col));
        y = round24(y + round24(value * outlier.x));
      }
    }
    if (d.flags & NIB_PRODUCT_BIAS) y = round24(y + inputValue(model::load(bias, NIB_TYPE_F32, w_row)));
    y = activated(y);
    if (d.flags & NIB_PRODUCT_RESIDUAL) {
      const int64_t code = firstCode() < 0 && held >= 128 ? int64_t(held) - 256 : int64_t(held);
      const double before = toCode() ? round24(double(code - d.result_zero) * double(d.result_scale))
                                     : model::valueOf(d.result_type, held);
      // Infinities and NaNs are kept; a 16-bit NaN becomes quiet.
      if (std::isnan(before) && d.result_type != NIB_TYPE_F32) {
        const uint32_t sign = held & 0x8000u;
        return sign | (d.result_type == NIB_TYPE_F16 ? 0x7e00u : 0x7fc0u);
      }
      if (!std::isfinite(before)) return held;
      y = round24(y + inputValue(before));
    }
    if (toCode()) return uint32_t(codeOf(y, d.result_scale, d.result_zero, firstCode(), firstCode() + 255)) & 0xffu;
    return model::bitsOf(d.result_type, model::roundTo(d.result_type, y));
  }
};

}  // namespace nib::tests
#endif
