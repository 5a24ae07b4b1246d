// A factorization on a device of the kit, from activations to U.
#ifndef NIB_TESTS_FACTOR_DEVICE_H
#define NIB_TESTS_FACTOR_DEVICE_H

#include <doctest/doctest.h>
#include <nibble/kit.h>

#include "factor_chain.h"

namespace nib::tests {

// Runs all stages on one set of buffers.
inline FactorResults factorOn(const kit::Device& device, uint32_t cols, const Matrix& h, uint32_t block = 0) {
  FactorResults results;
  kit::Buffer input, output, aux;
  for (uint32_t stage = 0; stage < 3; ++stage) {
    const NibFactorDesc d = factorDesc(stage, cols, block);
    const kit::Plan plan(device, d);
    const NibMemory& memory = plan.memory();
    if (stage == NIB_FACTOR_PREPARE) {
      input = kit::Buffer(device, plan.sizeBytes(NIB_ROLE_INPUT));
      output = kit::Buffer(device, plan.sizeBytes(NIB_ROLE_OUTPUT));
      aux = kit::Buffer(device, plan.sizeBytes(NIB_ROLE_AUX));
      device.upload(input, h);
      device.upload(input, diagonalOf(h, cols), memory.part[NIB_PART_DIAGONAL].offset_bytes);
    }
    const kit::Binding binding(plan, {.weights = {}, .input = input, .output = output, .aux = aux});
    for (const uint32_t n : factorRuns(d)) device.run(binding, n);
    Matrix* const to[] = {&results.prepared, &results.m, &results.u};
    *to[stage] = device.download<float>(output, size_t(cols) * cols);
    results.info = device.download<NibFactorInfo>(output, 1, memory.part[NIB_PART_FACTOR_INFO].offset_bytes)[0];
  }
  return results;
}

inline void checkFactorization(const kit::Device& device, uint32_t cols, double condition, uint32_t block = 0) {
  INFO(device.info().name, ": ", cols, " columns, condition ", condition, ", block ", block);
  const FactorResults results = factorOn(device, cols, conditioned(cols, condition, cols), block);
  CHECK(results.info.failed == 0);
  const FactorResiduals residuals = residualsOf(results, cols);
  const double unit = 4 * cols * 0x1p-24;
  MESSAGE(cols << " columns, condition " << condition << ": residuals / bounds " << residuals.factor / unit << " and "
               << residuals.inverse / (unit * condition));
  CHECK(residuals.factor <= unit);
  CHECK(residuals.inverse <= unit * condition);
}

// Activations in several runs, with a mask, then the factorization of their sum: U^T U H' = I.
inline void checkActivations(const kit::Device& device, uint32_t cols, uint32_t tokens) {
  INFO(device.info().name, ": ", tokens, " tokens of ", cols, " columns");
  NibHessianDesc d{};
  d.op = NIB_OP_HESSIAN;
  d.desc_bytes = sizeof d;
  d.flags = NIB_HESSIAN_MASK;
  d.tokens = tokens;
  d.cols = cols;
  const kit::Plan plan(device, d);
  const NibMemory& memory = plan.memory();
  const kit::Buffer input(device, plan.sizeBytes(NIB_ROLE_INPUT)), output(device, plan.sizeBytes(NIB_ROLE_OUTPUT));
  device.fill(output, 0, 0, output.sizeBytes());
  const kit::Binding binding(plan, {.weights = {}, .input = input, .output = output, .aux = {}});
  std::vector<double> expected(size_t(cols) * cols), magnitudes(size_t(cols) * cols);
  constexpr uint32_t kRuns = 3;
  uint64_t state = cols;
  for (uint32_t r = 0; r < kRuns; ++r) {
    Matrix x(size_t(tokens) * cols);
    std::vector<uint32_t> mask((tokens + 31) / 32);
    for (float& value : x) {
      state = state * 6364136223846793005ull + 1442695040888963407ull;
      value = float(state >> 40) * 0x1p-23f - 1;
    }
    for (uint32_t t = 0; t < tokens; ++t) {
      const bool counts = (t + r) % 5 != 0;
      mask[t / 32] |= uint32_t(counts) << t % 32;
      for (size_t i = 0; i < cols; ++i) {
        const size_t at = size_t(t) * cols;
        if (!counts) x[at + i] = NAN;
        for (size_t j = 0; counts && j <= i; ++j) {
          const double product = double(x[at + i]) * double(x[at + j]);
          expected[i * cols + j] += product;
          magnitudes[i * cols + j] += std::abs(product);
        }
      }
    }
    device.upload(input, x);
    device.upload(input, mask, memory.part[NIB_PART_MASK].offset_bytes);
    device.run(binding, tokens);
  }
  const Matrix h = device.download<float>(output, size_t(cols) * cols);
  double worst = 0;
  for (size_t i = 0; i < cols; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      const double bound = (kRuns * tokens + kRuns * 8.0) * 0x1p-23 * magnitudes[i * cols + j];
      worst = std::max(worst, std::abs(double(h[i * cols + j]) - expected[i * cols + j]) / bound);
    }
  }
  CHECK(worst <= 1);
  CHECK(device.download<float>(output, cols, memory.part[NIB_PART_DIAGONAL].offset_bytes) == diagonalOf(h, cols));
  const FactorResults results = factorOn(device, cols, h);
  CHECK(results.info.failed == 0);
  CHECK(results.info.dead == 0);
  // Random activations, four times as many as columns: a condition number of about (1 + 1/2)^2 / (1 - 1/2)^2.
  CHECK(residualsOf(results, cols).inverse <= 4 * cols * 0x1p-24 * 20);
}

}  // namespace nib::tests
#endif
