#include "bounded.h"

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
  const uint64_t input_stride = d.input_stride != 0 ? d.input_stride : d.cols;
  const bool even = d.result_type != NIB_TYPE_F32 && uint64_t(d.tokens) * batch > 1;
  const uint64_t result_stride = d.result_stride != 0 ? d.result_stride : even ? (uint64_t(d.rows) + 1) / 2 * 2 : d.rows;
  const uint8_t* blob = reinterpret_cast<const uint8_t*>(before[NIB_ROLE_WEIGHTS]);
  // Slopes of the activations are below 1.13.
  const double slope = d.activation >= NIB_ACTIVATION_GELU ? 1.13 : 1;
  const double exp_error = d.activation >= NIB_ACTIVATION_GELU ? 0x1p-19 : 0;
  const double half_ulp = d.result_type == NIB_TYPE_F32 ? 0 : d.result_type == NIB_TYPE_F16 ? 0x1p-11 : 0x1p-8;
  const double least = d.result_type == NIB_TYPE_F16 ? 0x1p-25 : 0x1p-126;
  double worst = 0;
  for (uint32_t b = 0; b < batch; ++b) {
    std::vector<uint32_t> numbers = rows;
    for (uint32_t& number : numbers) number += b * d.rows;
    const std::vector<float> weights = weightRows(d, numbers, memory, before[NIB_ROLE_WEIGHTS]);
    for (const uint32_t t : tokens) {
      std::vector<double> x(d.cols);
      for (uint32_t c = 0; c < d.cols; ++c) {
        x[c] = elementOf(before[NIB_ROLE_INPUT], d.input_type, (uint64_t(b) * d.tokens + t) * input_stride + c);
      }
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
        const double bound = slope * (d.cols + 2.0) * 0x1p-23 * magnitude + exp_error * std::abs(sum) + half_ulp * std::abs(y) + least;
        const double error = std::abs(elementOf(output, d.result_type, at) - y);
        const double ratio = error <= 1e30 ? error / bound : std::numeric_limits<double>::infinity();
        worst = std::max(worst, ratio);
      }
    }
  }
  return worst;
}

}  // namespace

bool isBounded(const Case& c) {
  return c.op() == NIB_OP_MATMUL && (c.recipe != Recipe::kExact || c.desc.matmul.activation >= NIB_ACTIVATION_GELU);
}

double boundRatio(const Case& c, const NibMemory& memory, const uint32_t* const (&before)[NIB_ROLE_COUNT],
                  const uint32_t* output, uint64_t most_products) {
  return matmulRatio(c.desc.matmul, c.n, memory, before, output, most_products);
}

double boundRatio(const Case& c, const NibMemory& memory, const Images& before, const uint32_t* output) {
  const uint32_t* ranges[NIB_ROLE_COUNT];
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) ranges[role] = before.role[role].data();
  return boundRatio(c, memory, ranges, output);
}

}  // namespace nib::cases
