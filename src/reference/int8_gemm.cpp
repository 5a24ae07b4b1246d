// Reference of int8 products; shaders/products/int8_epilogue.glsl is the GPU counterpart. Integer arithmetic wherever a
// float could be denormal or infinite.
#include "reference/int8_product.h"

#include <nibble/formats.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "reference/activation.h"

namespace nib::reference {
namespace {

constexpr uint32_t kMost = 0x7effffffu;  // the largest number below 2^127
// A block of products is kTokens tokens by kBlock channels.
constexpr uint32_t kTokens = 32;
constexpr uint32_t kBlock = kDotRows;
constexpr uint32_t kTaskRows = 256;    // channels of a task
constexpr uint32_t kBlockCols = 1024;  // columns unpacked at a time; sums over them are below 2^31 in every format

// Values up to the largest allowed; denormals, infinities and NaN become +0.
uint32_t ordinary(uint32_t bits) {
  if (exact::nibIsNonFinite(bits) || exact::exponentFieldOf(bits) == 0) return 0;
  return exact::magnitudeOf(bits) > kMost ? exact::signOf(bits) | kMost : bits;
}

// The product of normal numbers or zeros, rounded half-even.
uint32_t mulBits(uint32_t a, uint32_t b) {
  // Far from the ends of the range the product of floats is the same.
  const auto isMiddle = [](uint32_t x) { return uint32_t(exact::exponentFieldOf(x)) - 64u < 125u; };
  if (isMiddle(a) && isMiddle(b)) return exact::bitsOf(exact::floatOf(a) * exact::floatOf(b));
  if (exact::exponentFieldOf(a) == 0 || exact::exponentFieldOf(b) == 0) return 0;
  const uint64_t product = uint64_t(exact::mantissaOf(a)) * exact::mantissaOf(b);  // 47 or 48 bits
  const int drop = product >> 47 != 0 ? 24 : 23;
  uint64_t mantissa = exact::shiftRightHalfEven(product, drop);
  int exponent = exact::exponentFieldOf(a) + exact::exponentFieldOf(b) - 150 + drop;
  if (mantissa == 0x01000000u) {
    mantissa >>= 1;
    ++exponent;
  }
  const uint32_t sign = exact::signOf(a ^ b);
  if (exponent <= 0) return 0;
  if (exponent > 253) return sign | kMost;
  return sign | uint32_t(exponent) << 23 | (uint32_t(mantissa) & 0x007fffffu);
}

uint32_t floatBits(int32_t i) { return exact::bitsOf(float(i)); }

// The sum of normal numbers up to the largest allowed, or zeros. It cannot overflow, and a denormal sum is exact.
uint32_t addBits(uint32_t a, uint32_t b) { return ordinary(exact::bitsOf(exact::floatOf(a) + exact::floatOf(b))); }

// One quantized operand. Codes and zero points are centred: a symmetric zero point is 0.
struct Operand {
  const NibWeights& weights;
  const Geometry& g;
  const uint8_t* codes;
  const void* scales;
  const uint8_t* zeros;

  int32_t center() const {
    if (weights.format == NIB_FORMAT_INT8) return 0;
    return weights.format == NIB_FORMAT_UINT8 ? 128 : 8;
  }
  int32_t centered(uint32_t stored) const {
    return weights.format == NIB_FORMAT_INT8 ? int32_t(int8_t(stored)) : int32_t(stored) - center();
  }
  // Codes first..first+count-1 of a row minus `zero`, their zero point.
  void load(uint32_t row, uint32_t first, uint32_t count, int32_t zero, int16_t* out) const {
    const uint8_t* row_bytes = codes + uint64_t(row) * g.row_words * 4u;
    if (g.format->info.bits == 8) {
      const uint8_t flip = weights.format == NIB_FORMAT_INT8 ? 0 : 0x80;
      const uint8_t* from = row_bytes + first;
      for (uint32_t i = 0; i < count; ++i) out[i] = int16_t(int8_t(from[i] ^ flip) - zero);
      return;
    }
    uint32_t done = 0;
    if (first % 2 == 0) {
      const uint8_t* pairs = row_bytes + first / 2u;
      const int32_t moved = center() + zero;
      for (; done + 2 <= count; done += 2) {
        const uint32_t pair = pairs[done / 2];
        out[done] = int16_t(int32_t(pair & 15u) - moved);
        out[done + 1] = int16_t(int32_t(pair >> 4) - moved);
      }
    }
    for (uint32_t i = done; i < count; ++i) {
      const uint32_t col = first + i;
      out[i] = int16_t(centered(row_bytes[col / 2u] >> (col % 2u * 4u) & 15u) - zero);
    }
  }
  uint64_t index(uint32_t row, uint32_t col) const { return uint64_t(row) * g.scale_row_stride + col / g.group; }
  uint32_t scale(uint32_t row, uint32_t col) const {
    const uint32_t stored = loadStored(scales, scaleBytes(weights.scale_type), index(row, col));
    return ruledScale(scaleFromStored(stored, weights.scale_type));
  }
  int32_t zero(uint32_t row, uint32_t col) const {
    if (!(weights.flags & NIB_WEIGHTS_ASYMMETRIC)) return 0;
    const uint32_t stored = zeros[index(row, col)];
    return centered(g.format->info.bits == 4 ? stored & 15u : stored);
  }
};

// clamp(roundEven(y * (1 / scale)) + zero). Steps are bounded first, because the conversion could overflow.
int32_t requantized(uint32_t y, float scale, int32_t zero, int32_t first, int32_t last) {
  const uint32_t rcp = exact::nibDivBits(0x3f800000u, exact::bitsOf(scale));
  const float steps = exact::floatOf(mulBits(y, rcp));
  const int32_t rounded = steps > 1000 ? 1000 : steps < -1000 ? -1000 : int32_t(std::nearbyint(steps));
  const int32_t code = rounded + zero;
  return code < first ? first : code > last ? last : code;
}

class Product {
 public:
  Product(const Int8Product& p, const Int8Operands& o, const Int8Steps& steps)
      : p_(p),
        d_(p.desc),
        w_{p.desc.weights, p.weights, static_cast<const uint8_t*>(o.weights_codes), o.weights_scales,
           static_cast<const uint8_t*>(o.weights_zeros)},
        x_{p.desc.input, p.input, static_cast<const uint8_t*>(o.input_codes), o.input_scales,
           static_cast<const uint8_t*>(o.input_zeros)},
        o_(o),
        steps_(steps) {}

  // Results of channels from_row..end_row-1 for tokens first..first+count-1 of a matrix, count at most kTokens.
  void tokens(uint32_t matrix, uint32_t first, uint32_t count, uint32_t from_row, uint32_t end_row) const {
    const uint32_t x_row = matrix * d_.tokens + o_.first_input + first;
    const uint64_t y_row = matrix * uint64_t(d_.tokens) + o_.first_row + first;
    const bool is_sum = d_.result_type == NIB_INT8_RESULT_I32;
    const std::unique_ptr<ScaledSums> sums =
        steps_.sums != nullptr && !is_sum ? steps_.sums(p_, o_, x_row, count) : nullptr;
    TokenCodes x;
    for (uint32_t row = from_row; row < end_row; row += kBlock) {
      block(matrix * d_.rows + row, std::min(kBlock, end_row - row), x_row, y_row, count, row, sums.get(), &x);
    }
    if (end_row != d_.rows) return;
    // The rest of a token's last word is 0.
    const uint32_t per_word = 4u / int8ResultBytes(d_.result_type);
    uint8_t* bytes = static_cast<uint8_t*>(o_.output);
    for (uint32_t t = 0; t < count; ++t) {
      const uint64_t at = (y_row + t) * d_.result_stride;
      for (uint64_t i = d_.rows; i % per_word != 0; ++i)
        std::memset(bytes + (at + i) * (4u / per_word), 0, 4u / per_word);
    }
  }

 private:
  // Codes minus their zero points.
  using Codes = int16_t[kBlock][kBlockCols];
  struct TokenCodes {
    alignas(64) int16_t codes[kTokens][kBlockCols];
    uint32_t col = UINT32_MAX;  // where they begin
  };

  // Results of w_count rows of weights for x_count tokens. y_row, column: place of the first result.
  void block(uint32_t w_row, uint32_t w_count, uint32_t x_row, uint64_t y_row, uint32_t x_count, uint32_t column,
             const ScaledSums* found, TokenCodes* x) const {
    const bool is_sum = d_.result_type == NIB_INT8_RESULT_I32;
    uint32_t y[kTokens][kBlock] = {};
    const bool done = found != nullptr && found->find(w_row, w_count, y);
    if (found != nullptr && !done) std::memset(y, 0, sizeof y);
    for (uint32_t first = 0; !done && first < d_.cols;) {
      const uint32_t end = is_sum || d_.cols - first < p_.segment ? d_.cols : first + p_.segment;
      int32_t sums[kTokens][kBlock] = {};
      addProducts(w_row, w_count, x_row, x_count, first, end, x, sums);
      uint32_t w_scales[kBlock] = {};
      for (uint32_t r = 0; !is_sum && r < w_count; ++r) w_scales[r] = w_.scale(w_row + r, first);
      for (uint32_t t = 0; t < x_count; ++t) {
        const uint32_t x_scale = is_sum ? 0 : x_.scale(x_row + t, first);
        for (uint32_t r = 0; r < w_count; ++r) {
          y[t][r] = is_sum ? uint32_t(sums[t][r])
                           : addBits(y[t][r], mulBits(mulBits(floatBits(sums[t][r]), x_scale), w_scales[r]));
        }
      }
      first = end;
    }
    for (uint32_t t = 0; t < x_count; ++t) {
      const uint64_t at = (y_row + t) * d_.result_stride + column;
      for (uint32_t r = 0; r < w_count; ++r)
        store(at + r, is_sum ? y[t][r] : finished(y[t][r], w_row + r, x_row + t, at + r));
    }
  }

  // Accumulates columns first..end-1, which share scales and zero points.
  void addProducts(uint32_t w_row, uint32_t w_count, uint32_t x_row, uint32_t x_count, uint32_t first, uint32_t end,
                   TokenCodes* tokens, int32_t (&sums)[kTokens][kBlock]) const {
    alignas(64) Codes w;
    int16_t(&x)[kTokens][kBlockCols] = tokens->codes;
    for (uint32_t col = first; col < end; col += kBlockCols) {
      const uint32_t count = std::min(kBlockCols, end - col);
      for (uint32_t r = 0; r < w_count; ++r) w_.load(w_row + r, col, count, w_.zero(w_row + r, first), w[r]);
      if (tokens->col != col) {
        for (uint32_t t = 0; t < x_count; ++t) x_.load(x_row + t, col, count, x_.zero(x_row + t, first), x[t]);
        const uint32_t end_lane = uint32_t(alignUp(count, kDotLanes));
        for (uint32_t t = 0; t < x_count; ++t) std::fill(x[t] + count, x[t] + end_lane, int16_t(0));
        tokens->col = col;
      }
      if (steps_.add != nullptr) {
        const uint32_t end_lane = uint32_t(alignUp(count, kDotLanes));
        for (uint32_t r = 0; r < w_count; ++r) std::fill(w[r] + count, w[r] + end_lane, int16_t(0));
        steps_.add(w[0], w_count, x[0], x_count, kBlockCols, count, sums);
        continue;
      }
      for (uint32_t t = 0; t < x_count; ++t) {
        for (uint32_t r = 0; r < w_count; ++r) {
          int32_t sum = 0;
          for (uint32_t i = 0; i < count; ++i) sum += int32_t(x[t][i]) * int32_t(w[r][i]);
          sums[t][r] += sum;
        }
      }
    }
  }

  // y plus the products of the token's outliers, in ascending columns.
  uint32_t withOutliers(uint32_t y, uint32_t w_row, uint32_t x_row) const {
    const uint32_t* list = static_cast<const uint32_t*>(o_.outliers) + uint64_t(x_row) * listWords(p_.max_outliers);
    for (uint32_t i = 0; i < list[0]; ++i) {
      const uint32_t col = list[1 + 2 * i];
      int16_t code;
      w_.load(w_row, col, 1, w_.zero(w_row, col), &code);
      y = addBits(y, mulBits(mulBits(floatBits(code), w_.scale(w_row, col)), list[2 + 2 * i]));
    }
    return y;
  }

  uint32_t activated(uint32_t y) const {
    if (hasTable(d_)) {
      const int32_t code = requantized(y, d_.table_scale, d_.table_zero, 0, 255);
      return ordinary(static_cast<const uint32_t*>(o_.table)[code]);
    }
    const float x = exact::floatOf(y);
    if (d_.activation == NIB_ACTIVATION_NONE) return y;
    if (d_.activation == NIB_ACTIVATION_RELU) return x > 0 ? y : 0u;
    if (d_.activation == NIB_ACTIVATION_RELU6) return x > 6 ? 0x40c00000u : x > 0 ? y : 0u;
    return ordinary(exact::bitsOf(float(activate(d_.activation, double(x)))));
  }

  // Adds outliers, bias, activation and residual to the scaled sum y. at: index of the result element.
  uint32_t finished(uint32_t y, uint32_t w_row, uint32_t x_row, uint64_t at) const {
    if (p_.max_outliers != 0) y = withOutliers(y, w_row, x_row);
    if (d_.flags & NIB_PRODUCT_BIAS) y = addBits(y, ordinary(static_cast<const uint32_t*>(o_.bias)[w_row]));
    y = activated(y);
    if ((d_.flags & NIB_PRODUCT_RESIDUAL) == 0) return y;
    const uint32_t before = held(at);
    return exact::nibIsNonFinite(before) ? before : addBits(y, ordinary(before));
  }

  // The previous value of a result element, as fp32 bits.
  uint32_t held(uint64_t at) const {
    if (!isInt8Code(d_.result_type)) return loadDense(o_.output, d_.result_type, at);
    const uint8_t stored = static_cast<const uint8_t*>(o_.output)[at];
    const int32_t code = d_.result_type == NIB_INT8_RESULT_I8 ? int32_t(int8_t(stored)) : int32_t(stored);
    return mulBits(floatBits(code - d_.result_zero), exact::bitsOf(d_.result_scale));
  }

  void store(uint64_t at, uint32_t bits) const {
    if (isInt8Code(d_.result_type)) {
      const int32_t first = d_.result_type == NIB_INT8_RESULT_I8 ? -128 : 0;
      const int32_t code = requantized(bits, d_.result_scale, d_.result_zero, first, first + 255);
      static_cast<uint8_t*>(o_.output)[at] = uint8_t(code);
    } else {
      storeDense(o_.output, d_.result_type == NIB_INT8_RESULT_I32 ? uint32_t(NIB_TYPE_F32) : d_.result_type, at, bits);
    }
  }

  const Int8Product& p_;
  const NibInt8GemmDesc& d_;
  Operand w_, x_;
  const Int8Operands& o_;
  const Int8Steps steps_;
};

}  // namespace

Int8Operands int8Operands(const NibMemory& memory, const NibCpuBinding& binding, uint32_t first_row) {
  const auto weights = [&](NibPart part) { return partOf<void>(memory, binding, NIB_ROLE_WEIGHTS, part); };
  const auto input = [&](NibPart part) { return partOf<void>(memory, binding, NIB_ROLE_INPUT, part); };
  return {weights(NIB_PART_CODES),
          weights(NIB_PART_SCALES),
          weights(NIB_PART_ZEROS),
          weights(NIB_PART_BIAS),
          weights(NIB_PART_TABLE),
          input(NIB_PART_INPUT_CODES),
          input(NIB_PART_INPUT_SCALES),
          input(NIB_PART_INPUT_ZEROS),
          nullptr,
          binding.range[NIB_ROLE_OUTPUT].data,
          first_row,
          first_row};
}

void int8Product(const Int8Product& product, const Int8Operands& operands, uint32_t n, const NibParallelFor* parallel,
                 const Int8Steps& steps) {
  const Product p(product, operands, steps);
  const uint32_t blocks = uint32_t(ceilDiv(n, kTokens)), rows = product.desc.rows;
  const uint32_t tasks = uint32_t(ceilDiv(rows, kTaskRows));
  auto body = [&](uint32_t i) {
    const uint32_t first = i / tasks % blocks * kTokens, row = i % tasks * kTaskRows;
    p.tokens(i / tasks / blocks, first, std::min(kTokens, n - first), row, std::min(rows, row + kTaskRows));
  };
  if (uint64_t(product.desc.batch) * blocks * tasks <= UINT32_MAX) {
    forEach(parallel, product.desc.batch * blocks * tasks, body);
    return;
  }
  for (uint32_t i = 0; i < product.desc.batch * blocks; ++i) {
    const uint32_t first = i % blocks * kTokens;
    p.tokens(i / blocks, first, std::min(kTokens, n - first), 0, rows);
  }
}

}  // namespace nib::reference
