// The device of verbs without --device. A software driver of Vulkan runs on the same processor as the CPU device, so
// both are timed once per machine and driver, and the faster one is used from then on.
#ifndef NIB_TOOL_DEFAULT_DEVICE_H
#define NIB_TOOL_DEFAULT_DEVICE_H

#include <nibble/kit.h>

#include <filesystem>
#include <optional>
#include <span>
#include <string>

namespace nib::tool {

// Two ops that say how fast a device quantizes and runs models, in seconds.
struct DeviceTimes {
  double quantize = 0, product = 0;
};

struct DefaultDevice {
  std::string selector;  // for DeviceOptions; "" = the best of its kind
  std::string reason;    // for people; "" = there was no choice
};

// How often one device is faster than the other, as the geometric mean of both ops.
double speedup(const DeviceTimes& device, const DeviceTimes& than);

// The times of an earlier run, or none if the file is missing, damaged, or of another `key`.
struct KeptTimes {
  DeviceTimes vulkan, cpu;
};
std::optional<KeptTimes> readKeptTimes(const std::filesystem::path& file, const std::string& key);
// Does nothing if it cannot be written: the next run measures again.
void keepTimes(const std::filesystem::path& file, const std::string& key, const KeptTimes& times);

// devices: all Vulkan devices, opened or not. $NIBBLE_DEVICE comes first, if it is set. Measures for about a second if
// the best device is a software driver that was not measured on this machine yet. Does not throw for a driver that
// fails: the CPU device is used then.
DefaultDevice defaultDevice(std::span<const kit::DeviceInfo> devices);

}  // namespace nib::tool
#endif
