// The table of common devices, from which restrictions are made.
#ifndef NIB_KIT_PROFILES_H
#define NIB_KIT_PROFILES_H

#include <nibble/kit.h>

namespace nib::kit::detail {

// One row of device_profiles.json. Values that the row lacks are the floor's.
// The kind of device for which the sizes of tiles and workgroups are chosen.
enum class DeviceClass { kAny, kIntegratedGpu, kCpu };

struct Profile {
  std::string id;
  std::string name;
  std::string api;  // "1.3.247"
  uint32_t api_version_major = 1;
  uint32_t api_version_minor = 1;
  uint32_t max_workgroup_invocations = 0;
  uint32_t max_shared_bytes = 0;
  uint32_t max_push_bytes = 0;
  uint32_t max_workgroup_count = 0;
  uint64_t max_storage_range_bytes = 0;
  uint32_t min_offset_alignment_bytes = 0;
  DeviceClass device_class = DeviceClass::kAny;
  bool subgroup_operations = false;
  bool storage16 = false;
  bool float16 = false;
  bool integer_dot = false;
  bool cooperative_matrix = false;
};

// Throws Error if `json` cannot be parsed or has no row "floor".
std::vector<Profile> parseProfiles(std::string_view json);
// The rows of the built-in table, in file order.
const std::vector<Profile>& profiles();
// Throws NotFound.
const Profile& findProfile(std::string_view id);

// The bytes of src/kit/device_profiles.json, which the build embeds into the library.
std::string_view embeddedProfiles();

}  // namespace nib::kit::detail
#endif
