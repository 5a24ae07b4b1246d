#include <doctest/doctest.h>

#include <initializer_list>
#include <string>

#include "device_snapshots.h"

using namespace nib;
using namespace nib::vk;
using nib::test::desktopDevice;
using nib::test::floorDevice;

TEST_CASE("the guaranteed minimum is tier 0 and keeps its limits") {
  const Caps caps = makeCaps(floorDevice(), NIB_FEATURE_ALL, nullptr);
  CHECK(caps.features == 0);
  CHECK(caps.tier == 0);
  CHECK(caps.api_version == VK_API_VERSION_1_1);
  CHECK(caps.max_workgroup_invocations == 128);
  CHECK(caps.max_workgroup_size_x == 128);
  CHECK(caps.max_workgroup_count_x == 65535);
  CHECK(caps.max_shared_bytes == 16384);
  CHECK(caps.max_push_bytes == 128);
  CHECK(caps.max_storage_range_bytes == 1u << 27);
  CHECK(caps.offset_alignment_bytes == 256);
  CHECK(caps.coop_count == 0);
  CHECK_FALSE(caps.dot4_accelerated);
  CHECK(caps.quirk_count == 0);
  CHECK(capsProblem(caps) == nullptr);
}

TEST_CASE("a desktop with everything is tier 3 without a reason") {
  const Caps caps = makeCaps(desktopDevice(), NIB_FEATURE_ALL, nullptr);
  CHECK(caps.features == NIB_FEATURE_ALL);
  CHECK(caps.tier == 3);
  CHECK(std::string(caps.tier_reason) == "");
  CHECK(caps.coop_count == 2);
  CHECK(caps.coop[1].k == 32);
  CHECK(caps.dot4_accelerated);
  CHECK(caps.subgroup_size == 32);
  CHECK(caps.offset_alignment_bytes == 16);
  CHECK(std::string(caps.device_name) == "desktop");
  CHECK(caps.device_uuid[15] == 15);
}

TEST_CASE("a storage range is rounded down to a multiple of 256") {
  const Caps caps = makeCaps(desktopDevice(), 0, nullptr);
  CHECK(caps.max_storage_range_bytes == 0xffffff00u);
}

TEST_CASE("offset alignments are powers of two between a word and 256") {
  Snapshot s = desktopDevice();
  s.offset_alignment_bytes = 1;
  CHECK(makeCaps(s, 0, nullptr).offset_alignment_bytes == 4);
  s.offset_alignment_bytes = 64;
  CHECK(makeCaps(s, 0, nullptr).offset_alignment_bytes == 64);
  s.offset_alignment_bytes = 256;
  CHECK(makeCaps(s, 0, nullptr).offset_alignment_bytes == 256);
}

TEST_CASE("undeclared features are off") {
  const Snapshot s = desktopDevice();
  CHECK(makeCaps(s, 0, nullptr).features == 0);
  CHECK(makeCaps(s, 0, nullptr).coop_count == 0);
  CHECK_FALSE(makeCaps(s, 0, nullptr).dot4_accelerated);
  for (uint32_t bit = 1; bit < NIB_FEATURE_ALL; bit <<= 1) {
    if (bit == NIB_FEATURE_SUBGROUP_SIZE || bit == NIB_FEATURE_COOPMAT) continue;
    CAPTURE(bit);
    CHECK(makeCaps(s, NIB_FEATURE_ALL & ~bit, nullptr).features == (NIB_FEATURE_ALL & ~bit));
    CHECK(makeCaps(s, bit, nullptr).features == bit);
  }
}

TEST_CASE("declaring a feature that the device lacks, or an unknown bit, has no effect") {
  CHECK(makeCaps(floorDevice(), 0xffffffffu, nullptr).features == 0);
  CHECK(makeCaps(desktopDevice(), 0xffffffffu, nullptr).features == NIB_FEATURE_ALL);
}

TEST_CASE("subgroups need arithmetic, ballot and shuffle in compute, and a power of two in 4..128") {
  Snapshot s = desktopDevice();
  const auto has = [&] { return (makeCaps(s, NIB_FEATURE_ALL, nullptr).features & NIB_FEATURE_SUBGROUP) != 0; };
  for (const uint32_t size : {4u, 8u, 16u, 32u, 64u, 128u}) {
    s.subgroup_size = size;
    CAPTURE(size);
    CHECK(has());
  }
  for (const uint32_t size : {0u, 1u, 2u, 24u, 96u, 256u}) {
    s.subgroup_size = size;
    CAPTURE(size);
    CHECK_FALSE(has());
  }
  s = desktopDevice();
  s.subgroup_stages = VK_SHADER_STAGE_FRAGMENT_BIT;
  CHECK_FALSE(has());
  s = desktopDevice();
  const VkSubgroupFeatureFlags needed[] = {VK_SUBGROUP_FEATURE_BASIC_BIT, VK_SUBGROUP_FEATURE_ARITHMETIC_BIT,
                                           VK_SUBGROUP_FEATURE_BALLOT_BIT, VK_SUBGROUP_FEATURE_SHUFFLE_BIT};
  s.subgroup_operations = needed[0] | needed[1] | needed[2] | needed[3];
  CHECK(has());
  for (const VkSubgroupFeatureFlags one : needed) {
    s.subgroup_operations = 0xff & ~one;
    CAPTURE(one);
    CHECK_FALSE(has());
  }
}

TEST_CASE("a feature needs the version that made it core, or its extension") {
  struct Case {
    uint32_t feature, core, extension;
  };
  const Case cases[] = {
      {NIB_FEATURE_F16, VK_API_VERSION_1_2, kExtensionShaderFloat16Int8},
      {NIB_FEATURE_DOT4, VK_API_VERSION_1_3, kExtensionIntegerDotProduct},
      {NIB_FEATURE_SUBGROUP_SIZE, VK_API_VERSION_1_3, kExtensionSubgroupSizeControl},
      {NIB_FEATURE_ROUND_EVEN, VK_API_VERSION_1_2, kExtensionFloatControls},
      {NIB_FEATURE_ROBUSTNESS, VK_API_VERSION_1_4, kExtensionPipelineRobustness},
      {NIB_FEATURE_STORAGE16, VK_API_VERSION_1_1, 0},
      {NIB_FEATURE_SUBGROUP, VK_API_VERSION_1_1, 0},
  };
  Snapshot s = desktopDevice();
  for (const Case& c : cases) {
    CAPTURE(c.feature);
    for (const uint32_t api : {VK_API_VERSION_1_1, VK_API_VERSION_1_2, VK_API_VERSION_1_3, VK_API_VERSION_1_4}) {
      s.extensions = 0;
      CHECK(((offeredFeatures(s, api) & c.feature) != 0) == (api >= c.core));
      if (c.extension == 0) continue;
      s.extensions = c.extension;
      CHECK((offeredFeatures(s, api) & c.feature) != 0);
    }
  }
}

TEST_CASE("cooperative matrices need their extension at every version, the memory model and 8-bit types") {
  Snapshot s = desktopDevice();
  const auto offered = [&](uint32_t api) { return (offeredFeatures(s, api) & NIB_FEATURE_COOPMAT) != 0; };
  CHECK(offered(VK_API_VERSION_1_2));
  CHECK_FALSE(offered(VK_API_VERSION_1_1));
  s.extensions |= kExtensionVulkanMemoryModel;
  CHECK_FALSE(offered(VK_API_VERSION_1_1));
  s.extensions |= kExtensionShaderFloat16Int8;
  CHECK(offered(VK_API_VERSION_1_1));
  s.extensions &= ~uint32_t{kExtensionCooperativeMatrix};
  CHECK_FALSE(offered(VK_API_VERSION_1_4));
  s = desktopDevice();
  s.vulkan_memory_model = false;
  CHECK_FALSE(offered(VK_API_VERSION_1_3));
  s = desktopDevice();
  s.shader_int8 = false;
  CHECK_FALSE(offered(VK_API_VERSION_1_3));
}

TEST_CASE("cooperative matrices need full subgroups of a required size and a usable shape") {
  Snapshot s = desktopDevice();
  Caps caps = makeCaps(s, NIB_FEATURE_ALL & ~NIB_FEATURE_SUBGROUP_SIZE, nullptr);
  CHECK((caps.features & NIB_FEATURE_COOPMAT) == 0);
  CHECK(caps.coop_count == 0);
  CHECK(caps.tier == 2);
  CHECK(std::string(caps.tier_reason) == "coopmat: needs subgroup_size: not declared by the application");

  s.coop_count = 1;
  s.coop[0] = test::coopShape(8, 8, 4, VK_COMPONENT_TYPE_FLOAT64_KHR, VK_COMPONENT_TYPE_FLOAT64_KHR);
  caps = makeCaps(s, NIB_FEATURE_ALL, nullptr);
  CHECK((caps.features & NIB_FEATURE_COOPMAT) == 0);
  CHECK(caps.tier == 2);
  CHECK(std::string(caps.tier_reason) == "coopmat: the driver lists no shape kernels can use");
}

TEST_CASE("if compute shaders cannot require a subgroup size, the feature needs a device with a single size") {
  Snapshot s = desktopDevice();
  CHECK(makeCaps(s, NIB_FEATURE_ALL, nullptr).may_require_subgroup_size);
  CHECK_FALSE(makeCaps(s, 0, nullptr).may_require_subgroup_size);
  s.required_subgroup_size_stages = VK_SHADER_STAGE_VERTEX_BIT;
  CHECK(makeCaps(s, NIB_FEATURE_ALL, nullptr).features == NIB_FEATURE_ALL);
  CHECK_FALSE(makeCaps(s, NIB_FEATURE_ALL, nullptr).may_require_subgroup_size);
  s.min_subgroup_size = 16;
  CHECK((makeCaps(s, NIB_FEATURE_ALL, nullptr).features & NIB_FEATURE_SUBGROUP_SIZE) == 0);
  CHECK(makeCaps(s, NIB_FEATURE_ALL, nullptr).tier == 2);
}

TEST_CASE("where subgroups may have several sizes, plain kernels require the least from 16 on") {
  constexpr uint32_t kPlain = NIB_FEATURE_SUBGROUP, kMatrices = NIB_FEATURE_SUBGROUP | NIB_FEATURE_COOPMAT;
  struct Sizes {
    uint32_t min, max, own, plain;
  };
  for (const Sizes& sizes :
       {Sizes{8, 32, 32, 16}, {16, 32, 32, 16}, {32, 64, 64, 32}, {64, 128, 128, 64}, {4, 8, 8, 8}}) {
    Snapshot s = desktopDevice();
    s.min_subgroup_size = sizes.min;
    s.max_subgroup_size = sizes.max;
    s.subgroup_size = sizes.own;
    const Caps caps = makeCaps(s, NIB_FEATURE_ALL, nullptr);
    CHECK(caps.plain_subgroup_size == sizes.plain);
    CHECK(requiredSubgroupSize(caps, kPlain, 128) == sizes.plain);
    const uint32_t matrices = sizes.min < 32 ? sizes.plain : sizes.own;
    CHECK(caps.matrix_subgroup_size == matrices);
    CHECK(requiredSubgroupSize(caps, kMatrices, 128) == matrices);
    CHECK(requiredSubgroupSize(caps, 0, 128) == 0);
    // A required size limits the workgroup.
    CHECK(requiredSubgroupSize(caps, kPlain, 64 * sizes.plain) == sizes.plain);
    CHECK(requiredSubgroupSize(caps, kPlain, 64 * sizes.plain + 1) == 0);
    s.required_subgroup_size_stages = 0;
    const Caps fixed = makeCaps(s, NIB_FEATURE_ALL, nullptr);
    CHECK(fixed.plain_subgroup_size == sizes.own);
    CHECK(requiredSubgroupSize(fixed, kPlain, 128) == 0);
  }
  const Caps single = makeCaps(desktopDevice(), NIB_FEATURE_ALL, nullptr);
  CHECK(single.plain_subgroup_size == 32);
  CHECK(requiredSubgroupSize(single, kPlain, 128) == 0);
}

TEST_CASE("halves keep denormals where the driver can be told, alone or together with fp32") {
  Snapshot s = desktopDevice();
  CHECK(makeCaps(s, NIB_FEATURE_ALL, nullptr).halves_kept);
  CHECK_FALSE(makeCaps(s, NIB_FEATURE_ALL, nullptr).floats_kept);
  CHECK(makeCaps(s, 0, nullptr).halves_kept);  // core in Vulkan 1.2
  s.denorm_independence = false;
  CHECK(makeCaps(s, NIB_FEATURE_ALL, nullptr).halves_kept);
  CHECK(makeCaps(s, NIB_FEATURE_ALL, nullptr).floats_kept);
  s.denorm_preserve_float32 = false;
  CHECK_FALSE(makeCaps(s, NIB_FEATURE_ALL, nullptr).halves_kept);
  s.denorm_independence = true;
  CHECK(makeCaps(s, NIB_FEATURE_ALL, nullptr).halves_kept);
  s.denorm_preserve_float16 = false;
  CHECK_FALSE(makeCaps(s, NIB_FEATURE_ALL, nullptr).halves_kept);
  CHECK_FALSE(makeCaps(s, NIB_FEATURE_ALL, nullptr).floats_kept);
}

TEST_CASE("a long list of shapes is truncated, in the driver's order") {
  Snapshot s = desktopDevice();
  s.coop_count = kMaxCoopShapes;
  for (uint32_t i = 0; i < kMaxCoopShapes; ++i)
    s.coop[i] = test::coopShape(i, 16, 16, VK_COMPONENT_TYPE_UINT8_KHR, VK_COMPONENT_TYPE_UINT32_KHR);
  const Caps caps = makeCaps(s, NIB_FEATURE_ALL, nullptr);
  CHECK(caps.coop_count == 24);
  CHECK(caps.coop[23].m == 23);
}

TEST_CASE("the tier's reason says whether the device, the application or the restriction lacks the feature") {
  const auto reason = [](const Snapshot& s, uint32_t declared, const NibRestrict* r) {
    return std::string(makeCaps(s, declared, r).tier_reason);
  };
  Snapshot s = floorDevice();
  CHECK(reason(s, NIB_FEATURE_ALL, nullptr) == "subgroup: the device lacks subgroup arithmetic, ballot or shuffle");
  s.subgroup_operations = 0xff;
  CHECK(reason(s, NIB_FEATURE_ALL, nullptr) == "subgroup: subgroups of 1, kernels take powers of two in 4..128");
  s.subgroup_stages = 0;
  CHECK(reason(s, NIB_FEATURE_ALL, nullptr) == "subgroup: the device has no subgroup operations in compute shaders");

  s = desktopDevice();
  CHECK(reason(s, 0, nullptr) == "subgroup: not declared by the application");
  CHECK(makeCaps(s, NIB_FEATURE_SUBGROUP, nullptr).tier == 1);
  CHECK(reason(s, NIB_FEATURE_SUBGROUP, nullptr) == "dot4: not declared by the application");
  NibRestrict r{sizeof(NibRestrict)};
  r.features_mask = NIB_FEATURE_SUBGROUP | NIB_FEATURE_DOT4;
  CHECK(makeCaps(s, NIB_FEATURE_ALL, &r).tier == 2);
  CHECK(reason(s, NIB_FEATURE_ALL, &r) == "coopmat: left out by the restriction");
  r.features_mask = NIB_FEATURE_ALL;
  r.api_version = VK_API_VERSION_1_2;
  CHECK(reason(s, NIB_FEATURE_ALL, &r) == "dot4: not offered at the restricted Vulkan 1.2");
  s.integer_dot_product = false;
  CHECK(reason(s, NIB_FEATURE_ALL, nullptr) == "dot4: the device does not offer it at Vulkan 1.3");
}

TEST_CASE("a tier requires all tiers below it") {
  Snapshot s = desktopDevice();
  const Caps caps = makeCaps(s, NIB_FEATURE_ALL & ~NIB_FEATURE_DOT4, nullptr);
  CHECK((caps.features & NIB_FEATURE_COOPMAT) != 0);
  CHECK(caps.tier == 1);
}
