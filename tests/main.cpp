// The main function of every test program. With NIB_TESTS_NEED_DEVICE and no Vulkan device, the program returns 77,
// which ctest reports as skipped; with NIBBLE_REQUIRE_GPU=1 it fails instead. With NIBBLE_TEST_HARDWARE=1 software
// drivers are ignored: they have tests of their own.
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
// LeakSanitizer reports the allocations of an unloaded driver as leaks, since the globals that point to them are gone:
// drivers stay loaded. Layers leak some memory themselves.
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
    const bool required = isSet("NIBBLE_REQUIRE_GPU");
    std::printf("%s: no Vulkan device%s\n", required ? "FAILED" : "SKIPPED",
                hardware ? " except software drivers" : "");
    return required ? 1 : 77;
  }
  for (const nib::kit::DeviceInfo& device : devices) {
    std::printf("device %u: %s, %s, subgroup %u, tier %d\n", device.index, device.name.c_str(), device.driver.c_str(),
                device.subgroup_size, device.tier);
  }
#endif
  return doctest::Context(argc, argv).run();
}
