// The table of profiles: limits and features of common devices.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "kit/profiles.h"

using namespace nib::kit;
using detail::findProfile;
using detail::parseProfiles;
using detail::Profile;

TEST_CASE("the profile table has 46 rows with distinct names") {
  const std::vector<std::string> ids = profileIds();
  CHECK(ids.size() == 46);
  CHECK(std::set<std::string>(ids.begin(), ids.end()).size() == ids.size());
  CHECK(std::count(ids.begin(), ids.end(), "floor") == 1);
}

TEST_CASE("no profile is below the floor") {
  const Profile& floor = findProfile("floor");
  for (const Profile& row : detail::profiles()) {
    CAPTURE(row.id);
    CHECK(row.api_version_major == 1);
    CHECK(row.api_version_minor >= floor.api_version_minor);
    CHECK(row.max_workgroup_invocations >= floor.max_workgroup_invocations);
    CHECK(row.max_shared_bytes >= floor.max_shared_bytes);
    CHECK(row.max_push_bytes >= floor.max_push_bytes);
    CHECK(row.max_workgroup_count >= floor.max_workgroup_count);
    CHECK(row.max_storage_range_bytes >= floor.max_storage_range_bytes);
    CHECK(row.min_offset_alignment_bytes <= floor.min_offset_alignment_bytes);
    CHECK(row.min_offset_alignment_bytes > 0);
  }
}

TEST_CASE("the floor is what Vulkan 1.1 guarantees") {
  const Profile& floor = findProfile("floor");
  CHECK(floor.api == "1.1.0");
  CHECK(floor.max_workgroup_invocations == 128);
  CHECK(floor.max_shared_bytes == 16384);
  CHECK(floor.max_push_bytes == 128);
  CHECK(floor.max_workgroup_count == 65535);
  CHECK(floor.max_storage_range_bytes == 134217728);
  CHECK(floor.device_class == detail::DeviceClass::kAny);
  CHECK(floor.min_offset_alignment_bytes == 256);
  CHECK_FALSE(floor.subgroup_operations);
  CHECK_FALSE(floor.storage16);
  CHECK_FALSE(floor.float16);
  CHECK_FALSE(floor.integer_dot);
  CHECK_FALSE(floor.cooperative_matrix);
}

TEST_CASE("a field missing from a row has the floor's value") {
  const Profile& swiftshader = findProfile("swiftshader");
  CHECK(swiftshader.max_workgroup_invocations == 256);
  CHECK(swiftshader.min_offset_alignment_bytes == 256);
  CHECK(swiftshader.max_push_bytes == 128);
  CHECK(swiftshader.integer_dot);
  CHECK_FALSE(swiftshader.storage16);
}

TEST_CASE("an unknown profile is refused with similar names") {
  CHECK_THROWS_AS(findProfile("mali"), NotFound);
  CHECK_THROWS_WITH(findProfile("adreno-7"), "no profile \"adreno-7\"; near it: adreno-740, adreno-750");
  CHECK_THROWS_WITH(findProfile("voodoo"), "no profile \"voodoo\"; `nibble devices --profiles` lists them");
  DeviceOptions options;
  options.selector = "cpu";
  options.profile = "voodoo";
  CHECK_THROWS_AS(Device::open(options), NotFound);
}

TEST_CASE("a broken table is an error, not a crash") {
  CHECK_THROWS_AS(parseProfiles(""), Error);
  CHECK_THROWS_AS(parseProfiles("[]"), Error);
  CHECK_THROWS_AS(parseProfiles("[{\"id\":\"floor\"}]"), Error);
  CHECK_THROWS_AS(parseProfiles("[{\"id\":\"floor\",\"name\":\"x\",\"apiVersion\":\"one\"}]"), Error);
  CHECK_THROWS_AS(parseProfiles("[{\"id\":\"floor\",\"name\":\"x\",\"apiVersion\":7}]"), Error);
  CHECK_THROWS_AS(parseProfiles("[{\"id\":\"floor\",\"name\":\"x\",\"deviceType\":\"tpu\"}]"), Error);
}

#if !defined(NIB_NO_VULKAN)
TEST_CASE("a profile restricts features, limits and the API version") {
  const NibRestrict floor = profileRestrict("floor");
  CHECK(floor.features_mask == 0);
  CHECK(floor.api_version == VK_API_VERSION_1_1);
  CHECK(floor.max_workgroup_invocations == 128);
  CHECK(floor.max_storage_range_bytes == 134217728);
  const NibRestrict big = profileRestrict("nvidia-geforce-rtx-5090");
  CHECK((big.features_mask & NIB_FEATURE_COOPMAT) != 0);
  CHECK((big.features_mask & NIB_FEATURE_DOT4) != 0);
  CHECK((big.features_mask & NIB_FEATURE_SUBGROUP) != 0);
  CHECK(big.api_version >= VK_API_VERSION_1_3);
  CHECK(big.device_type == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU);
  CHECK(profileRestrict("swiftshader").device_type == VK_PHYSICAL_DEVICE_TYPE_CPU);
  CHECK((profileRestrict("swiftshader").features_mask & (NIB_FEATURE_F16 | NIB_FEATURE_STORAGE16)) == 0);
}
#endif
