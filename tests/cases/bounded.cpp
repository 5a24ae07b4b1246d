#include "bounded.h"

#include <nibble/formats.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace nib::cases {
namespace {

// An element of a dense matrix of any type, from the definitions of the types.
double elementOf(const void* data, uint32_t type, uint64_t index) {
  if (type == NIB_TYPE_F32) return double(static_cast<const float*>(data)[index]);
  const uint32_t bits = static_cast<const uint16_t*>(data)[index];
  if (type == NIB_TYPE_BF16) {
    const uint32_t word = bits << 16;
    float value;
    std::memcpy(&value, &word, sizeof value);
    return double(value);
  }
  const double sign = bits & 0x8000u ? -1 : 1;
  const int exponent = int(bits >> 10 & 31u);
  const double mantissa = double(bits & 0x3ffu);
  if (exponent == 31) return mantissa != 0 ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  return sign * (exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25));
}

// The nearest number of a type, ties to even; beyond the largest infinite.
double roundedTo(uint32_t type, double x) {
  if (type == NIB_TYPE_F32) return double(float(x));
  const bool half = type == NIB_TYPE_F16;
  int exponent = 0;
  std::frexp(x, &exponent);
  const double ulp = std::ldexp(1, std::max(exponent - 1, half ? -14 : -126) - (half ? 10 : 7));
  const double y = std::nearbyint(x / ulp) * ulp;
  return half && std::abs(y) > 65504 ? std::copysign(std::numeric_limits<double>::infinity(), y) : y;
}

// A finite code of E4M3FN or E5M2 (arXiv 2209.05433).
double fp8Of(uint32_t code, uint32_t format) {
  const int mantissa_bits = format == NIB_FORMAT_FP8 ? 3 : 2, bias = format == NIB_FORMAT_FP8 ? 7 : 15;
  const int exponent = int(code & 127u) >> mantissa_bits, mantissa = int(code) & ((1 << mantissa_bits) - 1);
  const double magnitude = exponent == 0 ? std::ldexp(mantissa, 1 - bias - mantissa_bits)
                                         : std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
  return code & 128u ? -magnitude : magnitude;
}

// Activations `row` of all matrices', as the columns of the weights meet them.
std::vector<double> activationsOf(const NibMatmulDesc& d, uint64_t row, const void* input, const uint32_t* order) {
  std::vector<double> x(d.cols), met(d.cols);
  const uint64_t stride = d.input_stride != 0 ? d.input_stride : d.cols;
  const NibWeights& w = d.input;
  // Rows of codes are whole words; scales follow at a multiple of 256 bytes.
  const uint64_t row_bytes = (uint64_t(d.cols) + 3) / 4 * 4;
  const uint8_t* codes = static_cast<const uint8_t*>(input);
  const uint8_t* scales = codes + (row_bytes * d.tokens * std::max(d.batch, 1u) + 255) / 256 * 256;
  const uint64_t group = std::min(w.granularity == NIB_GRANULARITY_GROUP ? w.group_size : d.cols, d.cols);
  const uint64_t scale_stride = w.granularity == NIB_GRANULARITY_TENSOR ? 0 : (d.cols + group - 1) / group;
  for (uint32_t c = 0; c < d.cols; ++c) {
    if (w.format == NIB_FORMAT_DENSE) {
      x[c] = elementOf(input, d.input_type, row * stride + c);
      continue;
    }
    const double scale = elementOf(scales, w.scale_type, row * scale_stride + c / group);
    const double value = scale < 0x1p-120 ? 0 : double(float(fp8Of(codes[row * row_bytes + c], w.format) * scale));
    x[c] = roundedTo(d.input_type, value);
  }
  if (order == nullptr) return x;
  for (uint32_t c = 0; c < d.cols; ++c) met[c] = order[c] < d.cols ? x[order[c]] : 0;
  return met;
}

// Rows `numbers` of the weights as dequantizing gives them, fp32.
std::vector<float> weightRows(const NibMatmulDesc& d, const std::vector<uint32_t>& numbers, const NibMemory& memory,
                              const uint32_t* blob) {
  std::vector<float> values(numbers.size() * d.cols);
  if (d.weights.format == NIB_FORMAT_DENSE) {
    const uint64_t stride = d.weights.scale_type == NIB_TYPE_F32 ? d.cols : (uint64_t(d.cols) + 1) / 2 * 2;
    for (size_t i = 0; i < numbers.size(); ++i) {
      for (uint32_t c = 0; c < d.cols; ++c) {
        values[i * d.cols + c] = float(elementOf(blob, d.weights.scale_type, numbers[i] * stride + c));
      }
    }
    return values;
  }
  NibGatherDesc gather{};
  gather.op = NIB_OP_GATHER;
  gather.rows = d.rows * std::max(d.batch, 1u);
  gather.cols = d.cols;
  gather.count = uint32_t(numbers.size());
  gather.weights = d.weights;
  NibCpuBinding binding{};
  // The reference reads what is bound here, nothing else.
  binding.range[NIB_ROLE_WEIGHTS] = {const_cast<uint32_t*>(blob), memory.range[NIB_ROLE_WEIGHTS].size_bytes};
  binding.range[NIB_ROLE_INPUT] = {const_cast<uint32_t*>(numbers.data()), numbers.size() * 4};
  binding.range[NIB_ROLE_OUTPUT] = {values.data(), values.size() * 4};
  if (nibCpuRun(reinterpret_cast<const NibOpDesc*>(&gather), &binding, gather.count, nullptr, nullptr) != NIB_SUCCESS) {
    throw kit::Error("the weights of a product cannot be dequantized");
  }
  return values;
}

// `count` of [0, of), spread, both ends among them.
std::vector<uint32_t> spread(uint32_t of, uint64_t count) {
  std::vector<uint32_t> numbers;
  if (count >= of || of < 2) {
    for (uint32_t i = 0; i < of; ++i) numbers.push_back(i);
    return numbers;
  }
  count = std::max<uint64_t>(count, 2);
  for (uint64_t i = 0; i < count; ++i) numbers.push_back(uint32_t(i * (of - 1) / (count - 1)));
  return numbers;
}

double activated(uint32_t activation, double x) {
  switch (activation) {
    case NIB_ACTIVATION_RELU: return std::max(x, 0.0);
    case NIB_ACTIVATION_RELU6: return std::clamp(x, 0.0, 6.0);
    case NIB_ACTIVATION_GELU: return 0.5 * x * std::erfc(-x * std::sqrt(0.5));
    case NIB_ACTIVATION_GELU_TANH: return x / (1 + std::exp(-2 * std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case NIB_ACTIVATION_SILU: return x / (1 + std::exp(-x));
    default: return x;
  }
}

double matmulRatio(const NibMatmulDesc& d, uint32_t n, const NibMemory& memory, const uint32_t* const (&before)[NIB_ROLE_COUNT],
                   const uint32_t* output, uint64_t most_products) {
  const uint32_t batch = std::max(d.batch, 1u);
  const uint64_t most = std::max<uint64_t>(most_products / d.cols / batch, 16);
  const std::vector<uint32_t> tokens = spread(n, uint64_t(d.rows) * n <= most ? n : std::max<uint64_t>(2, most / 64));
  const std::vector<uint32_t> rows = spread(d.rows, most / std::max<size_t>(tokens.size(), 1));
  const bool even = d.result_type != NIB_TYPE_F32 && uint64_t(d.tokens) * batch > 1;
  const uint64_t result_stride = d.result_stride != 0 ? d.result_stride : even ? (uint64_t(d.rows) + 1) / 2 * 2 : d.rows;
  const uint8_t* blob = reinterpret_cast<const uint8_t*>(before[NIB_ROLE_WEIGHTS]);
  const bool ordered = (d.flags & NIB_PRODUCT_ORDER) != 0;
  const uint32_t* order = ordered ? before[NIB_ROLE_WEIGHTS] + memory.part[NIB_PART_ORDER].offset_bytes / 4 : nullptr;
  // Slopes of the activations are below 1.13.
  const double slope = d.activation >= NIB_ACTIVATION_GELU ? 1.13 : 1;
  const double exp_error = d.activation >= NIB_ACTIVATION_GELU ? 0x1p-19 : 0;
  const double half_ulp = d.result_type == NIB_TYPE_F32 ? 0 : d.result_type == NIB_TYPE_F16 ? 0x1p-11 : 0x1p-8;
  const double least = d.result_type == NIB_TYPE_F16 ? 0x1p-25 : 0x1p-126;
  // Decoded weights may be rounded to halves.
  const double weight_error = d.input_type == NIB_TYPE_F16 && d.tokens > 8 ? 0x1p-11 : 0;
  double worst = 0;
  for (uint32_t b = 0; b < batch; ++b) {
    std::vector<uint32_t> numbers = rows;
    for (uint32_t& number : numbers) number += b * d.rows;
    const std::vector<float> weights = weightRows(d, numbers, memory, before[NIB_ROLE_WEIGHTS]);
    for (const uint32_t t : tokens) {
      const std::vector<double> x = activationsOf(d, uint64_t(b) * d.tokens + t, before[NIB_ROLE_INPUT], order);
      for (size_t i = 0; i < rows.size(); ++i) {
        const uint32_t r = rows[i];
        const float* w = &weights[i * d.cols];
        double sum = 0, magnitude = 0;
        for (uint32_t c = 0; c < d.cols; ++c) {
          sum += double(w[c]) * x[c];
          magnitude += std::abs(double(w[c]) * x[c]);
        }
        if (d.flags & NIB_PRODUCT_BIAS) {
          float bias;
          std::memcpy(&bias, blob + memory.part[NIB_PART_BIAS].offset_bytes + (uint64_t(b) * d.rows + r) * 4, sizeof bias);
          sum += double(bias);
          magnitude += std::abs(double(bias));
        }
        double y = activated(d.activation, sum);
        const uint64_t at = (uint64_t(b) * d.tokens + t) * result_stride + r;
        double residual = 0;
        if (d.flags & NIB_PRODUCT_RESIDUAL) residual = elementOf(before[NIB_ROLE_OUTPUT], d.result_type, at);
        y += residual;
        magnitude += std::abs(residual);
        const double bound = slope * ((d.cols + 2.0) * 0x1p-23 + weight_error) * magnitude + exp_error * std::abs(sum) + half_ulp * std::abs(y) + least;
        const double error = std::abs(elementOf(output, d.result_type, at) - y);
        const double ratio = error <= 1e30 ? error / bound : std::numeric_limits<double>::infinity();
        worst = std::max(worst, ratio);
      }
    }
  }
  return worst;
}

// A product of codes is exact up to its activation: the reference says what that is given.
template <class Desc>
double smoothRatio(Desc d, uint32_t batch, uint32_t n, const NibMemory& memory, const Images& before, const uint32_t* output) {
  const Desc whole = d;
  d.activation = NIB_ACTIVATION_NONE;
  d.result_type = NIB_TYPE_F32;
  d.result_stride = 0;
  d.flags &= ~uint32_t(NIB_PRODUCT_RESIDUAL);
  std::vector<float> sums(size_t(batch) * d.tokens * d.rows);
  Images ranges = before;
  NibCpuBinding binding{};
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    binding.range[role] = {ranges.role[role].data(), memory.range[role].size_bytes};
  }
  binding.range[NIB_ROLE_OUTPUT] = {sums.data(), sums.size() * sizeof(float)};
  if (nibCpuRun(reinterpret_cast<const NibOpDesc*>(&d), &binding, n, nullptr, nullptr) != NIB_SUCCESS) {
    throw kit::Error("the reference refuses a product without activation");
  }
  const bool wide = whole.result_type == NIB_TYPE_F32;
  const uint64_t stride = whole.result_stride != 0 ? whole.result_stride : wide ? d.rows : (uint64_t(d.rows) + 1) / 2 * 2;
  const double half_ulp = wide ? 0x1p-24 : whole.result_type == NIB_TYPE_F16 ? 0x1p-11 : 0x1p-8;
  const double least = whole.result_type == NIB_TYPE_F16 ? 0x1p-25 : 0x1p-126;
  const double most = whole.result_type == NIB_TYPE_F16 ? 65504 : 0x1p127;
  constexpr double kMost = 0x1.fffffep126;  // where products of codes end, and what is added to them
  double worst = 0;
  for (uint32_t i = 0; i < batch * n; ++i) {
    for (uint32_t r = 0; r < d.rows; ++r) {
      const uint64_t token = uint64_t(i / n) * d.tokens + i % n;
      const double sum = double(sums[size_t(token * d.rows + r)]);
      const double got = elementOf(output, whole.result_type, token * stride + r);
      double y = activated(whole.activation, sum);
      if (whole.flags & NIB_PRODUCT_RESIDUAL) {
        const double held = elementOf(before.role[NIB_ROLE_OUTPUT].data(), whole.result_type, token * stride + r);
        // What is no number stays.
        if (!std::isfinite(held) && (got == held || (std::isnan(got) && std::isnan(held)))) continue;
        y = std::clamp(y + std::clamp(held, -kMost, kMost), -kMost, kMost);
      }
      const double bound = 0x1p-19 * std::abs(sum) + 0x1p-24 * std::abs(y) + half_ulp * std::abs(y) + least;
      if (std::abs(y) + bound > most && std::abs(got) >= most - bound && (got > 0) == (y > 0)) continue;
      const double error = std::abs(got - y);
      worst = std::max(worst, error <= 1e38 ? error / bound : std::numeric_limits<double>::infinity());
    }
  }
  return worst;
}

bool isSmooth(uint32_t activation) { return activation >= NIB_ACTIVATION_GELU; }

}  // namespace

bool isBounded(const Case& c) {
  if (c.op() == NIB_OP_DYNAMIC_GEMM) return isSmooth(c.desc.dynamic_gemm.activation);
  if (c.op() == NIB_OP_INT8_GEMM) {
    return isSmooth(c.desc.int8_gemm.activation) && c.desc.int8_gemm.result_type <= NIB_TYPE_BF16;
  }
  return c.op() == NIB_OP_MATMUL && (c.recipe != Recipe::kExact || c.desc.matmul.activation >= NIB_ACTIVATION_GELU);
}

double boundRatio(const Case& c, const NibMemory& memory, const uint32_t* const (&before)[NIB_ROLE_COUNT],
                  const uint32_t* output, uint64_t most_products) {
  return matmulRatio(c.desc.matmul, c.n, memory, before, output, most_products);
}

double boundRatio(const Case& c, const NibMemory& memory, const Images& before, const uint32_t* output) {
  if (c.op() == NIB_OP_DYNAMIC_GEMM) return smoothRatio(c.desc.dynamic_gemm, 1, c.n, memory, before, output);
  if (c.op() == NIB_OP_INT8_GEMM) {
    return smoothRatio(c.desc.int8_gemm, std::max(c.desc.int8_gemm.batch, 1u), c.n, memory, before, output);
  }
  const uint32_t* ranges[NIB_ROLE_COUNT];
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) ranges[role] = before.role[role].data();
  return boundRatio(c, memory, ranges, output);
}

}  // namespace nib::cases
