// Which device a selector means: a pure function of the list.
#ifndef NIB_KIT_CHOOSE_H
#define NIB_KIT_CHOOSE_H

#include <nibble/kit.h>

#include <optional>

namespace nib::kit::detail {

constexpr size_t kChooseCpu = SIZE_MAX;

// Usable devices only: discrete > integrated > virtual > other > software; the first listed of equals. Empty if none.
std::optional<size_t> chooseBest(std::span<const DeviceInfo> devices);

// Position in `devices`, or kChooseCpu. Throws NotFound with what there is; Error for an index that cannot be used.
size_t chooseDevice(std::span<const DeviceInfo> devices, std::string_view selector);

bool usable(const DeviceInfo& device);

}  // namespace nib::kit::detail
#endif
