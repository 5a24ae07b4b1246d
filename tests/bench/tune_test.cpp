// The tuner on small weights: its candidates give correct results, and a context accepts the tuning.
#include <nibble/formats.h>

#include <doctest/doctest.h>

#include "bench/bench.h"
#include "bench/tune.h"

using namespace nib;
using namespace nib::bench;

TEST_CASE("tuning on Vulkan tries several candidates for every product, all of them correct") {
  const kit::Device device = kit::Device::best();
  if (device.isCpu()) {
    MESSAGE("SKIPPED: no Vulkan device");
    return;
  }
  TuneOptions options;
  options.types = {"int8"};
  options.shape = Shape{67, 1, 200};
  options.seconds = 1e-3;
  options.rotation_bytes = 1 << 16;
  options.tokens = {9};
  const TuneResult result = tune(device, options);
  CHECK(result.failures.empty());
  // Float products through shared memory and from registers, products of codes, and dynamic products.
  REQUIRE(result.steps.size() == 4);
  for (const TuneStep& step : result.steps) {
    CHECK(step.candidates >= 3);
    CHECK(step.usual_us > 0);
    CHECK(step.best_us <= step.usual_us);
    CHECK(step.faster == (step.best_us < 0.97 * step.usual_us));
    CHECK(step.best.format == uint32_t(NIB_FORMAT_INT8));  // the weights' format, by which a plan finds a tuning
  }
  size_t faster = 0;
  for (const TuneStep& step : result.steps) faster += step.faster;
  CHECK(result.tuning.size() == faster);
  BenchOptions rows;
  rows.suite = {.suite = "gemv", .types = {"int8"}, .shape = options.shape};
  rows.budget_seconds = 10;
  rows.rotation_bytes = 1 << 16;
  const BenchResult tuned = runBench(device.tuned(result.tuning), rows);
  CHECK(tuned.failures.empty());
  CHECK(!tuned.rows.empty());
}
