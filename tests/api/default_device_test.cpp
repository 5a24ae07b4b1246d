// The default device of the tool: earlier measurements are used if they are whole and of this machine.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "default_device.h"
#include "kit/file.h"

using namespace nib;
using namespace nib::tool;
namespace fs = std::filesystem;

namespace {

fs::path scratch(const char* name) {
  const fs::path folder = fs::temp_directory_path() / "nibble_default_device_test";
  fs::create_directories(folder);
  fs::remove(folder / name);
  return folder / name;
}

void write(const fs::path& file, std::string_view text) {
  kit::detail::writeFile(file.string(), std::as_bytes(std::span(text)));
}

}  // namespace

TEST_CASE("a device's speedup is the geometric mean of both ops") {
  CHECK(speedup({1, 1}, {4, 9}) == doctest::Approx(6));
  CHECK(speedup({8, 2}, {2, 2}) == doctest::Approx(0.5));
}

TEST_CASE("times are kept in a file") {
  const fs::path file = scratch("kept");
  CHECK(!readKeptTimes(file, "here"));
  keepTimes(file, "here", {{0.5, 0.25}, {0.125, 2}});
  const std::optional<KeptTimes> times = readKeptTimes(file, "here");
  REQUIRE(times);
  CHECK(times->vulkan.quantize == 0.5);
  CHECK(times->vulkan.product == 0.25);
  CHECK(times->cpu.quantize == 0.125);
  CHECK(times->cpu.product == 2);
  CHECK(!readKeptTimes(file, "another machine"));
  keepTimes(file / "no folder", "here", *times);  // cannot be written: no error
  CHECK(!readKeptTimes(file / "no folder", "here"));
}

TEST_CASE("damaged times are measured again") {
  const fs::path file = scratch("damaged");
  const char* const whole = R"({"schema": 1, "key": "k", "vulkan": {"quantize_s": 1, "product_s": 1},
                                "cpu": {"quantize_s": 1, "product_s": 1}})";
  write(file, whole);
  CHECK(readKeptTimes(file, "k"));
  std::vector<std::string> damaged = {
      "", "{", "[]", "null", R"({"schema": 2, "key": "k"})", R"({"schema": 1, "key": 3})"};
  for (const char* vulkan : {R"({"quantize_s": 0, "product_s": 1})", R"({"quantize_s": 1, "product_s": -1})",
                             R"({"quantize_s": "1", "product_s": 1})", R"({"product_s": 1})", "[]", "3"}) {
    damaged.push_back(std::string(R"({"schema": 1, "key": "k", "vulkan": )") + vulkan +
                      R"(, "cpu": {"quantize_s": 1, "product_s": 1}})");
  }
  for (const std::string& text : damaged) {
    INFO(text);
    write(file, text);
    CHECK(!readKeptTimes(file, "k"));
  }
}

TEST_CASE("without a software driver nothing is measured") {
  kit::DeviceInfo gpu;
  gpu.index = 1;
  gpu.type = kit::DeviceType::kIntegrated;
  gpu.tier = 0;
  kit::DeviceInfo software = gpu;
  software.index = 0;
  software.type = kit::DeviceType::kSoftware;
  const std::vector<kit::DeviceInfo> devices = {software, gpu};
#if !defined(_WIN32)
  unsetenv("NIBBLE_DEVICE");
  CHECK(defaultDevice(devices).selector.empty());
  CHECK(defaultDevice({}).selector.empty());
  setenv("NIBBLE_DEVICE", "radeon", 1);
  CHECK(defaultDevice(devices).selector == "radeon");
  CHECK(defaultDevice(devices).reason == "NIBBLE_DEVICE says so");
  unsetenv("NIBBLE_DEVICE");
#endif
}
