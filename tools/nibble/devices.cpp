// nibble devices: lists devices with their tiers, and verifies that their advertised features work.
#include "base/names.h"
#include "child.h"
#include "default_device.h"
#include "verb.h"
#include "verify.h"

#include "kit/choose.h"

namespace nib::tool {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  DeviceArguments device;
  JsonArguments json;
  bool verify = false;
  bool profiles = false;
  int64_t verify_child = -1;
  std::string argv0;
};

struct Row {
  kit::DeviceInfo info;
  std::optional<VerifyReport> report;
};

std::string tierText(const kit::DeviceInfo& info) { return info.tier < 0 ? "-" : std::to_string(info.tier); }

const char* resultText(const KernelReport& kernel) {
  if (!kernel.crash.empty()) return kernel.crash.c_str();
  return kernel.failed > 0 ? "FAILED" : "passed";
}

// The device of --device, or all devices; with the capabilities that --profile leaves them.
std::vector<kit::DeviceInfo> findDevices(const DeviceArguments& arguments) {
  const bool all = arguments.device.empty() || arguments.device == "all";
  if (!all) return {openDevice(arguments).info()};
  std::vector<kit::DeviceInfo> devices = kit::listDevices();
  if (!arguments.profile.empty()) {
    DeviceArguments one = arguments;
    one.device = "cpu";
    openDevice(one);  // throws for an unknown profile even if there is no Vulkan device
    for (kit::DeviceInfo& device : devices) {
      if (device.tier < 0) continue;
      one.device = std::to_string(device.index);
      device = openDevice(one).info();
    }
  }
  devices.push_back(kit::cpuDeviceInfo(devices.size()));
  return devices;
}

Json featuresJson([[maybe_unused]] uint32_t features) {
  Json names = Json::array();
#if !defined(NIB_NO_VULKAN)
  for (uint32_t bit = 1; (bit & NIB_FEATURE_ALL) != 0; bit <<= 1) {
    if ((features & bit) != 0) names.push_back(featureName(bit));
  }
#endif
  return names;
}

Json reportJson(const VerifyReport& report) {
  Json kernels = Json::array();
  for (const auto& [name, kernel] : report.kernels) {
    kernels.push_back({{"name", name},
                       {"result", kernel.crash.empty() ? (kernel.failed > 0 ? "failed" : "passed") : "crashed"},
                       {"passed", kernel.passed},
                       {"failed", kernel.failed}});
    if (!kernel.crash.empty()) kernels.back()["crash"] = kernel.crash;
  }
  return {{"passed", report.passed()},
          {"cases", report.cases},
          {"skipped", report.skipped},
          {"problems", report.problems},
          {"kernels", kernels}};
}

Json rowJson(const Row& row) {
  const kit::DeviceInfo& info = row.info;
  Json device = {{"index", info.index},
                 {"name", info.name},
                 {"driver", info.driver},
                 {"driver_version", info.driver_version},
                 {"api", info.api.empty() ? Json() : Json(info.api)},
                 {"tier", info.tier < 0 ? Json() : Json(info.tier)},
                 {"type", kit::deviceTypeName(info.type)},
                 {"next_tier", info.tier_reason},
                 {"features", featuresJson(info.features)},
                 {"subgroup_size", info.subgroup_size},
                 {"memory_bytes", info.memory_bytes},
                 {"max_storage_range_bytes", info.max_storage_range_bytes},
                 {"timestamps", info.timestamps}};
  if (row.report) device["verify"] = reportJson(*row.report);
  return device;
}

void printDevices(std::FILE* file, const std::vector<Row>& rows) {
  Table table({"index", "name", "driver", "api", "tier", "type", "why not the next tier"}, {true});
  for (const Row& row : rows) {
    const kit::DeviceInfo& info = row.info;
    table.add({std::to_string(info.index), info.name, info.driver, info.api.empty() ? "-" : info.api, tierText(info),
               kit::deviceTypeName(info.type), info.tier_reason});
  }
  table.print(file);
}

void printReport(std::FILE* file, const Row& row) {
  const VerifyReport& report = *row.report;
  std::fprintf(file, "\n%u %s: %u self-tests, %zu problems (%u combinations not supported)\n", row.info.index,
               row.info.name.c_str(), report.cases, report.problems.size(), report.skipped);
  Table table({"kernel", "result", "self-tests"}, {false, false, true});
  for (const auto& [name, kernel] : report.kernels) {
    table.add({name, resultText(kernel), std::to_string(kernel.passed + kernel.failed)});
  }
  table.print(file);
  for (const std::string& problem : report.problems) std::fprintf(file, "%s\n", oneLine(problem).c_str());
}

// The device of verbs without --device, and why; null if this call names one.
Json standardDevice(const DeviceArguments& arguments, const std::vector<Row>& rows) {
  if (!arguments.device.empty() || !arguments.profile.empty()) return {};
  std::vector<kit::DeviceInfo> vulkan;
  for (const Row& row : rows) {
    if (row.info.type != kit::DeviceType::kCpu) vulkan.push_back(row.info);
  }
  const DefaultDevice found = defaultDevice(vulkan);
  kit::DeviceInfo info;
  try {
    const size_t at = kit::detail::chooseDevice(vulkan, found.selector);
    info = at == kit::detail::kChooseCpu ? kit::cpuDeviceInfo(vulkan.size()) : vulkan[at];
  } catch (const kit::Error& error) {  // NIBBLE_DEVICE names none
    return {{"index", nullptr}, {"name", "none"}, {"why", oneLine(error.what())}};
  }
  return {{"index", info.index}, {"name", info.name}, {"why", found.reason.empty() ? Json() : Json(found.reason)}};
}

int run(const Arguments& arguments) {
  if (arguments.verify_child >= 0) {
    return runVerifyChild(arguments.device, static_cast<size_t>(arguments.verify_child));
  }
  PathCheck paths(arguments.json.force);
  readsDevice(paths, arguments.device);
  const Output output(arguments.json, paths);
  if (arguments.profiles) {
    Json ids = kit::profileIds();
    for (const Json& id : ids) std::fprintf(output.text(), "%s\n", id.get<std::string>().c_str());
    output.json({{"profiles", ids}});
    return kExitDone;
  }
  std::vector<Row> rows;
  for (kit::DeviceInfo& info : findDevices(arguments.device)) rows.push_back({std::move(info), std::nullopt});
  printDevices(output.text(), rows);
  const Json standard = standardDevice(arguments.device, rows);
  if (!standard.is_null()) {
    std::fprintf(output.text(), "default: %s%s\n", standard["name"].get<std::string>().c_str(),
                 standard["why"].is_null() ? "" : (", because " + standard["why"].get<std::string>()).c_str());
  }
  std::fflush(output.text());
  bool passed = true;
  if (arguments.verify) {
    const std::vector<std::string> program = ownCommand(arguments.argv0);
    for (Row& row : rows) {
      if (row.info.tier < 0 && row.info.type != kit::DeviceType::kCpu) continue;
      const bool cpu = row.info.type == kit::DeviceType::kCpu;
      row.report = verifyDevice(program, cpu ? "cpu" : std::to_string(row.info.index), arguments.device.profile);
      passed = passed && row.report->passed();
      printReport(output.text(), row);
      std::fflush(output.text());
    }
  }
  Json list = Json::array();
  for (const Row& row : rows) list.push_back(rowJson(row));
  Json object = {{"devices", list}};
  if (!standard.is_null()) object["default"] = standard;
  output.json(object);
  return passed ? kExitDone : kExitFailed;
}

}  // namespace

Verb makeDevicesVerb(CLI::App& parent, const std::string& argv0) {
  auto arguments = std::make_shared<Arguments>();
  arguments->argv0 = argv0;
  CLI::App* app = parent.add_subcommand("devices", "List devices, their tier, and why not the next one");
  addDeviceOptions(*app, arguments->device);
  addJsonOptions(*app, arguments->json);
  app->add_flag("--verify", arguments->verify,
                "run every kernel's self-test on each device, in a child process, because drivers may advertise "
                "features that fail");
  app->add_flag("--profiles", arguments->profiles, "list the ids that --profile takes");
  app->add_option("--verify-child", arguments->verify_child)->group("");  // hidden: --verify starts itself with it
  app->footer("Example:\n  nibble devices\n  nibble devices --verify --device 0 --json=verify.json");
  return {app, [arguments] { return run(*arguments); }};
}

}  // namespace nib::tool
