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

// fp32 weights [rows, cols], as dequantizing gives them.
std::vector<float> weightsOf(const NibWeights& weights, uint32_t rows, uint32_t cols, const Images& before) {
  std::vector<float> values(size_t(rows) * cols);
  if (weights.format == NIB_FORMAT_DENSE) {
    const uint64_t stride = weights.scale_type == NIB_TYPE_F32 ? cols : (uint64_t(cols) + 1) / 2 * 2;
    for (uint32_t r = 0; r < rows; ++r) {
      for (uint32_t c = 0; c < cols; ++c) {
        values[size_t(r) * cols + c] = float(elementOf(before.role[NIB_ROLE_WEIGHTS].data(), weights.scale_type, r * stride + c));
      }
    }
    return values;
  }
  NibDequantizeDesc d{};
  d.op = NIB_OP_DEQUANTIZE;
  d.rows = rows;
  d.cols = cols;
  d.weights = weights;
  NibMemory memory;
  NibCpuBinding binding{};
  std::vector<uint32_t> blob = before.role[NIB_ROLE_WEIGHTS];
  binding.range[NIB_ROLE_WEIGHTS] = {blob.data(), blob.size() * 4};
  binding.range[NIB_ROLE_OUTPUT] = {values.data(), values.size() * 4};
  const NibOpDesc* desc = reinterpret_cast<const NibOpDesc*>(&d);
  if (nibGetMemory(desc, nullptr, &memory) != NIB_SUCCESS || nibCpuRun(desc, &binding, rows, nullptr, nullptr) != NIB_SUCCESS) {
    throw kit::Error("the weights of a product cannot be dequantized");
  }
  return values;
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

double matmulRatio(const NibMatmulDesc& d, uint32_t n, const NibMemory& memory, const Images& before, const uint32_t* output) {
  const uint32_t batch = std::max(d.batch, 1u);
  const std::vector<float> weights = weightsOf(d.weights, d.rows * batch, d.cols, before);
  const uint64_t input_stride = d.input_stride != 0 ? d.input_stride : d.cols;
  const bool even = d.result_type != NIB_TYPE_F32 && uint64_t(d.tokens) * batch > 1;
  const uint64_t result_stride = d.result_stride != 0 ? d.result_stride : even ? (uint64_t(d.rows) + 1) / 2 * 2 : d.rows;
  const uint8_t* blob = reinterpret_cast<const uint8_t*>(before.role[NIB_ROLE_WEIGHTS].data());
  // Slopes of the activations are below 1.13.
  const double slope = d.activation >= NIB_ACTIVATION_GELU ? 1.13 : 1;
  const double exp_error = d.activation >= NIB_ACTIVATION_GELU ? 0x1p-19 : 0;
  const double half_ulp = d.result_type == NIB_TYPE_F32 ? 0 : d.result_type == NIB_TYPE_F16 ? 0x1p-11 : 0x1p-8;
  const double least = d.result_type == NIB_TYPE_F16 ? 0x1p-25 : 0x1p-126;
  double worst = 0;
  for (uint32_t b = 0; b < batch; ++b) {
    for (uint32_t t = 0; t < n; ++t) {
      std::vector<double> x(d.cols);
      for (uint32_t c = 0; c < d.cols; ++c) {
        x[c] = elementOf(before.role[NIB_ROLE_INPUT].data(), d.input_type, (uint64_t(b) * d.tokens + t) * input_stride + c);
      }
      for (uint32_t r = 0; r < d.rows; ++r) {
        const float* w = &weights[(size_t(b) * d.rows + r) * d.cols];
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
        if (d.flags & NIB_PRODUCT_RESIDUAL) residual = elementOf(before.role[NIB_ROLE_OUTPUT].data(), d.result_type, at);
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
        y += held;
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

double boundRatio(const Case& c, const NibMemory& memory, const Images& before, const uint32_t* output) {
  if (c.op() == NIB_OP_DYNAMIC_GEMM) return smoothRatio(c.desc.dynamic_gemm, 1, c.n, memory, before, output);
  if (c.op() == NIB_OP_INT8_GEMM) {
    return smoothRatio(c.desc.int8_gemm, std::max(c.desc.int8_gemm.batch, 1u), c.n, memory, before, output);
  }
  return matmulRatio(c.desc.matmul, c.n, memory, before, output);
}

}  // namespace nib::cases
