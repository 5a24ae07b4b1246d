#include <doctest/doctest.h>

#include <initializer_list>

#include "device_snapshots.h"

using namespace nib;
using namespace nib::vk;
using nib::test::desktopDevice;
using nib::test::floorDevice;

namespace {

NibRestrict restriction(uint32_t fill) {
  NibRestrict r{sizeof(NibRestrict)};
  r.features_mask = NIB_FEATURE_ALL;
  r.max_workgroup_invocations = r.max_shared_bytes = r.max_push_bytes = r.max_workgroup_count = fill;
  r.max_storage_range_bytes = r.min_offset_alignment_bytes = fill;
  return r;
}

}  // namespace

TEST_CASE("a restriction lowers every limit") {
  NibRestrict r{sizeof(NibRestrict)};
  r.features_mask = NIB_FEATURE_SUBGROUP | NIB_FEATURE_F16;
  r.api_version = VK_API_VERSION_1_1;
  r.max_workgroup_invocations = 256;
  r.max_shared_bytes = 16384;
  r.max_push_bytes = 128;
  r.max_workgroup_count = 65535;
  r.max_storage_range_bytes = (1u << 27) + 255;
  r.min_offset_alignment_bytes = 256;
  Snapshot s = desktopDevice();
  Caps caps = makeCaps(s, NIB_FEATURE_ALL, &r);
  CHECK(caps.features == NIB_FEATURE_SUBGROUP);  // fp16 needs Vulkan 1.2 or an extension
  s.extensions |= kExtensionShaderFloat16Int8;
  caps = makeCaps(s, NIB_FEATURE_ALL, &r);
  CHECK(caps.features == r.features_mask);
  CHECK(caps.api_version == VK_API_VERSION_1_1);
  CHECK(caps.max_workgroup_invocations == 256);
  CHECK(caps.max_workgroup_size_x == 256);
  CHECK(caps.max_shared_bytes == 16384);
  CHECK(caps.max_push_bytes == 128);
  CHECK(caps.max_workgroup_count_x == 65535);
  CHECK(caps.max_storage_range_bytes == 1u << 27);
  CHECK(caps.offset_alignment_bytes == 256);
  CHECK(caps.coop_count == 0);
  CHECK(caps.tier == 1);
}

TEST_CASE("a restriction never raises a limit or adds a feature") {
  const NibRestrict huge = restriction(0x7fffffff);
  for (const Snapshot& s : {floorDevice(), desktopDevice()}) {
    const Caps free = makeCaps(s, NIB_FEATURE_ALL, nullptr);
    const Caps caps = makeCaps(s, NIB_FEATURE_ALL, &huge);
    CHECK(caps.features == free.features);
    CHECK(caps.api_version == free.api_version);
    CHECK(caps.max_workgroup_invocations == free.max_workgroup_invocations);
    CHECK(caps.max_workgroup_size_x == free.max_workgroup_size_x);
    CHECK(caps.max_shared_bytes == free.max_shared_bytes);
    CHECK(caps.max_push_bytes == free.max_push_bytes);
    CHECK(caps.max_workgroup_count_x <= free.max_workgroup_count_x);
    CHECK(caps.max_storage_range_bytes <= free.max_storage_range_bytes);
    CHECK(caps.offset_alignment_bytes == 256);  // alignment: the larger one applies, up to Vulkan's bound
  }
  NibRestrict newer = restriction(0);
  newer.api_version = VK_API_VERSION_1_4;
  CHECK(makeCaps(desktopDevice(), 0, &newer).api_version == VK_API_VERSION_1_3);
}

TEST_CASE("a restriction sets the device type that work is divided for") {
  NibRestrict r = restriction(0);
  r.device_type = VK_PHYSICAL_DEVICE_TYPE_CPU;
  CHECK(makeCaps(desktopDevice(), 0, &r).device_type == VK_PHYSICAL_DEVICE_TYPE_CPU);
  r.device_type = 0;
  CHECK(makeCaps(desktopDevice(), 0, &r).device_type == VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU);
}

TEST_CASE("zeros in a restriction change nothing but the feature mask") {
  NibRestrict none = restriction(0);
  const Caps free = makeCaps(desktopDevice(), NIB_FEATURE_ALL, nullptr);
  const Caps caps = makeCaps(desktopDevice(), NIB_FEATURE_ALL, &none);
  CHECK(caps.features == free.features);
  CHECK(caps.tier == free.tier);
  CHECK(caps.coop_count == free.coop_count);
  CHECK(caps.api_version == free.api_version);
  CHECK(caps.max_workgroup_invocations == free.max_workgroup_invocations);
  CHECK(caps.max_workgroup_size_x == free.max_workgroup_size_x);
  CHECK(caps.max_workgroup_count_x == free.max_workgroup_count_x);
  CHECK(caps.max_shared_bytes == free.max_shared_bytes);
  CHECK(caps.max_push_bytes == free.max_push_bytes);
  CHECK(caps.max_storage_range_bytes == free.max_storage_range_bytes);
  CHECK(caps.offset_alignment_bytes == free.offset_alignment_bytes);
  none.features_mask = 0;
  CHECK(makeCaps(desktopDevice(), NIB_FEATURE_ALL, &none).features == 0);
}

TEST_CASE("a restricted alignment that is no power of two is rounded up") {
  NibRestrict r = restriction(0);
  r.min_offset_alignment_bytes = 48;
  CHECK(makeCaps(desktopDevice(), 0, &r).offset_alignment_bytes == 64);
  r.min_offset_alignment_bytes = 8;
  CHECK(makeCaps(desktopDevice(), 0, &r).offset_alignment_bytes == 16);
}

TEST_CASE("a restriction below the minimum of any context is reported by its field") {
  NibRestrict r = restriction(0);
  r.api_version = VK_API_VERSION_1_0;
  const char* problem = capsProblem(makeCaps(desktopDevice(), 0, &r));
  REQUIRE(problem != nullptr);
  CHECK(std::strstr(problem, "api_version") != nullptr);
  r = restriction(0);
  r.max_storage_range_bytes = 255;
  problem = capsProblem(makeCaps(desktopDevice(), 0, &r));
  REQUIRE(problem != nullptr);
  CHECK(std::strstr(problem, "max_storage_range_bytes") != nullptr);
  r.max_storage_range_bytes = 256;
  CHECK(capsProblem(makeCaps(desktopDevice(), 0, &r)) == nullptr);
}
