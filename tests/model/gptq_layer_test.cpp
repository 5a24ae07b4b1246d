// GPTQ of single layers with unusual Hessians: it never fails, and reports what it did.
#include "model/quantize/gptq/layer.h"

#include <nibble/formats.h>

#include "model/model_test.h"

#include <cmath>
#include <limits>
#include <random>

namespace nib::model::test {
namespace {

constexpr uint32_t kRows = 40, kCols = 192, kTokens = 64;

WeightSpec int4Weight() {
  WeightSpec weight;
  weight.name = "layer.weight";
  weight.rows = kRows;
  weight.cols = kCols;
  weight.weights = {NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 64, NIB_TYPE_F16, 0};
  return weight;
}

std::vector<float> normal(size_t count, uint32_t seed) {
  std::mt19937 bits(seed);
  std::normal_distribution<float> distribution(0.0f, 0.5f);
  std::vector<float> values(count);
  for (float& x : values) x = distribution(bits);
  return values;
}

struct Solved {
  GptqLayerReport report;
  HostBlob blob;
};

// x: inputs [tokens, kCols], of which `tokens` rows are shown to the layer.
Solved solve(const kit::Device& device, std::vector<float> x, uint32_t tokens, const GptqOptions& options) {
  x.resize(size_t(kTokens) * kCols);
  const kit::Buffer inputs(device, x.size() * sizeof(float));
  device.upload(inputs, std::span<const float>(x));
  const TimedDevice timed(device);
  HessianSum hessian(device, kTokens, kCols, NIB_TYPE_F32, kCols, inputs);
  if (tokens != 0) timed.run(hessian.binding(), tokens);
  hessian.count(tokens);
  GptqSolver solver(timed, options, hessian, kRows);
  const std::vector<float> weight = normal(size_t(kRows) * kCols, 7);
  const kit::Range to = solver.source(kRows, NIB_TYPE_F32);
  device.upload(*to.buffer, std::span<const float>(weight), to.offset_bytes);
  Solved solved;
  solved.blob = solver.solve(int4Weight(), NIB_TYPE_F32, {}, solved.report);
  return solved;
}

// The blob of rounding to nearest.
std::vector<std::byte> nearest(const kit::Device& device) {
  NibQuantizeDesc desc{NIB_OP_QUANTIZE, sizeof(NibQuantizeDesc)};
  desc.rows = kRows;
  desc.cols = kCols;
  desc.weights = int4Weight().weights;
  const kit::Plan plan(device, desc);
  const std::vector<float> weight = normal(size_t(kRows) * kCols, 7);
  const kit::Buffer dense(device, weight.size() * sizeof(float)), blob(device, plan.sizeBytes(NIB_ROLE_WEIGHTS));
  const kit::Buffer aux(device, std::max<uint64_t>(plan.sizeBytes(NIB_ROLE_AUX), 4));
  device.upload(dense, std::span<const float>(weight));
  device.run(kit::Binding(plan, {.weights = blob, .input = dense, .output = {}, .aux = aux}), kRows);
  return device.download<std::byte>(blob, size_t(blob.sizeBytes()));
}

}  // namespace

TEST_CASE("a layer that GPTQ cannot treat is rounded to nearest, and the report says why") {
  const kit::Device device = kit::Device::byName("cpu");
  const std::vector<std::byte> plain = nearest(device);
  const std::vector<float> x = normal(size_t(kTokens) * kCols, 3);
  SUBCASE("no token reaches it") {
    const Solved solved = solve(device, x, 0, {});
    CHECK(solved.report.nearest);
    CHECK(solved.report.note == "no token reached it");
    CHECK(solved.blob.bytes == plain);
  }
  SUBCASE("an input is not finite") {
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      std::vector<float> planted = x;
      planted[5 * kCols + 17] = bad;
      const Solved solved = solve(device, planted, kTokens, {});
      CHECK(solved.report.nearest);
      CHECK(solved.report.note == "its inputs are not all finite");
      CHECK(solved.blob.bytes == plain);
    }
  }
  SUBCASE("all inputs are 0") {
    const Solved solved = solve(device, std::vector<float>(x.size()), kTokens, {});
    CHECK(solved.report.nearest);
    CHECK(solved.report.note == "its inputs were all 0");
    CHECK(solved.report.dead == kCols);
    CHECK(solved.blob.bytes == plain);
  }
}

TEST_CASE("damping grows until a singular Hessian can be factored") {
  const kit::Device device = kit::Device::byName("cpu");
  // Three tokens of 192 inputs: the rank is 3.
  const std::vector<float> x = normal(size_t(3) * kCols, 3);
  GptqOptions options;
  options.damp = 0;
  const Solved solved = solve(device, x, 3, options);
  CHECK(!solved.report.nearest);
  CHECK(solved.report.damp >= 0.01);
  CHECK(solved.report.loss > 0);
  CHECK(solved.report.loss < 0.5 * solved.report.nearest_loss);
  // Enough tokens need no more than was asked for.
  const Solved usual = solve(device, normal(size_t(kTokens) * kCols, 3), kTokens, {});
  CHECK(usual.report.damp == doctest::Approx(0.01));
  CHECK(usual.report.loss < usual.report.nearest_loss);
}

TEST_CASE("columns whose inputs are 0 become 0 and do not disturb the others") {
  const kit::Device device = kit::Device::byName("cpu");
  std::vector<float> x = normal(size_t(kTokens) * kCols, 3);
  for (uint32_t t = 0; t < kTokens; ++t) x[t * kCols + 11] = x[t * kCols + 100] = 0;
  for (const ColumnOrder order : {ColumnOrder::kNone, ColumnOrder::kStatic, ColumnOrder::kGroups}) {
    GptqOptions options;
    options.order = order;
    const Solved solved = solve(device, x, kTokens, options);
    CHECK(!solved.report.nearest);
    CHECK(solved.report.dead == 2);
    const kit::Buffer values(device, size_t(kRows) * kCols * sizeof(float));
    decodeBlob(TimedDevice(device), int4Weight(), solved.blob, values);
    const std::vector<float> decoded = device.download<float>(values, size_t(kRows) * kCols);
    for (uint32_t r = 0; r < kRows; ++r) {
      CHECK(decoded[r * kCols + 11] == 0);
      CHECK(decoded[r * kCols + 100] == 0);
    }
  }
}

}  // namespace nib::model::test
