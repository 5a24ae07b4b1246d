// The tuner on small weights: what it tries is right, and what it writes a context takes.
#include <nibble/formats.h>

#include <doctest/doctest.h>

#include "bench/bench.h"
#include "bench/tune.h"

using namespace nib;
using namespace nib::bench;

TEST_CASE("tuning on Vulkan tries several ways of every product, all of them right") {
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
  // Products of floats through shared memory and from registers, those of codes, and dynamic ones.
  REQUIRE(result.steps.size() == 4);
  for (const TuneStep& step : result.steps) {
    CHECK(step.candidates >= 3);
    CHECK(step.usual_us > 0);
    CHECK(step.best_us <= step.usual_us);
    CHECK(step.faster == (step.best_us < 0.97 * step.usual_us));
    CHECK(step.best.format == uint32_t(NIB_FORMAT_INT8));  // of the weights: what a plan looks for
  }
  size_t faster = 0;
  for (const TuneStep& step : result.steps) faster += step.faster;
  CHECK(result.tuning.size() == faster);
  BenchOptions rows;
  rows.suite = {.suite = "gemv", .types = {"int8"}, .shape = options.shape};
  rows.budget_seconds = 1;
  rows.rotation_bytes = 1 << 16;
  const BenchResult tuned = runBench(device.tuned(result.tuning), rows);
  CHECK(tuned.failures.empty());
  CHECK(!tuned.rows.empty());
}
