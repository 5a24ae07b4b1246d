// Self-tests of plans pass on correct kernels, and run the plan's own pipelines on several tiles.
#include <nibble/formats.h>

#include <optional>
#include <set>

#include "gpu/fake_pipelines.h"
#include "plan/plan.h"

using namespace nib;
using namespace nib::tests;

namespace {

// Why the self-test's small problem does not represent a description; "" if it does.
std::string problemOf(const kit::Device& on, const selftest::Case& c) {
  const kit::Plan plan = selftest::planOf(on, c);
  const NibPlan& large = *plan.handle();
  const AnyDesc small_desc = smallProblem(large);
  const kit::Plan small_plan(on, small_desc.get(), c.descBytes());
  const NibPlan& small = *small_plan.handle();
  if (small.phase_count != large.phase_count) return "the number of phases differs";
  uint64_t bytes = 0;
  for (const NibMemoryRange& range : small.memory.range) bytes += range.size_bytes;
  if (bytes > (8u << 20)) return "the small problem has " + std::to_string(bytes) + " bytes";
  for (uint32_t p = 0; p < large.phase_count; ++p) {
    const Phase& a = large.phase[p];
    const Phase& b = small.phase[p];
    const std::string where = std::string(a.row->module) + ": ";
    if (a.row != b.row) return where + "the small problem uses " + b.row->module;
    if (a.pipeline != b.pipeline || a.spec_hash != b.spec_hash) {
      const PipelineStore::Origin of_a = large.context->pipelines.originOf(a.pipeline);
      const PipelineStore::Origin of_b = small.context->pipelines.originOf(b.pipeline);
      std::string text = where + "constants differ:";
      for (uint32_t i = 0; i < of_a.spec_count; ++i) {
        if (of_a.spec[i] != of_b.spec[i]) {
          text += " " + std::to_string(i) + ": " + std::to_string(of_a.spec[i]) + " -> " + std::to_string(of_b.spec[i]);
        }
      }
      return text;
    }
    if (b.tile_count < 2 && a.tile_count > 1) return where + "one tile only";
  }
  return {};
}

}  // namespace

TEST_SUITE_BEGIN("verify");

TEST_CASE_FIXTURE(Gpu, "every op of every format passes its self-test, on every path") {
  for (const OpFormat& what : opFormats()) {
    if (!typeWanted(what.format)) continue;
    std::set<std::vector<std::string>> paths;
    for (const selftest::Case& c : tests::casesOf(what)) {
      // Planning shows the path; each path needs one self-test.
      const kit::Plan plan = selftest::planOf(device(), c);
      if (!paths.insert(plan.kernels()).second) continue;
      const std::vector<kit::Attempt> attempts = kit::verifyOp(device(), c.desc(), c.descBytes());
      REQUIRE(attempts.size() == 1);
      CHECK_MESSAGE(attempts[0].passed, c.name());
    }
    CHECK(!paths.empty());
  }
  size_t size = 0;
  REQUIRE(nibGetVerdicts(device().context(), nullptr, &size) == NIB_SUCCESS);
  CHECK(size > 100);
}

TEST_CASE_FIXTURE(Gpu, "a self-test's small problem runs the plan's own pipelines, on several tiles") {
  const FakePipelines fake;
  NibRestrict floor{sizeof(NibRestrict)};
  floor = kit::profileRestrict("floor");
  uint32_t count = 0;
  for (const bool discrete : {false, true}) {
    std::optional<AsDiscrete> as_discrete;
    if (discrete) as_discrete.emplace();
    for (const kit::Device& on : {FakePipelines::device(), FakePipelines::device(0, &floor)}) {
      for (const OpFormat& what : opFormats()) {
        // Realistic shapes besides the small ones of the lists.
        std::vector<selftest::Case> list = tests::largeCases(selftest::Large::kPlans, what);
        for (const selftest::Case& c : selftest::casesOf(NibOp(what.op), what.format, selftest::Extent::kFull))
          list.push_back(c);
        for (const selftest::Case& c : list) {
          std::string problem;
          try {
            problem = problemOf(on, c);
          } catch (const kit::Error& error) {
            // Scales or scratch exceed the device's range.
            if (error.result() != NIB_ERROR_UNSUPPORTED) problem = error.what();
          }
          CHECK_MESSAGE(problem.empty(), c.name() << (discrete ? " as discrete" : "") << ": " << problem);
          ++count;
        }
      }
    }
  }
  MESSAGE(count << " descriptions");
}

TEST_SUITE_END();
