#include "bench/machine.h"

#include "bench_git.inc"

#if !defined(NIB_NO_VULKAN)
#include "base/names.h"
#include "plan/context.h"
#endif

#include <chrono>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/utsname.h>
#include <unistd.h>
#endif

namespace nib::bench {
namespace {

std::string firstLine(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The value of "key : value" in /proc/cpuinfo for the first processor.
std::string cpuInfo(const std::string& key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key, 0) != 0) continue;
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const size_t text = line.find_first_not_of(" \t", colon + 1);
    return text == std::string::npos ? std::string() : line.substr(text);
  }
  return {};
}

Json textOrNull(const std::string& text) { return text.empty() ? Json() : Json(text); }

std::string osName() {
#if defined(_WIN32)
  return "Windows";
#elif defined(__unix__) || defined(__APPLE__)
  utsname names{};
  std::string text = uname(&names) == 0 ? std::string(names.sysname) + " " + names.release : std::string();
  std::ifstream release("/etc/os-release");
  for (std::string line; std::getline(release, line);) {
    if (line.rfind("PRETTY_NAME=\"", 0) == 0 && line.back() == '"')
      text = line.substr(13, line.size() - 14) + ", " + text;
  }
  return text;
#else
  return {};
#endif
}

uint64_t hostMemoryBytes() {
#if defined(_SC_PHYS_PAGES) && defined(_SC_PAGESIZE)
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0 ? uint64_t(pages) * uint64_t(page) : 0;
#else
  return 0;
#endif
}

std::string utcNow() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
#if defined(_WIN32)
  gmtime_s(&parts, &now);
#else
  gmtime_r(&now, &parts);
#endif
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string compilerName() {
#if defined(__clang__)
  return "clang " __clang_version__;
#elif defined(__GNUC__)
  return "gcc " __VERSION__;
#elif defined(_MSC_VER)
  return "msvc " + std::to_string(_MSC_VER);
#else
  return {};
#endif
}

// Mean number of running threads over the last minute. bench/results/README.md defines a quiet machine by it.
Json loadAverage() {
  std::ifstream file("/proc/loadavg");
  double load = 0;
  return file >> load ? rounded(load) : Json();
}

// Clock of a GPU from sysfs, matched by PCI ids: amdgpu marks the current line of a table with a star, i915 has one
// number.
Json gpuClock(const kit::DeviceInfo& info) {
  namespace fs = std::filesystem;
  std::error_code error;
  for (const fs::directory_entry& card : fs::directory_iterator("/sys/class/drm", error)) {
    const fs::path device = card.path() / "device";
    const std::string vendor = firstLine(device / "vendor"), id = firstLine(device / "device");
    if (vendor.empty() || std::strtoul(vendor.c_str(), nullptr, 16) != info.vendor_id ||
        std::strtoul(id.c_str(), nullptr, 16) != info.device_id) {
      continue;
    }
    std::ifstream table(device / "pp_dpm_sclk");
    for (std::string line; std::getline(table, line);) {
      if (line.find('*') != std::string::npos) return line.substr(0, line.find('*'));
    }
    const std::string megahertz = firstLine(card.path() / "gt_cur_freq_mhz");
    if (!megahertz.empty()) return megahertz + " MHz";
  }
  return {};
}

Json featuresJson([[maybe_unused]] uint32_t features) {
  Json names = Json::array();
#if !defined(NIB_NO_VULKAN)
  for (uint32_t bit = 1; (bit & NIB_FEATURE_ALL) != 0; bit <<= 1) {
    if (features & bit) names.push_back(featureName(bit));
  }
#endif
  return names;
}

Json limitsJson([[maybe_unused]] const kit::Device& device) {
#if !defined(NIB_NO_VULKAN)
  if (device.context() != nullptr) {
    const vk::Caps& caps = device.context()->caps;
    return {{"max_workgroup_invocations", caps.max_workgroup_invocations},
            {"max_workgroup_size_x", caps.max_workgroup_size_x},
            {"max_workgroup_count_x", caps.max_workgroup_count_x},
            {"max_shared_bytes", caps.max_shared_bytes},
            {"max_push_bytes", caps.max_push_bytes},
            {"max_storage_range_bytes", caps.max_storage_range_bytes},
            {"offset_alignment_bytes", caps.offset_alignment_bytes},
            {"min_subgroup_size", caps.min_subgroup_size},
            {"max_subgroup_size", caps.max_subgroup_size}};
  }
#endif
  return {};
}

Json ceilingJson(const CeilingReport& report) {
  Json json = {{"unit", report.unit},
               {"value", report.value ? rounded(*report.value) : Json()},
               {"verified", report.tried && report.best.verified},
               {"method", textOrNull(report.method)},
               {"reason", textOrNull(report.reason)}};
  if (report.tried && report.best.verified) {
    json["median_us"] = rounded(report.best.us.median);
    json["p5_us"] = rounded(report.best.us.p5);
    json["reps"] = report.best.repetitions;
    json["clock"] = report.best.device_clock ? "timestamp" : "wall";
  }
  json["ways"] = Json::array();
  for (const CeilingWay& way : report.ways)
    json["ways"].push_back({{"method", way.method}, {"value", rounded(way.value)}});
  return json;
}

}  // namespace

const char* gitDescription() { return kGitDescription; }

Json rounded(double value) {
  if (!std::isfinite(value)) return {};
  char text[40];
  std::snprintf(text, sizeof text, "%.6g", value);
  return std::strtod(text, nullptr);
}

Json machineJson(const kit::Device& device, const std::string& profile, const Rotation& rotation) {
  const kit::DeviceInfo& info = device.info();
  const std::string megahertz = cpuInfo("cpu MHz");
  const std::string model = cpuInfo("model name");
  return {{"device", info.name},
          {"device_index", info.index},
          {"type", kit::deviceTypeName(info.type)},
          {"driver", info.driver},
          {"driver_version", info.driver_version},
          {"api", textOrNull(info.api)},
          {"vendor_id", info.vendor_id},
          {"device_id", info.device_id},
          {"tier", info.tier < 0 ? Json() : Json(info.tier)},
          {"next_tier", textOrNull(info.tier_reason)},
          {"profile", textOrNull(profile)},
          {"subgroup_size", info.subgroup_size},
          {"features", featuresJson(info.features)},
          {"limits", limitsJson(device)},
          {"memory_bytes", info.memory_bytes},
          {"timestamps", info.timestamps},
          {"cpu", textOrNull(model.empty() ? cpuInfo("Model") : model)},
          {"cpu_threads", std::max(1u, std::thread::hardware_concurrency())},
          {"host_memory_bytes", hostMemoryBytes()},
          {"os", textOrNull(osName())},
          {"clock",
           {{"cpu_mhz", megahertz.empty() ? Json() : rounded(std::strtod(megahertz.c_str(), nullptr))},
            {"cpu_governor", textOrNull(firstLine("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"))},
            {"gpu", gpuClock(info)}}},
          {"load_average", loadAverage()},
          {"nibble", nibVersionString()},
          {"git", textOrNull(gitDescription())},
          {"compiler", textOrNull(compilerName())},
          {"date", utcNow()},
          {"data", {{"distribution", "normal"}, {"deviation", 0.02}, {"seed", 2024}}},
          {"cache",
           {{"bytes", rotation.cache_bytes != 0 ? Json(rotation.cache_bytes) : Json()},
            {"rotation_bytes", rotation.bytes},
            {"source", rotation.source}}}};
}

Json ceilingsJson(const Ceilings& ceilings) {
  Json json = Json::object();
  for (const CeilingReport* report : ceilings.all()) json[report->name] = ceilingJson(*report);
  return json;
}

}  // namespace nib::bench
