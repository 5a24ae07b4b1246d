// The memory bandwidth of devices that are not at hand, by the profile's id.
#ifndef NIB_MODEL_SUGGEST_BANDWIDTH_H
#define NIB_MODEL_SUGGEST_BANDWIDTH_H

#include <optional>
#include <string_view>

namespace nib::model {

// GB/s of the memory of such a device or its class, by the maker's data. None = the profile says nothing of it.
std::optional<double> typicalBandwidth(std::string_view profile);

}  // namespace nib::model
#endif
