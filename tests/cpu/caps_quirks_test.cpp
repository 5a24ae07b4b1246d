#include <doctest/doctest.h>

#include <initializer_list>
#include <string>

#include "device_snapshots.h"
#include "vk/quirks.h"

using namespace nib;
using namespace nib::vk;
using nib::test::desktopDevice;

namespace {

constexpr uint32_t kAmd = 0x1002, kIntel = 0x8086, kQualcomm = 0x5143;

Snapshot device(uint32_t vendor, uint32_t driver, const char* name) {
  Snapshot s = desktopDevice();
  s.vendor_id = vendor;
  s.driver_id = driver;
  std::strcpy(s.device_name, name);
  return s;
}

// The features that quirks remove from a device.
uint32_t lost(const Snapshot& s) { return NIB_FEATURE_ALL & ~makeCaps(s, NIB_FEATURE_ALL, nullptr).features; }

// Packed so that the members order as the version does.
constexpr uint32_t version(uint32_t major, uint32_t minor, uint32_t patch) { return major << 22 | minor << 12 | patch; }

}  // namespace

TEST_CASE("every quirk has an effect on a known feature, one line of reason and a link") {
  CHECK(kQuirkCount > 0);
  for (uint32_t i = 0; i < kQuirkCount; ++i) {
    const Quirk& q = kQuirks[i];
    CAPTURE(i);
    CHECK(q.effects != 0);
    CHECK((q.effects & ~uint32_t{NIB_FEATURE_ALL}) == 0);
    CHECK(q.driver_ids[0] != 0);
    REQUIRE(q.reason != nullptr);
    CHECK(std::string(q.reason).find('\n') == std::string::npos);
    REQUIRE(q.link != nullptr);
    CHECK(std::string(q.link).rfind("https://", 0) == 0);
    CHECK((q.version_end == 0 || q.version_begin < q.version_end));
    // The tier's reason has space for the quirk's reason and link.
    CHECK(std::strlen(q.reason) + std::strlen(q.link) + 24 < sizeof Caps::tier_reason);
  }
}

TEST_CASE("a device without reported bugs loses nothing, nor does an unknown driver") {
  CHECK(quirkEffects(desktopDevice()) == 0);
  for (const uint32_t vendor : {kAmd, kIntel, kQualcomm}) CHECK(quirkEffects(device(vendor, 0, "unknown")) == 0);
}

TEST_CASE("a row applies from its first version up to, but excluding, the version with the fix") {
  const Quirk q = {{9, 0}, 0, 0, nullptr, version(2, 1, 5), version(2, 3, 0), nullptr, NIB_FEATURE_F16, "", ""};
  Snapshot s = device(1, 9, "x");
  const auto holds = [&](uint32_t v) {
    s.driver_version = v;
    return quirkHolds(q, s);
  };
  CHECK_FALSE(holds(0));
  CHECK_FALSE(holds(version(2, 1, 4)));
  CHECK(holds(version(2, 1, 5)));
  CHECK(holds(version(2, 2, 4000)));
  CHECK_FALSE(holds(version(2, 3, 0)));
  CHECK_FALSE(holds(0xffffffffu));
}

TEST_CASE("every condition of a row must hold") {
  const Quirk q = {{9, 10}, 1, 2, "Foo 7", 0, 0, [](const Snapshot& s) { return s.subgroup_size == 32; }, 1, "", ""};
  Snapshot s = device(1, 9, "Vendor Foo 70");
  s.device_id = 2;
  CHECK(quirkHolds(q, s));
  s.driver_id = 10;
  CHECK(quirkHolds(q, s));
  for (const uint32_t other : {0u, 8u, 11u}) {
    s.driver_id = other;
    CHECK_FALSE(quirkHolds(q, s));
  }
  s.driver_id = 9;
  s.vendor_id = 3;
  CHECK_FALSE(quirkHolds(q, s));
  s.vendor_id = 1;
  s.device_id = 3;
  CHECK_FALSE(quirkHolds(q, s));
  s.device_id = 2;
  s.subgroup_size = 64;
  CHECK_FALSE(quirkHolds(q, s));
  s.subgroup_size = 32;
  std::strcpy(s.device_name, "Vendor Foo");
  CHECK_FALSE(quirkHolds(q, s));
}

TEST_CASE("AMD's own driver keeps cooperative matrices on discrete RDNA 3 only, and dot products from RDNA 3 on") {
  Snapshot s = device(kAmd, VK_DRIVER_ID_AMD_PROPRIETARY, "AMD Radeon RX 7900 XTX");
  CHECK(lost(s) == 0);
  s.device_type = VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU;
  CHECK(lost(s) == NIB_FEATURE_COOPMAT);
  s.device_type = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
  s.dot4_mixed_accelerated = false;
  CHECK(lost(s) == (NIB_FEATURE_COOPMAT | NIB_FEATURE_DOT4));
  s.driver_id = VK_DRIVER_ID_AMD_OPEN_SOURCE;
  CHECK(lost(s) == NIB_FEATURE_COOPMAT);
  s.driver_id = VK_DRIVER_ID_MESA_RADV;
  CHECK(lost(s) == 0);
}

TEST_CASE("Intel keeps cooperative matrices from Xe2 on, and on older integrated GPUs under Windows") {
  Snapshot s = device(kIntel, VK_DRIVER_ID_INTEL_OPEN_SOURCE_MESA, "Intel(R) Arc(tm)");
  s.min_subgroup_size = 16;
  CHECK(lost(s) == 0);
  s.min_subgroup_size = 8;
  CHECK(lost(s) == NIB_FEATURE_COOPMAT);
  s.driver_id = VK_DRIVER_ID_INTEL_PROPRIETARY_WINDOWS;
  CHECK(lost(s) == NIB_FEATURE_COOPMAT);
  s.device_type = VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU;
  CHECK(lost(s) == 0);
}

TEST_CASE("Adreno has no cooperative matrices, and no subgroups on the two models that fail") {
  Snapshot s = device(kQualcomm, VK_DRIVER_ID_QUALCOMM_PROPRIETARY, "Adreno (TM) 830");
  s.driver_version = version(512, 800, 64);
  CHECK(lost(s) == NIB_FEATURE_COOPMAT);
  std::strcpy(s.device_name, "Adreno (TM) 840");
  s.driver_version = version(512, 842, 19);
  CHECK(lost(s) == (NIB_FEATURE_COOPMAT | NIB_FEATURE_SUBGROUP));
  std::strcpy(s.device_name, "Adreno (TM) 640");
  s.driver_version = version(512, 502, 0);
  CHECK(lost(s) == (NIB_FEATURE_COOPMAT | NIB_FEATURE_SUBGROUP));
}

TEST_CASE("Turnip has no full subgroups and so no cooperative matrices") {
  Snapshot s = device(kQualcomm, VK_DRIVER_ID_MESA_TURNIP, "Turnip Adreno (TM) 840");
  CHECK(lost(s) == (NIB_FEATURE_SUBGROUP_SIZE | NIB_FEATURE_COOPMAT));
  std::strcpy(s.device_name, "Turnip Adreno (TM) 640");
  CHECK((lost(s) & NIB_FEATURE_SUBGROUP) != 0);
}

TEST_CASE("Metal drivers lose subgroups where reductions are wrong") {
  constexpr uint32_t kKosmicKrisp = 28;
  Snapshot s = device(kAmd, VK_DRIVER_ID_MOLTENVK, "AMD Radeon Pro 5500M");
  CHECK(lost(s) == NIB_FEATURE_SUBGROUP);
  s = device(0x106b, VK_DRIVER_ID_MOLTENVK, "Apple M4");
  CHECK(lost(s) == 0);
  s.driver_id = kKosmicKrisp;
  CHECK(lost(s) == NIB_FEATURE_SUBGROUP);
  s = device(kIntel, VK_DRIVER_ID_MOLTENVK, "Intel(R) UHD Graphics 630");
  s.device_id = 0x3e9b;
  s.driver_version = 10401;
  CHECK(lost(s) == NIB_FEATURE_SUBGROUP);
  s.driver_version = 10402;
  CHECK(lost(s) == 0);
}

TEST_CASE("PowerVR's own driver has no subgroups, Mesa's may") {
  CHECK(lost(device(0x1010, VK_DRIVER_ID_IMAGINATION_PROPRIETARY, "PowerVR C-Series")) == NIB_FEATURE_SUBGROUP);
  CHECK(lost(device(0x1010, VK_DRIVER_ID_IMAGINATION_OPEN_SOURCE_MESA, "PowerVR B-Series")) == 0);
}

TEST_CASE("lavapipe has cooperative matrices only at a vector width of 256") {
  Snapshot s = device(0x10005, VK_DRIVER_ID_MESA_LLVMPIPE, "llvmpipe (LLVM 19.1.7, 256 bits)");
  for (const uint32_t size : {4u, 8u, 16u}) {
    s.subgroup_size = size;
    CHECK(lost(s) == (size == 8 ? 0u : uint32_t{NIB_FEATURE_COOPMAT}));
  }
}

TEST_CASE("a quirk is counted, and explains the tier, only if it removed a feature") {
  Snapshot s = device(kQualcomm, VK_DRIVER_ID_QUALCOMM_PROPRIETARY, "Adreno (TM) 740");
  Caps caps = makeCaps(s, NIB_FEATURE_ALL, nullptr);
  CHECK(caps.quirk_count == 1);
  CHECK(caps.quirk_effects == NIB_FEATURE_COOPMAT);
  CHECK(caps.tier == 2);
  CHECK(std::string(caps.tier_reason).rfind("coopmat: cooperative matrices give wrong results", 0) == 0);
  CHECK(std::string(caps.tier_reason).find("(https://") != std::string::npos);
  s.cooperative_matrix = false;
  caps = makeCaps(s, NIB_FEATURE_ALL, nullptr);
  CHECK(caps.quirk_count == 0);
  CHECK(std::string(caps.tier_reason) == "coopmat: the device does not offer it at Vulkan 1.3");
}
