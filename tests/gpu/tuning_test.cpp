// Tunings of products in a context: other pipelines with the same results; tunings that do not fit are ignored.
#include "plan/plan.h"

#include <nibble/formats.h>

#include "gpu/gpu_test.h"

using namespace nib;
using namespace nib::tests;

namespace {

constexpr uint32_t kRows = 261, kCols = 1040;

NibWeights int4Groups() { return selftest::weightsOf(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 128, 0, NIB_TYPE_F16); }

selftest::Case matmul(uint32_t tokens) {
  selftest::Case c;
  c.recipe = selftest::Recipe::kExact;  // sums in any order are exact
  c.seed = 71;
  NibMatmulDesc& d = c.describe<NibMatmulDesc>(NIB_OP_MATMUL);
  d.flags = NIB_PRODUCT_ONE_KERNEL;
  d.rows = kRows;
  d.cols = kCols;
  d.tokens = c.n = tokens;
  d.weights = int4Groups();
  return c;
}

selftest::Case codes(uint32_t tokens) {
  selftest::Case c;
  c.seed = 72;
  NibInt8GemmDesc& d = c.describe<NibInt8GemmDesc>(NIB_OP_INT8_GEMM);
  d.flags = NIB_PRODUCT_ONE_KERNEL;
  d.rows = kRows;
  d.cols = kCols;
  d.tokens = c.n = tokens;
  d.weights = d.input = selftest::weightsOf(NIB_FORMAT_INT8, NIB_GRANULARITY_ROW);
  return c;
}

selftest::Case dynamic(uint32_t tokens) {
  selftest::Case c;
  c.seed = 73;
  NibDynamicGemmDesc& d = c.describe<NibDynamicGemmDesc>(NIB_OP_DYNAMIC_GEMM);
  d.flags = NIB_PRODUCT_ONE_KERNEL;
  d.rows = kRows;
  d.cols = kCols;
  d.tokens = c.n = tokens;
  d.weights = int4Groups();
  return c;
}

uint64_t pipelineOf(const kit::Device& on, const selftest::Case& c) {
  return selftest::planOf(on, c).handle()->phase[0].spec_hash;
}

}  // namespace

TEST_SUITE_BEGIN("tuning");

TEST_CASE_FIXTURE(Gpu, "a tuned plan runs other pipelines and gives the same results") {
  const uint32_t subgroup = device().info().features & NIB_FEATURE_SUBGROUP ? device().info().subgroup_size : 8u;
  const struct {
    selftest::Case c;
    NibTuning tuning;
  } kTuned[] = {{matmul(1), {NIB_TUNABLE_MATVEC, NIB_FORMAT_INT4, 1, {subgroup, 2, 1, 1}}},
                {matmul(3), {NIB_TUNABLE_MATVEC, NIB_FORMAT_INT4, 2, {1, 2, 2, 2}}},
                {matmul(40), {NIB_TUNABLE_MATMUL, NIB_FORMAT_INT4, 9, {4}}},
                {matmul(40), {NIB_TUNABLE_MATMUL, NIB_FORMAT_INT4, 9, {3}}},
                {codes(5), {NIB_TUNABLE_INT8, NIB_FORMAT_INT8, 1, {0, 2, 8}}},
                {codes(40), {NIB_TUNABLE_INT8, NIB_FORMAT_INT8, 1, {1, 2}}}};
  for (const auto& t : kTuned) {
    const kit::Device on = device().tuned({t.tuning});
    CAPTURE(t.c.name());
    CHECK(pipelineOf(on, t.c) != pipelineOf(device().tuned({}), t.c));
    checkCase(on, t.c);
  }
}

TEST_CASE_FIXTURE(Gpu, "dynamic products quantize their input in a separate dispatch or fused, with the same results") {
  for (const uint32_t tokens : {1u, 5u}) {
    for (const uint32_t flags : {0u, uint32_t(NIB_WEIGHTS_ASYMMETRIC)}) {
      selftest::Case c = dynamic(tokens);
      NibDynamicGemmDesc& d = c.as<NibDynamicGemmDesc>();
      d.input_flags = flags;
      CAPTURE(c.name());
      const auto on = [&](uint32_t fused) {
        return device().tuned({{NIB_TUNABLE_DYNAMIC, NIB_FORMAT_INT4, 1, {fused}}});
      };
      const auto phases = [&](const kit::Device& device) { return selftest::planOf(device, c).kernels().size(); };
      CHECK(phases(on(0)) == 2);
      CHECK(phases(on(1)) == 1);
      for (const uint32_t fused : {0u, 1u}) checkCase(on(fused), c);
      // Only a separate quantization dispatch reports the status of the input.
      d.flags |= NIB_PRODUCT_STATUS;
      CHECK(phases(on(1)) == 2);
      d.flags = NIB_PRODUCT_ONE_KERNEL;
      d.activation = NIB_ACTIVATION_SILU;
      CHECK(phases(on(1)) == 2);
      d.activation = NIB_ACTIVATION_NONE;
      d.outlier_threshold = 6;
      CHECK((flags != 0 || phases(on(1)) == 2));
      // Codes that do not fit shared memory.
      d.outlier_threshold = 0;
      d.cols = 1u << 20;
      CHECK(phases(on(1)) > 1);
      CHECK(phases(on(1)) == phases(on(0)));
    }
  }
}

TEST_CASE_FIXTURE(Gpu, "the tuning with the most tokens applies, and one that does not fit changes nothing") {
  const selftest::Case c = matmul(3);
  const uint64_t usual = pipelineOf(device().tuned({}), c);
  const NibTuning fits{NIB_TUNABLE_MATVEC, NIB_FORMAT_INT4, 2, {1, 2, 2, 2}};
  const uint64_t tuned = pipelineOf(device().tuned({fits}), c);
  CHECK(tuned != usual);
  const auto with = [&](auto change) {
    NibTuning other = fits;
    change(other);
    return pipelineOf(device().tuned({other}), c);
  };
  CHECK(with([](NibTuning& t) { t.format = NIB_FORMAT_NF4; }) == usual);
  CHECK(with([](NibTuning& t) { t.tokens = 4; }) == usual);
  CHECK(with([](NibTuning& t) { t.tunable = NIB_TUNABLE_INT8; }) == usual);
  CHECK(with([](NibTuning& t) { t.value[0] = 3; }) == usual);
  CHECK(with([](NibTuning& t) { t.value[0] = 1u << 20; }) == usual);
  CHECK(with([](NibTuning& t) { t.value[1] = 3; }) == usual);
  CHECK(with([](NibTuning& t) { t.value[2] = 16; }) == usual);
  CHECK(with([](NibTuning& t) { t.value[3] = 0; }) == usual);
  CHECK(with([](NibTuning& t) { t.value[3] = 3; }) == usual);  // does not divide a group's runs
  NibTuning later = fits;
  later.tokens = 3;
  later.value[1] = 4;
  CHECK(pipelineOf(device().tuned({later, fits}), c) != tuned);
}

TEST_SUITE_END();
