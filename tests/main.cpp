// The main function of every test program. One that needs a Vulkan device (NIB_TESTS_NEED_DEVICE) ends with 77, which
// ctest reports as skipped, where there is none; with NIBBLE_REQUIRE_GPU=1 that is a failure.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#ifdef NIB_TESTS_NEED_DEVICE
#include <nibble/kit.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>
#endif

int main(int argc, char** argv) {
#ifdef NIB_TESTS_NEED_DEVICE
  const std::vector<nib::kit::DeviceInfo> devices = nib::kit::listDevices();
  if (devices.empty()) {
    const char* required = std::getenv("NIBBLE_REQUIRE_GPU");
    const bool must = required != nullptr && std::string_view(required) == "1";
    std::printf("%s: no Vulkan device\n", must ? "FAILED" : "SKIPPED");
    return must ? 1 : 77;
  }
  for (const nib::kit::DeviceInfo& device : devices) {
    std::printf("device %u: %s, %s, subgroup %u, tier %d\n", device.index, device.name.c_str(), device.driver.c_str(),
                device.subgroup_size, device.tier);
  }
#endif
  return doctest::Context(argc, argv).run();
}
