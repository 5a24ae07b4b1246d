#include "kit/profiles.h"

// const unsigned char kDeviceProfiles[] and kDeviceProfilesBytes, written by the build.
#include "device_profiles.inc"

namespace nib::kit::detail {

std::string_view embeddedProfiles() { return {reinterpret_cast<const char*>(kDeviceProfiles), kDeviceProfilesBytes}; }

}  // namespace nib::kit::detail
