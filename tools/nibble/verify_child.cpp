// The child process: tests every op, format and path in sequence.
#include "verify.h"

#include "selftest/run_case.h"

#include <algorithm>
#include <optional>

namespace nib::tool {
namespace {

using Json = nlohmann::ordered_json;

// Each path that a plan can fall back to: all features, then without the highest tier's, down to none.
std::vector<kit::Device> paths(const kit::Device& device) {
  std::vector<kit::Device> result = {device};
#if !defined(NIB_NO_VULKAN)
  if (device.isCpu()) return result;
  uint32_t mask = device.info().features;
  for (const uint32_t feature : {NIB_FEATURE_COOPMAT, NIB_FEATURE_DOT4, NIB_FEATURE_F16, NIB_FEATURE_STORAGE16,
                                 NIB_FEATURE_SUBGROUP, NIB_FEATURE_SUBGROUP_SIZE}) {
    if ((mask & feature) == 0) continue;
    mask &= ~uint32_t{feature};
    NibRestrict restriction{sizeof(NibRestrict)};
    restriction.features_mask = mask;
    result.push_back(device.restricted(restriction));
  }
#endif
  return result;
}

void say(const Json& step) {
  const std::string text = step.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);  // the driver may crash at any time
}

// Returns false after an error.
bool runOne(const kit::Device& device, const selftest::Case& c, size_t index,
            std::vector<std::vector<std::string>>& seen) {
  std::optional<kit::Plan> plan;
  try {
    plan.emplace(selftest::planOf(device, c));
  } catch (const kit::Error& error) {
    const bool refused = error.result() == NIB_ERROR_UNSUPPORTED || error.result() == NIB_ERROR_INVALID_ARGUMENT;
    say({{refused ? "skip" : "error", index}, {"text", error.what()}});
    return refused;
  }
  const std::vector<std::string> kernels = plan->kernels();
  say({{"kernels", kernels}});
  // Skipped if a path with more features has already tested these kernels.
  if (std::find(seen.begin(), seen.end(), kernels) != seen.end()) {
    say({{"same", index}});
    return true;
  }
  seen.push_back(kernels);
  try {
    Json attempts = Json::array();
    for (const kit::Attempt& attempt : kit::verifyOp(device, c.desc(), c.descBytes())) {
      attempts.push_back({{"kernels", attempt.kernels}, {"passed", attempt.passed}});
    }
    say({{"end", index}, {"attempts", attempts}});
    return true;
  } catch (const kit::Error& error) {
    say({{"error", index}, {"text", error.what()}});
    return false;
  }
}

// A lost device stays lost in this process.
bool works([[maybe_unused]] const kit::Device& device) {
#if !defined(NIB_NO_VULKAN)
  if (device.isCpu()) return true;
  try {
    device.submit([](VkCommandBuffer) {});
  } catch (const kit::Error&) {
    return false;
  }
#endif
  return true;
}

}  // namespace

int runVerifyChild(const DeviceArguments& arguments, size_t first) {
  const kit::Device device = openDevice(arguments);
  const std::vector<kit::Device> devices = paths(device);
  size_t index = 0;
  for (const selftest::NamedCase& named : selftest::verifyCases()) {
    std::vector<std::vector<std::string>> seen;
    for (size_t path = 0; path < devices.size(); ++path, ++index) {
      if (index < first) continue;
      const std::string name = named.name + (path == 0 ? "" : ", path " + std::to_string(path));
      say({{"begin", index}, {"name", name}});
      if (runOne(devices[path], named.c, index, seen) || works(device)) continue;
      say({{"lost", true}});
      return 1;
    }
  }
  say({{"finished", true}});
  return 0;
}

}  // namespace nib::tool
