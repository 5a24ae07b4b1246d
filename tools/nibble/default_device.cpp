#include "default_device.h"

#include "kit/choose.h"
#include "kit/file.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace nib::tool {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

// Large enough for two threads, small enough for a slow driver.
constexpr uint32_t kRows = 512, kCols = 1024, kTokens = 32, kRepeats = 3;

const char* variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

// Empty if the user has no place for such files.
fs::path keptFile() {
  if (const char* cache = variable("XDG_CACHE_HOME")) return fs::path(cache) / "nibble" / "device-times.json";
  if (const char* home = variable("HOME")) return fs::path(home) / ".cache" / "nibble" / "device-times.json";
  return {};
}

template <class Desc>
double secondsOf(const kit::Device& device, const Desc& desc, uint32_t n) {
  const kit::Plan plan(device, desc);
  const auto buffer = [&](NibRole role) {
    kit::Buffer made(device, std::max<uint64_t>(plan.sizeBytes(role), 4));
    device.fill(made, 0x3c003c00u, 0, made.sizeBytes());  // small numbers of every type
    return made;
  };
  const kit::Buffer weights = buffer(NIB_ROLE_WEIGHTS), input = buffer(NIB_ROLE_INPUT),
                    output = buffer(NIB_ROLE_OUTPUT), aux = buffer(NIB_ROLE_AUX);
  const kit::Binding binding(plan, {weights, input, output, aux});
  device.run(binding, n);  // drivers compile when a kernel runs for the first time
  double best = INFINITY;
  for (uint32_t i = 0; i < kRepeats; ++i) best = std::min(best, device.run(binding, n).seconds);
  return best;
}

DeviceTimes measure(const kit::Device& device) {
  const bool usual = nibFormatByName("int4") != nullptr;
  NibQuantizeDesc quantize = kit::quantizeDesc(usual ? "int4" : nibFormatAt(0)->name, kRows, kCols);
  quantize.source_type = NIB_TYPE_F16;
  NibMatmulDesc product = {};
  product.op = NIB_OP_MATMUL;
  product.desc_bytes = sizeof product;
  product.rows = kRows;
  product.cols = kCols;
  product.tokens = kTokens;
  product.flags = NIB_PRODUCT_ONE_KERNEL;
  product.input_type = product.result_type = NIB_TYPE_F32;
  product.weights = quantize.weights;
  return {secondsOf(device, quantize, kRows), secondsOf(device, product, kTokens)};
}

KeptTimes measureBoth(const kit::DeviceInfo& info) {
  KeptTimes times;
  times.cpu = measure(kit::Device::cpu());
  try {
    times.vulkan = measure(kit::Device::byName(std::to_string(info.index)));
  } catch (const std::exception&) {
    times.vulkan = {1e9, 1e9};  // a driver that fails is no default
  }
  return times;
}

std::string ratioText(double ratio) {
  char text[32];
  std::snprintf(text, sizeof text, ratio < 10 ? "%.1f" : "%.0f", ratio);
  return text;
}

}  // namespace

double speedup(const DeviceTimes& device, const DeviceTimes& than) {
  return std::sqrt(than.quantize / device.quantize * (than.product / device.product));
}

std::optional<KeptTimes> readKeptTimes(const fs::path& file, const std::string& key) {
  try {
    constexpr uint64_t kMostBytes = 1u << 16;
    const kit::Bytes bytes = kit::detail::readFile(file.string(), kMostBytes);
    const Json json = Json::parse(bytes.begin(), bytes.end());
    if (json.at("schema") != 1 || json.at("key") != key) return std::nullopt;
    KeptTimes times;
    for (const auto& [name, to] : {std::pair("vulkan", &times.vulkan), std::pair("cpu", &times.cpu)}) {
      *to = {json.at(name).at("quantize_s").get<double>(), json.at(name).at("product_s").get<double>()};
      if (!(to->quantize > 0) || !(to->product > 0)) return std::nullopt;
    }
    return times;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

void keepTimes(const fs::path& file, const std::string& key, const KeptTimes& times) {
  const auto json = [](const DeviceTimes& t) { return Json{{"quantize_s", t.quantize}, {"product_s", t.product}}; };
  const Json object = {{"schema", 1}, {"key", key}, {"vulkan", json(times.vulkan)}, {"cpu", json(times.cpu)}};
  const std::string text = object.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  try {
    fs::create_directories(file.parent_path());
    kit::detail::writeFile(file.string(), std::as_bytes(std::span(text)));
  } catch (const std::exception&) {
  }
}

DefaultDevice defaultDevice(std::span<const kit::DeviceInfo> devices) {
  if (const char* wanted = variable("NIBBLE_DEVICE")) return {wanted, "NIBBLE_DEVICE says so"};
  const std::optional<size_t> best = kit::detail::chooseBest(devices);
  if (!best || devices[*best].type != kit::DeviceType::kSoftware) return {};
  const kit::DeviceInfo& info = devices[*best];
  const std::string key = std::string(nibVersionString()) + ", " + info.driver + ", " + info.driver_version + ", " +
                          info.name + ", " + std::to_string(std::thread::hardware_concurrency()) + " threads";
  const fs::path file = keptFile();
  std::optional<KeptTimes> times = file.empty() ? std::nullopt : readKeptTimes(file, key);
  if (!times) {
    times = measureBoth(info);
    if (!file.empty()) keepTimes(file, key, *times);
  }
  const double faster = speedup(times->cpu, times->vulkan);
  const std::string kept = file.empty() ? "" : ", kept in " + file.string();
  if (faster > 1) {
    return {"cpu", "it is " + ratioText(faster) + " times as fast as " + info.name + ", a software driver (measured" +
                       kept + ")"};
  }
  return {std::to_string(info.index),
          "it is " + ratioText(1 / faster) + " times as fast as the CPU device (measured" + kept + ")"};
}

}  // namespace nib::tool
