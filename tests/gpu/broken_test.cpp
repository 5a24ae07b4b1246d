// Devices whose kernels give wrong results: self-tests find these kernels, planning avoids them or reports a broken
// device, and the verdicts are kept as long as the driver is the same.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>

#include "gpu/fake_pipelines.h"
#include "gpu/faulty.h"
#include "plan/plan.h"

using namespace nib;
using namespace nib::tests;

namespace {

std::set<std::string> modulesWith(bool all, uint32_t features) {
  std::set<std::string> names;
  for (uint32_t i = 0; i < kKernelCount; ++i) {
    if (kFaultyKernelTable[i].spirv_words != 0 && (all || (kKernelTable[i].features & features) != 0))
      names.insert(kKernelTable[i].module);
  }
  return names;
}

kit::Bytes verdictsOf(const kit::Device& device) {
  size_t size = 0;
  REQUIRE(nibGetVerdicts(device.context(), nullptr, &size) == NIB_SUCCESS);
  kit::Bytes bytes(size);
  REQUIRE(nibGetVerdicts(device.context(), bytes.data(), &size) == NIB_SUCCESS);
  return bytes;
}

bool needsAny(const kit::Plan& plan, uint32_t features) {
  for (uint32_t p = 0; p < plan.handle()->phase_count; ++p) {
    if (plan.handle()->phase[p].row->features & features) return true;
  }
  return false;
}

bool needsSubgroups(const kit::Plan& plan) { return needsAny(plan, NIB_FEATURE_SUBGROUP); }

// One case of each op and format that runs a kernel with subgroups.
std::vector<selftest::Case> fewCases(const kit::Device& on) {
  std::vector<selftest::Case> list;
  for (const OpFormat& what : opFormats()) {
    if (!planted(what.format)) continue;
    for (const selftest::Case& c : selftest::casesOf(NibOp(what.op), what.format, selftest::Extent::kQuick)) {
      const kit::Plan plan = selftest::planOf(on, c);
      // Only kernels with subgroups are broken; others are skipped, since a small product may not show their faults.
      if (!needsSubgroups(plan) || needsAny(plan, ~uint32_t(NIB_FEATURE_SUBGROUP))) continue;
      list.push_back(c);
      break;
    }
  }
  return list;
}

// A few cases whose plan uses the row's module. any_format: also cases whose weights have another format than the row.
std::vector<selftest::Case> usersOf(const KernelRow& row, bool any_format) {
  const FakePipelines fake;
  const kit::Device on = FakePipelines::device(row.features != 0 ? UINT32_MAX : 0u);
  std::vector<selftest::Case> users;
  for (const OpFormat& what : opFormats()) {
    if (!planted(what.format)) continue;
    // Some ops have one list for all formats.
    if (!any_format && row.format != 0 && what.format != 0 && what.format != row.format) continue;
    for (const selftest::Case& c : selftest::casesOf(NibOp(what.op), what.format, selftest::Extent::kQuick)) {
      // The planted fault of `scale` does not affect given scales.
      const NibQuantizeDesc* quantize = c.op() == NIB_OP_QUANTIZE ? &c.as<NibQuantizeDesc>() : nullptr;
      const bool given = quantize != nullptr && (quantize->flags & NIB_QUANTIZE_GIVEN_SCALES) != 0;
      if (given && std::strcmp(row.name, "scale") == 0) continue;
      // A low bit of an extent may be lost when its scale is rounded to 16 bits.
      const NibFormatInfo* info = nibFormatById(what.format);
      const bool single = info != nullptr && (info->scale_types >> NIB_TYPE_F32 & 1u) != 0;
      if (quantize != nullptr && single && quantize->weights.scale_type != NIB_TYPE_F32) continue;
      const std::vector<std::string> kernels = selftest::planOf(on, c).kernels();
      if (std::find(kernels.begin(), kernels.end(), row.module) != kernels.end()) users.push_back(c);
      if (users.size() == 4) return users;
    }
  }
  return users;
}

NibResult planResult(const kit::Device& on, const selftest::Case& c) {
  try {
    const kit::Plan plan = selftest::planOf(on, c);
    return NIB_SUCCESS;
  } catch (const kit::Error& error) {
    return error.result();
  }
}

uint32_t driver_version_step = 0;
VKAPI_ATTR void VKAPI_CALL otherDriver(VkPhysicalDevice device, VkPhysicalDeviceProperties* properties) {
  reinterpret_cast<PFN_vkGetPhysicalDeviceProperties>(hooks::real(hooks::fn::vkGetPhysicalDeviceProperties))(
      device, properties);
  properties->driverVersion += driver_version_step;
}
VKAPI_ATTR void VKAPI_CALL otherDriver2(VkPhysicalDevice device, VkPhysicalDeviceProperties2* properties) {
  reinterpret_cast<PFN_vkGetPhysicalDeviceProperties2>(hooks::real(hooks::fn::vkGetPhysicalDeviceProperties2))(
      device, properties);
  properties->properties.driverVersion += driver_version_step;
}

}  // namespace

TEST_SUITE_BEGIN("broken");

TEST_CASE_FIXTURE(Gpu, "a broken path is found and disabled, and its replacement is correct") {
  if (!(device().info().features & NIB_FEATURE_SUBGROUP)) {
    MESSAGE("SKIPPED: no subgroup kernels on this device");
    return;
  }
  const Faults faults(modulesWith(false, NIB_FEATURE_SUBGROUP));
  const kit::Device on = Faults::device();
  const std::vector<selftest::Case> list = fewCases(on);
  REQUIRE(list.size() >= 2);
  for (const selftest::Case& c : list) {
    CAPTURE(c.name());
    const std::vector<kit::Attempt> attempts = kit::verifyOp(on, c.desc(), c.descBytes());
    REQUIRE(!attempts.empty());
    CHECK(attempts.back().passed);
    const kit::Plan plan = selftest::planOf(on, c);
    CHECK_FALSE(needsSubgroups(plan));
    CHECK(attempts.back().kernels == plan.kernels());
    const selftest::Outcome outcome = selftest::runCase(on, c);
    CHECK_MESSAGE(outcome.passed, outcome.message);
  }

  const kit::Bytes verdicts = verdictsOf(on);
  CHECK(!verdicts.empty());
  {  // saved verdicts apply in a new context
    const std::string path = "nibble_broken_test.verdicts";
    kit::saveVerdicts(on, path);
    const kit::Device later = Faults::device(UINT32_MAX, kit::loadVerdicts(path));
    std::remove(path.c_str());
    for (const selftest::Case& c : list) CHECK_FALSE(needsSubgroups(selftest::planOf(later, c)));
  }
  {  // verdicts of another driver version are ignored
    driver_version_step = 1;
    const hooks::Replaced properties(hooks::fn::vkGetPhysicalDeviceProperties, &otherDriver);
    const hooks::Replaced properties2(hooks::fn::vkGetPhysicalDeviceProperties2, &otherDriver2);
    const kit::Device updated = Faults::device(UINT32_MAX, verdicts);
    for (const selftest::Case& c : list) CHECK(needsSubgroups(selftest::planOf(updated, c)));
  }
  {  // damaged verdicts are ignored
    kit::Bytes damaged = verdicts;
    damaged[damaged.size() / 2] ^= std::byte{1};
    const kit::Device later = Faults::device(UINT32_MAX, damaged);
    for (const selftest::Case& c : list) CHECK(needsSubgroups(selftest::planOf(later, c)));
  }
}

TEST_CASE_FIXTURE(Gpu, "a fault in one kernel of several is found by a self-test") {
  for (uint32_t i = 0; i < kKernelCount; ++i) {
    const KernelRow& row = kKernelTable[i];
    if (kFaultyKernelTable[i].spirv_words == 0) continue;
    if (std::strncmp(row.name, "peak_", 5) == 0 || row.spirv_words == 0 ||
        (row.features & ~device().info().features) != 0)
      continue;
    std::vector<selftest::Case> users = usersOf(row, false);
    // CPUs do not use kernels with tiles or tokens in shared memory, nor column splits. A CPU device uses them if it
    // reports itself as a discrete GPU.
    std::optional<AsDiscrete> as_discrete;
    if (users.empty()) {
      as_discrete.emplace();
      users = usersOf(row, false);
      // Weights of other formats become int8 codes before the product.
      if (users.empty()) users = usersOf(row, true);
      // The list of self-tests repacks no super-blocks, whose bytes the shared cases compare.
      if (users.empty() && std::strcmp(row.name, "repack_super") == 0) continue;
      MESSAGE(std::string(row.module) << ": with a GPU's work division");
    }
    bool found = false;
    {
      const Faults faults({row.module});
      const kit::Device on = Faults::device(row.features != 0 ? UINT32_MAX : 0u);
      for (const selftest::Case& c : users) {
        found = !kit::verifyOp(on, c.desc(), c.descBytes()).front().passed;
        if (found) break;
      }
    }
    CHECK_MESSAGE(found, std::string(row.module) << ": no self-test of " << users.size() << " descriptions found it");
  }
}

TEST_CASE_FIXTURE(Gpu, "a device on which every path fails is reported as broken, also by a later context") {
  const Faults faults(modulesWith(true, 0));
  const kit::Device on = Faults::device();
  std::vector<selftest::Case> list = fewCases(on);
  for (const OpFormat& what : opFormats()) {
    if (!planted(what.format)) continue;
    const std::vector<selftest::Case> quick = selftest::casesOf(NibOp(what.op), what.format, selftest::Extent::kQuick);
    // A wrong bit of a few results may be lost when they are rounded to 16 bits.
    const auto large = std::find_if(quick.begin(), quick.end(), [](const selftest::Case& c) { return c.n >= 16; });
    REQUIRE(large != quick.end());
    list.push_back(*large);
  }
  for (const selftest::Case& c : list) {
    CAPTURE(c.name());
    if (planResult(on, c) == NIB_SUCCESS) CHECK_FALSE(kit::verifyOp(on, c.desc(), c.descBytes()).back().passed);
    CHECK(planResult(on, c) == NIB_ERROR_BROKEN_DEVICE);
  }
  const kit::Device later = Faults::device(UINT32_MAX, verdictsOf(on));
  for (const selftest::Case& c : list) CHECK(planResult(later, c) == NIB_ERROR_BROKEN_DEVICE);
}

TEST_SUITE_END();
