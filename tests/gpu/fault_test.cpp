// The case lists find faults: with one wrong result bit in one kernel, some case that uses the kernel fails.
// NIBBLE_TEST_KERNELS=N tries every Nth kernel only.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "gpu/fake_pipelines.h"
#include "gpu/faulty.h"

using namespace nib;
using namespace nib::tests;

namespace {

struct Planned {
  selftest::Case c;
  std::vector<std::string> kernels;
};

// The kernels of each case, without compiling any.
std::vector<Planned> planAll(uint32_t features) {
  const FakePipelines fake;
  const kit::Device on = FakePipelines::device(features);
  std::vector<Planned> list;
  for (const OpFormat& what : opFormats()) {
    if (!planted(what.format) || !typeWanted(what.format)) continue;
    for (const selftest::Case& c : tests::casesOf(what)) {
      list.push_back({c, selftest::planOf(on, c).kernels()});
    }
  }
  return list;
}

bool uses(const Planned& planned, const char* module) {
  for (const std::string& name : planned.kernels) {
    if (name == module) return true;
  }
  return false;
}

}  // namespace

TEST_SUITE_BEGIN("fault");

TEST_CASE_FIXTURE(Gpu, "a wrong bit in any one kernel is found by the cases that use it") {
  REQUIRE(kFaultyKernelCount == kKernelCount);
  const uint32_t sound = device().info().features;
  const std::vector<Planned> with = planAll(UINT32_MAX), without = planAll(0);
  // Kernels for GPUs only: a CPU device uses them if it reports itself as a discrete GPU.
  std::optional<AsDiscrete> as_discrete(std::in_place);
  const std::vector<Planned> discrete_with = planAll(UINT32_MAX), discrete_without = planAll(0);
  as_discrete.reset();
  const char* every = std::getenv("NIBBLE_TEST_KERNELS");
  const uint32_t step = every != nullptr ? uint32_t(std::max(1, std::atoi(every))) : 1;
  for (uint32_t i = 0; i < kKernelCount; i += step) {
    const KernelRow& row = kKernelTable[i];
    REQUIRE(std::strcmp(row.module, kFaultyKernelTable[i].module) == 0);
    if (std::strncmp(row.name, "peak_", 5) == 0 || row.spirv_words == 0) continue;  // their results are discarded
    if (kFaultyKernelTable[i].spirv_words == 0) continue;                           // a format similar to a tested one
    if (!typeWanted(row.format)) continue;
    if ((row.features & ~sound) != 0) {
      MESSAGE(std::string(row.module) << ": not on this device");
      continue;
    }
    // Rows without required features are chosen if no feature is declared.
    const uint32_t features = row.features != 0 ? UINT32_MAX : 0u;
    const std::vector<Planned>* list = row.features != 0 ? &with : &without;
    const bool used =
        std::any_of(list->begin(), list->end(), [&](const Planned& planned) { return uses(planned, row.module); });
    if (!used) {
      as_discrete.emplace();
      list = row.features != 0 ? &discrete_with : &discrete_without;
    }
    uint32_t users = 0;
    std::string found;
    const Faults faults({row.module});
    const kit::Device on = Faults::device(features);
    for (const Planned& planned : *list) {
      if (!uses(planned, row.module)) continue;
      ++users;
      const selftest::Outcome outcome = selftest::runCase(on, planned.c);
      if (outcome.passed) continue;
      found = planned.c.name() + ": " + outcome.message;
      break;
    }
    as_discrete.reset();
    CHECK(faults.swaps() > 0);
    CHECK_MESSAGE(!found.empty(), std::string(row.module) << ": " << users << " cases use it, none found the fault");
    MESSAGE(std::string(row.module) << ": found by case " << users << " of those that use it: " << found);
  }
}

TEST_CASE_FIXTURE(Gpu, "with wrong kernels every op fails in every format") {
  std::set<std::string> all;
  for (uint32_t i = 0; i < kKernelCount; ++i) all.insert(kKernelTable[i].module);
  const Faults faults(all);
  const kit::Device on = Faults::device();
  for (const OpFormat& what : opFormats()) {
    if (!planted(what.format) || !typeWanted(what.format)) continue;
    bool failed = false;
    for (const selftest::Case& c : tests::casesOf(what)) {
      failed = !selftest::runCase(on, c).passed;
      if (failed) break;
    }
    CHECK_MESSAGE(failed, what.name);
  }
}

TEST_SUITE_END();
