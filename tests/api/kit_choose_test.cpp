// The device that a selector chooses, on made-up lists of devices.
#include <doctest/doctest.h>

#include "kit/choose.h"

using namespace nib::kit;
using detail::chooseBest;
using detail::chooseDevice;
using detail::kChooseCpu;

namespace {

DeviceInfo device(uint32_t index, const char* name, DeviceType type) {
  DeviceInfo info;
  info.index = index;
  info.name = name;
  info.driver = "a driver";
  info.type = type;
  return info;
}

const std::vector<DeviceInfo> kMachine = {
    device(0, "llvmpipe (LLVM 15.0.6, 256 bits)", DeviceType::kSoftware),
    device(1, "Intel UHD 630", DeviceType::kIntegrated), device(2, "NVIDIA GeForce RTX 3090", DeviceType::kDiscrete),
    device(3, "NVIDIA GeForce RTX 4070", DeviceType::kDiscrete), device(4, "virtio", DeviceType::kVirtual)};

std::string messageOf(const std::vector<DeviceInfo>& devices, const char* selector) {
  try {
    chooseDevice(devices, selector);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("the best device is discrete, then integrated, then virtual, then software, in listed order") {
  std::vector<DeviceInfo> devices = kMachine;
  const uint32_t expected[] = {2, 3, 1, 4, 0};
  for (const uint32_t index : expected) {
    const auto best = chooseBest(devices);
    REQUIRE(best.has_value());
    CHECK(devices[*best].index == index);
    devices.erase(devices.begin() + static_cast<std::ptrdiff_t>(*best));
  }
  CHECK_FALSE(chooseBest(devices).has_value());
}

TEST_CASE("an unknown kind of device comes before software and after virtual") {
  CHECK(*chooseBest(std::vector{device(0, "a", DeviceType::kSoftware), device(1, "b", DeviceType::kOther)}) == 1);
  CHECK(*chooseBest(std::vector{device(0, "a", DeviceType::kOther), device(1, "b", DeviceType::kVirtual)}) == 1);
}

TEST_CASE("without a device the CPU is chosen") {
  CHECK(chooseDevice({}, "") == kChooseCpu);
  CHECK(chooseDevice({}, "cpu") == kChooseCpu);
  CHECK(chooseDevice({}, "0") == kChooseCpu);  // its index in an empty list
}

TEST_CASE("an unusable device is never the default") {
  std::vector<DeviceInfo> devices = {kMachine[2], kMachine[0]};
  devices[0].tier_reason = "it has Vulkan 1.0, 1.1 is needed";
  CHECK(chooseDevice(devices, "") == 1);
  devices[1].tier_reason = "it has no compute queue";
  CHECK(chooseDevice(devices, "") == kChooseCpu);
  CHECK(messageOf(devices, "3090").find("1.1 is needed") != std::string::npos);
}

TEST_CASE("a selector is an index, cpu, or part of a name, without regard to case") {
  CHECK(chooseDevice(kMachine, "0") == 0);
  CHECK(chooseDevice(kMachine, "4") == 4);
  CHECK(chooseDevice(kMachine, "5") == kChooseCpu);
  CHECK(chooseDevice(kMachine, "CPU") == kChooseCpu);
  CHECK(chooseDevice(kMachine, "LLVMpipe") == 0);
  CHECK(chooseDevice(kMachine, "intel") == 1);
  CHECK(chooseDevice(kMachine, "rtx 4070") == 3);
  CHECK(chooseDevice(kMachine, "4070") == 3);      // larger than any index: part of a name
  CHECK(chooseDevice(kMachine, "geforce") == 2);   // the first match of the best type
  CHECK(chooseDevice(kMachine, "a driver") == 2);  // the driver's name matches too
}

TEST_CASE("a name without a match is refused with the list of devices") {
  CHECK_THROWS_AS(chooseDevice(kMachine, "radeon"), NotFound);
  CHECK_THROWS_AS(chooseDevice(kMachine, "6"), NotFound);
  CHECK_THROWS_AS(chooseDevice(kMachine, "-1"), NotFound);
  CHECK(messageOf(std::vector{kMachine[0]}, "radeon") ==
        "no device \"radeon\"; there is 0 = llvmpipe (LLVM 15.0.6, 256 bits), 1 = cpu");
}
