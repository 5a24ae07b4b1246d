// The main function of every test program. One that needs a Vulkan device (NIB_TESTS_NEED_DEVICE) ends with 77, which
// ctest reports as skipped, where there is none; with NIBBLE_REQUIRE_GPU=1 that is a failure. With
// NIBBLE_TEST_HARDWARE=1 software drivers do not count: they have tests of their own.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#ifdef NIB_TESTS_NEED_DEVICE
#include <nibble/kit.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

static bool isSet(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && std::string_view(value) == "1";
}
#endif

#if defined(__SANITIZE_ADDRESS__)
// A driver that is unloaded takes the roots of what it keeps along, which then looks lost: drivers stay. Layers lose
// some.
extern "C" int dlclose(void*) { return 0; }
extern "C" const char* __lsan_default_suppressions() { return "leak:libVkLayer\n"; }
#endif

int main(int argc, char** argv) {
#ifdef NIB_TESTS_NEED_DEVICE
  const bool hardware = isSet("NIBBLE_TEST_HARDWARE");
  std::vector<nib::kit::DeviceInfo> devices = nib::kit::listDevices();
  std::erase_if(devices, [&](const nib::kit::DeviceInfo& device) {
    return device.tier < 0 || (hardware && device.type == nib::kit::DeviceType::kSoftware);
  });
  if (devices.empty()) {
    const bool must = isSet("NIBBLE_REQUIRE_GPU");
    std::printf("%s: no Vulkan device%s\n", must ? "FAILED" : "SKIPPED", hardware ? " but software" : "");
    return must ? 1 : 77;
  }
  for (const nib::kit::DeviceInfo& device : devices) {
    std::printf("device %u: %s, %s, subgroup %u, tier %d\n", device.index, device.name.c_str(), device.driver.c_str(),
                device.subgroup_size, device.tier);
  }
#endif
  return doctest::Context(argc, argv).run();
}
