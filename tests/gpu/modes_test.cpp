// Contexts choose by properties of the device that most drivers do not have: each way gives the reference's results.
#include "gpu/gpu_test.h"
#include "numerics/exact.h"
#include "plan/plan.h"

#include <nibble/formats.h>

#include <vector>

using namespace nib;
using namespace nib::tests;

namespace {

// The device under test with other capabilities, in a context of its own.
template <class Change>
kit::Device changed(const Change& change) {
  const kit::Device device = kit::Device::adopt(adoption());
  change(device.context()->caps);
  return device;
}

selftest::Case codes(uint32_t tokens, uint32_t flags) {
  selftest::Case c;
  c.seed = 81;
  NibInt8GemmDesc& d = c.describe<NibInt8GemmDesc>(NIB_OP_INT8_GEMM);
  d.flags = NIB_PRODUCT_ONE_KERNEL;
  d.rows = 70;
  d.cols = 1043;
  d.tokens = c.n = tokens;
  d.weights = d.input = selftest::weightsOf(NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0, flags);
  return c;
}

constexpr uint32_t kRows = 31, kCols = 64;

// Half number i of a list with all denormals in it, and some others that are finite.
uint16_t half(uint32_t i) { return uint16_t(i % 0x7bffu); }

// Dense halves times halves: only column `column` of the activations is not 0, so that every result is one product.
std::vector<uint32_t> products(const kit::Device& on, uint32_t column, uint16_t x, uint32_t first) {
  NibMatmulDesc d = selftest::describe<NibMatmulDesc>(NIB_OP_MATMUL);
  d.rows = kRows;
  d.cols = kCols;
  d.tokens = 1;
  d.input_type = NIB_TYPE_F16;
  d.weights = selftest::denseWeights(NIB_TYPE_F16);
  const kit::Plan plan(on, reinterpret_cast<const NibOpDesc*>(&d), sizeof d);
  std::vector<uint16_t> weights(kRows * kCols), input(kCols, 0);
  for (uint32_t i = 0; i < kRows * kCols; ++i) weights[i] = half(first + i);
  input[column] = x;
  kit::Buffer w(on, weights.size() * 2), in(on, input.size() * 2), out(on, kRows * 4);
  on.upload(w, weights);
  on.upload(in, input);
  const kit::Binding binding(plan, kit::Ranges{kit::Range(w), kit::Range(in), kit::Range(out), kit::Range()});
  on.run(binding, 1);
  return on.download<uint32_t>(out, kRows);
}

}  // namespace

TEST_SUITE_BEGIN("modes");

TEST_CASE_FIXTURE(Gpu, "signed dot products made of mixed ones give the same bytes") {
  const kit::Device mixed = changed([](vk::Caps& caps) { caps.dot4_mixed = true; });
  for (const uint32_t tokens : {1u, 5u, 70u}) {
    for (const uint32_t flags : {0u, uint32_t(NIB_WEIGHTS_ASYMMETRIC)}) checkCase(mixed, codes(tokens, flags));
  }
}

TEST_CASE_FIXTURE(Gpu, "weights and activations that are denormal halves are kept") {
  constexpr uint16_t kOne = 0x3c00;
  std::vector<kit::Device> devices = {device(), changed([](vk::Caps& caps) { caps.halves_kept = false; })};
  for (const kit::Device& on : devices) {
    CAPTURE(on.context()->caps.halves_kept);
    for (uint32_t first = 0; first < 0x440; first += kRows * kCols / 4) {
      const std::vector<uint32_t> y = products(on, 5, kOne, first);
      for (uint32_t r = 0; r < kRows; ++r) CHECK(y[r] == exact::nibHalfToF32Bits(half(first + r * kCols + 5)));
    }
    // Row 0's weight is 1, and the activation is denormal.
    for (const uint16_t x : {1, 2, 0x155, 0x2aa, 0x3ff, 0x400, 0x8001, 0x83ff}) {
      const std::vector<uint32_t> y = products(on, 0, x, kOne);
      CHECK(y[0] == exact::nibHalfToF32Bits(x));
    }
  }
}

TEST_SUITE_END();
