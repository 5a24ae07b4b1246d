// Whole factorizations on a device: activations, their Hessian, and the residuals of M and U in double precision.
#include <optional>

#include "factor_device.h"
#include "gpu/fake_pipelines.h"

using namespace nib;
using namespace nib::tests;

TEST_SUITE_BEGIN("factor");

TEST_CASE_FIXTURE(Gpu, "residuals of factorizations hold for every condition number, with a GPU's work division too") {
  std::vector<uint32_t> dims = {37, 130, 323};
  // One case for each of the largest sizes, because their residuals take longer than the device.
  std::vector<uint32_t> large = {1024};
  if (extent() == selftest::Extent::kFull) large = {1024, 2050, 4096};
  if (validating()) large.clear();
  for (const bool discrete : {false, true}) {
    std::optional<AsDiscrete> as;
    kit::AdoptDesc desc = adoption();
    if (discrete) {
      as.emplace();
      desc.get_instance_proc_addr = hooks::wrap(device().getInstanceProcAddr());
    }
    const kit::Device on = kit::Device::adopt(desc);
    for (const double condition : {1.0, 1e3, 1e6}) {
      for (const uint32_t cols : dims) checkFactorization(on, cols, condition, cols % 2 != 0 ? 32 : 0);
    }
    for (const uint32_t cols : large) checkFactorization(on, cols, 1e5);
    checkActivations(on, 200, 300);
    large = {};
  }
}

TEST_CASE_FIXTURE(Gpu, "windows of 256 KiB do not change a byte of a factorization") {
  NibRestrict restriction{sizeof(NibRestrict)};
  const kit::AdoptDesc adopted = adoption();
  restriction.features_mask = NIB_FEATURE_ALL;
  if (adopted.restriction != nullptr) restriction = *adopted.restriction;
  restriction.max_storage_range_bytes = 262144;
  const uint32_t cols = 704;
  const Matrix h = conditioned(cols, 1e4, 9);
  const FactorResults wide = factorOn(device(), cols, h), narrow = factorOn(device().restricted(restriction), cols, h);
  CHECK(wide.prepared == narrow.prepared);
  CHECK(wide.m == narrow.m);
  CHECK(wide.u == narrow.u);
}

TEST_CASE_FIXTURE(Gpu, "18944 columns are planned with the smallest range that devices guarantee") {
  const FakePipelines fake;
  NibRestrict floor = kit::profileRestrict("floor");
  const kit::Device on = FakePipelines::device(0, &floor);
  for (uint32_t stage = 0; stage < 3; ++stage) {
    const kit::Plan plan(on, factorDesc(stage, 18944, 0, stage == 0 ? uint32_t(NIB_FACTOR_ORDER) : 0u));
    CHECK(plan.memory().range[NIB_ROLE_OUTPUT].size_bytes > uint64_t(18944) * 18944 * 4);
  }
  NibHessianDesc d{};
  d.op = NIB_OP_HESSIAN;
  d.desc_bytes = sizeof d;
  d.tokens = 4096;  // in windows
  d.cols = 18944;
  const kit::Plan plan(on, d);
  CHECK(plan.kernels() == std::vector<std::string>{"syrk"});
}

TEST_SUITE_END();
