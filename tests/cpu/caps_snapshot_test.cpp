#include <doctest/doctest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "fake_driver.h"
#include "vk/api.h"
#include "vk/caps.h"

using namespace nib;
using namespace nib::vk;
using namespace nib::test;

namespace {

NibResult snap(FakeDriver& driver, Snapshot* out, const char** why = nullptr, const NibAllocator* memory = nullptr) {
  g_fake = &driver;
  return takeSnapshot(fake::getInstanceProcAddr, kFakeInstance, kFakeDevice, driver.app_version, memory, out, why);
}

}  // namespace

TEST_CASE("a snapshot has the driver's values") {
  FakeDriver d;
  d.extensions = allExtensions();
  d.driver_id = 25;
  d.shapes = {fakeShape(16, VK_SCOPE_SUBGROUP_KHR), fakeShape(64, VK_SCOPE_WORKGROUP_KHR),
              fakeShape(32, VK_SCOPE_SUBGROUP_KHR)};
  Snapshot s;
  const char* why = "untouched";
  REQUIRE(snap(d, &s, &why) == NIB_SUCCESS);
  CHECK(why == nullptr);
  CHECK(d.refused.empty());
  CHECK(s.api_version == VK_API_VERSION_1_3);
  CHECK(s.extensions == 0xff);
  CHECK(s.vendor_id == 1);
  CHECK(s.device_id == 5);
  CHECK(s.driver_version == 6);
  CHECK(s.driver_id == 25);
  CHECK(std::string(s.device_name) == "fake");
  CHECK(std::string(s.driver_info) == "info");
  CHECK(s.device_uuid[2] == 9);
  CHECK(s.max_workgroup_invocations == 512);
  CHECK(s.max_workgroup_size_x == 256);
  CHECK(s.max_workgroup_count_x == 65535);
  CHECK(s.max_shared_bytes == 32768);
  CHECK(s.max_push_bytes == 192);
  CHECK(s.max_storage_range_bytes == 1000000);
  CHECK(s.offset_alignment_bytes == 64);
  CHECK(s.subgroup_size == 64);
  CHECK(s.min_subgroup_size == 32);
  CHECK(s.max_subgroup_size == 64);
  CHECK(s.max_workgroup_subgroups == 48);
  CHECK(s.coop_count == 2);  // without the shape of workgroup scope
  CHECK(s.coop[1].k == 32);
  CHECK(s.coop[1].a_type == VK_COMPONENT_TYPE_SINT8_KHR);
  CHECK(s.coop[1].r_type == VK_COMPONENT_TYPE_SINT32_KHR);
  CHECK(makeCaps(s, NIB_FEATURE_ALL, nullptr).features == NIB_FEATURE_ALL);
}

TEST_CASE("only structs of the available version and extensions are chained") {
  for (const uint32_t version : {VK_API_VERSION_1_1, VK_API_VERSION_1_2, VK_API_VERSION_1_3, VK_API_VERSION_1_4}) {
    const std::vector<std::string> all = allExtensions();
    for (uint32_t set = 0; set < 1u << all.size(); ++set) {
      FakeDriver d;
      d.app_version = d.device_version = d.instance_version = version;
      for (size_t i = 0; i < all.size(); ++i)
        if ((set >> i & 1) != 0) d.extensions.push_back(all[i]);
      Snapshot s;
      REQUIRE(snap(d, &s) == NIB_SUCCESS);
      REQUIRE(d.refused.empty());
    }
  }
}

TEST_CASE("the version is the lowest of loader, device and application, without the patch number") {
  const uint32_t v11 = VK_API_VERSION_1_1, v12 = VK_API_VERSION_1_2, v13 = VK_API_VERSION_1_3;
  for (const uint32_t loader : {v11, v12, v13})
    for (const uint32_t device : {v11, v12, v13})
      for (const uint32_t app : {v11, v12, v13}) {
        FakeDriver d;
        d.instance_version = loader | 5;
        d.device_version = device;
        d.app_version = app | 3;
        Snapshot s;
        REQUIRE(snap(d, &s) == NIB_SUCCESS);
        const uint32_t least = loader < device ? loader : device;
        CHECK(s.api_version == (least < app ? least : app));
        CHECK(d.refused.empty());
      }
}

TEST_CASE("Vulkan 1.0 of the loader, the device or the application is refused") {
  Snapshot s;
  const char* why = nullptr;
  FakeDriver app;
  for (const uint32_t version : {0u, VK_API_VERSION_1_0, VK_API_VERSION_1_0 | 200u}) {
    app.app_version = version;
    CHECK(snap(app, &s, &why) == NIB_ERROR_UNSUPPORTED);
    CHECK(std::string(why).find("application") != std::string::npos);
  }
  FakeDriver device;
  device.device_version = VK_API_VERSION_1_0;
  CHECK(snap(device, &s, &why) == NIB_ERROR_UNSUPPORTED);
  CHECK(std::string(why).find("device") != std::string::npos);
  FakeDriver loader;
  loader.instance_version = 0;
  CHECK(snap(loader, &s, &why) == NIB_ERROR_UNSUPPORTED);
  CHECK(std::string(why).find("loader") != std::string::npos);
}

TEST_CASE("other variants of Vulkan are refused") {
  FakeDriver d;
  Snapshot s;
  d.app_version = VK_MAKE_API_VERSION(1, 1, 2, 0);
  CHECK(snap(d, &s) == NIB_ERROR_UNSUPPORTED);
  d.app_version = VK_API_VERSION_1_3;
  d.device_version = VK_MAKE_API_VERSION(1, 1, 2, 0);
  CHECK(snap(d, &s) == NIB_ERROR_UNSUPPORTED);
}

TEST_CASE("a missing function is named") {
  FakeDriver d;
  d.missing_function = "vkGetPhysicalDeviceFeatures2";
  Snapshot s;
  const char* why = nullptr;
  CHECK(snap(d, &s, &why) == NIB_ERROR_VULKAN);
  CHECK(std::string(why) == "vkGetPhysicalDeviceFeatures2");
  Api api;
  const char* missing = nullptr;
  CHECK_FALSE(loadApi(fake::getInstanceProcAddr, kFakeInstance, VK_NULL_HANDLE, &api, &missing));
  CHECK(std::string(missing) == "vkGetPhysicalDeviceFeatures2");
  d.missing_function = "";
  CHECK_FALSE(loadApi(fake::getInstanceProcAddr, kFakeInstance, VK_NULL_HANDLE, &api, &missing));
  CHECK(std::string(missing) == "vkCreateShaderModule");
  // The optional function may be missing.
  d.missing_function = "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR";
  d.extensions = allExtensions();
  CHECK(snap(d, &s, &why) == NIB_SUCCESS);
  CHECK(s.coop_count == 0);
}

TEST_CASE("a failing query is an error that names it") {
  FakeDriver d;
  d.extension_result = VK_ERROR_OUT_OF_HOST_MEMORY;
  Snapshot s;
  const char* why = nullptr;
  CHECK(snap(d, &s, &why) == NIB_ERROR_VULKAN);
  CHECK(std::string(why) == "vkEnumerateDeviceExtensionProperties");
}

TEST_CASE("drivers that crash in the cooperative matrix query are not queried") {
  FakeDriver d;
  d.extensions = allExtensions();
  d.shapes = {fakeShape(16, VK_SCOPE_SUBGROUP_KHR)};
  d.vendor_id = 0x1002;
  d.driver_id = VK_DRIVER_ID_AMD_PROPRIETARY;
  Snapshot s;
  REQUIRE(snap(d, &s) == NIB_SUCCESS);
  CHECK(d.coop_queries == 2);
  CHECK(s.coop_count == 1);

  d.coop_queries = 0;
  d.type = VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU;
  REQUIRE(snap(d, &s) == NIB_SUCCESS);
  CHECK(d.coop_queries == 0);
  CHECK(s.coop_count == 0);

  d.type = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
  d.dot4_mixed = false;
  REQUIRE(snap(d, &s) == NIB_SUCCESS);
  CHECK(d.coop_queries == 0);
}

TEST_CASE("lists longer than a snapshot's arrays are truncated") {
  FakeDriver d;
  d.extensions = allExtensions();
  for (uint32_t i = 0; i < 200; ++i) d.shapes.push_back(fakeShape(i, VK_SCOPE_SUBGROUP_KHR));
  Snapshot s;
  REQUIRE(snap(d, &s) == NIB_SUCCESS);
  CHECK(s.coop_count == kMaxCoopShapes);
  CHECK(s.coop[kMaxCoopShapes - 1].k == kMaxCoopShapes - 1);
}

TEST_CASE("a snapshot frees all memory it allocates, and a failed allocation is an error") {
  struct State {
    int live = 0, left = 0;
  } state;
  const NibAllocator memory = {[](void* user, size_t size, size_t) -> void* {
                                 State* st = static_cast<State*>(user);
                                 if (st->left-- <= 0) return nullptr;
                                 ++st->live;
                                 return std::malloc(size);
                               },
                               [](void* user, void* block) {
                                 --static_cast<State*>(user)->live;
                                 std::free(block);
                               },
                               &state};
  FakeDriver d;
  d.extensions = allExtensions();
  d.shapes = {fakeShape(16, VK_SCOPE_SUBGROUP_KHR)};
  Snapshot s;
  for (int left = 0; left < 2; ++left) {
    state.left = left;
    CHECK(snap(d, &s, nullptr, &memory) == NIB_ERROR_OUT_OF_MEMORY);
    CHECK(state.live == 0);
  }
  state.left = 2;
  CHECK(snap(d, &s, nullptr, &memory) == NIB_SUCCESS);
  CHECK(state.live == 0);
}
