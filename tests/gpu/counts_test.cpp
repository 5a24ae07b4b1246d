// One plan for every number of tokens: each run takes the kernels of a plan made for its number, with right results.
#include "plan/plan.h"

#include <nibble/formats.h>

#include "gpu/fake_pipelines.h"

using namespace nib;
using namespace nib::tests;

namespace {

constexpr uint32_t kMost = 80;

selftest::Case matmul(uint32_t tokens, uint32_t flags, const NibWeights& weights, uint32_t cols = 1040) {
  selftest::Case c;
  c.recipe = selftest::Recipe::kExact;  // sums in any order are exact
  c.seed = 91;
  NibMatmulDesc& d = c.describe<NibMatmulDesc>(NIB_OP_MATMUL);
  d.flags = flags;
  d.rows = 261;
  d.cols = cols;
  d.tokens = c.n = tokens;
  d.weights = weights;
  return c;
}

selftest::Case codes(uint32_t tokens, uint32_t flags) {
  selftest::Case c;
  c.seed = 92;
  NibInt8GemmDesc& d = c.describe<NibInt8GemmDesc>(NIB_OP_INT8_GEMM);
  d.flags = flags;
  d.rows = 261;
  d.cols = 1040;
  d.tokens = c.n = tokens;
  d.weights = d.input = selftest::weightsOf(NIB_FORMAT_INT8, NIB_GRANULARITY_ROW);
  return c;
}

selftest::Case dynamic(uint32_t tokens, uint32_t flags) {
  selftest::Case c;
  c.seed = 93;
  NibDynamicGemmDesc& d = c.describe<NibDynamicGemmDesc>(NIB_OP_DYNAMIC_GEMM);
  d.flags = flags;
  d.rows = 261;
  d.cols = 1040;
  d.tokens = c.n = tokens;
  d.weights = selftest::weightsOf(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 128, 0, NIB_TYPE_F16);
  return c;
}

NibWeights int4Groups() { return selftest::weightsOf(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 128, 0, NIB_TYPE_F16); }

// Each makes a case for so many tokens, with flags.
std::vector<selftest::Case (*)(uint32_t tokens, uint32_t flags)> products() {
  return {[](uint32_t tokens, uint32_t flags) { return matmul(tokens, flags, int4Groups()); },
          [](uint32_t tokens, uint32_t flags) {
            return matmul(tokens, flags, selftest::denseWeights(NIB_TYPE_F16), 1041);  // activations are copied
          },
          // Activations that are codes: where their scales lie depends on the number of tokens.
          [](uint32_t tokens, uint32_t flags) {
            selftest::Case c = matmul(tokens, flags, int4Groups());
            c.as<NibMatmulDesc>().input = selftest::weightsOf(NIB_FORMAT_FP8, NIB_GRANULARITY_ROW);
            return c;
          },
          // Long rows, whose columns few tokens share out.
          [](uint32_t tokens, uint32_t flags) { return matmul(tokens, flags, int4Groups(), 20480); }, codes, dynamic};
}

}  // namespace

TEST_SUITE_BEGIN("counts");

TEST_CASE_FIXTURE(Gpu, "a plan for many tokens gives right results for every number of them") {
  for (const auto& product : products()) {
    for (const uint32_t n : {1u, 2u, 3u, 4u, 5u, 8u, 9u, 16u, 17u, 33u, 64u, 65u, kMost}) {
      selftest::Case c = product(kMost, 0);
      c.n = n;
      checkCase(device(), c);
    }
  }
}

TEST_CASE_FIXTURE(Gpu, "each run takes the kernels of a plan made for its number of tokens") {
  const FakePipelines fake;
  const AsDiscrete discrete;
  const kit::Device gpu = FakePipelines::device();
  for (const auto& product : products()) {
    const kit::Plan whole = selftest::planOf(gpu, product(kMost, 0));
    uint32_t different = 0;
    for (const uint32_t n : {1u, 2u, 4u, 8u, 16u, 32u, 64u}) {
      const kit::Plan own = selftest::planOf(gpu, product(n, NIB_PRODUCT_ONE_KERNEL));
      NibRun run{sizeof(NibRun)};
      run.n = n;
      uint32_t index = 0;
      const NibPlan& taken = planFor(*whole.handle(), run, &index);
      REQUIRE(taken.phase_count == own.handle()->phase_count);
      for (uint32_t p = 0; p < taken.phase_count; ++p) {
        CHECK(taken.phase[p].row == own.handle()->phase[p].row);
        CHECK(taken.phase[p].spec_hash == own.handle()->phase[p].spec_hash);
      }
      different += &taken != whole.handle();
    }
    CHECK(different > 0);
    CHECK(whole.handle()->fewer.size() < 7);  // equal kernels are not kept twice
  }
}

TEST_CASE_FIXTURE(Gpu, "one kernel and several matrices have no other plans") {
  const FakePipelines fake;
  const kit::Device gpu = FakePipelines::device();
  CHECK(selftest::planOf(gpu, matmul(kMost, NIB_PRODUCT_ONE_KERNEL, int4Groups())).handle()->fewer.size() == 0);
  selftest::Case batch = matmul(kMost, 0, int4Groups());
  batch.as<NibMatmulDesc>().batch = 2;
  CHECK(selftest::planOf(gpu, batch).handle()->fewer.size() == 0);
}

TEST_CASE_FIXTURE(Gpu, "runs from a later row, in slices and with a self-test, take the right plan") {
  selftest::Case c = matmul(kMost, 0, int4Groups());
  const kit::Plan plan = selftest::planOf(device(), c);
  NibRun run{sizeof(NibRun)};
  uint32_t index = 0;
  run.n = 1;
  const uint32_t fewest = planFor(*plan.handle(), run, &index).rows.max;
  CHECK(fewest < kMost);
  // The kernels for few tokens reach their own rows alone.
  run.first_row = fewest;
  CHECK(planFor(*plan.handle(), run, &index).rows.max > fewest);
  run.first_row = kMost - 1;
  CHECK(&planFor(*plan.handle(), run, &index) == plan.handle());
  // The self-test runs the kernels for fewer tokens too.
  for (const kit::Attempt& attempt : kit::verifyOp(device(), c.desc(), c.descBytes())) {
    CHECK(attempt.passed);
    CHECK(attempt.kernels.size() > plan.handle()->phase_count);
  }
}

TEST_SUITE_END();
