// Chooses the device that a selector names: pure functions of the list.
#ifndef NIB_KIT_CHOOSE_H
#define NIB_KIT_CHOOSE_H

#include <nibble/kit.h>

#include <optional>

namespace nib::kit::detail {

constexpr size_t kChooseCpu = SIZE_MAX;

// The best usable device: discrete > integrated > virtual > other > software; of equals the first listed. Empty if none
// is usable.
std::optional<size_t> chooseBest(std::span<const DeviceInfo> devices);

// Returns a position in `devices`, or kChooseCpu. Throws NotFound with a list of the devices if none matches, and Error
// if no device that matches is usable.
size_t chooseDevice(std::span<const DeviceInfo> devices, std::string_view selector);

bool usable(const DeviceInfo& device);

// As kit::listDevices, but opens no device: tiers are unknown, and it takes little time.
std::vector<DeviceInfo> listUnopened();

}  // namespace nib::kit::detail
#endif
