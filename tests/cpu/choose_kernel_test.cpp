#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "device_snapshots.h"
#include "plan/choose.h"

using namespace nib;
using namespace nib::vk;

namespace {

constexpr uint32_t kSpirv13[] = {0x07230203, 0x00010300};
constexpr uint32_t kSpirv16[] = {0x07230203, 0x00010600};

const KernelRow kTable[] = {
    {"gemm_int4_coopmat", "gemm", 2, "coopmat", NIB_FEATURE_COOPMAT | NIB_FEATURE_SUBGROUP, kSpirv16, 2},
    {"gemm_int4_dot4", "gemm", 2, "dot4", NIB_FEATURE_DOT4, nullptr, 0},
    {"gemm_int8_subgroup", "gemm", 1, "subgroup", NIB_FEATURE_SUBGROUP, kSpirv13, 2},
    {"gemm_int4_subgroup", "gemm", 2, "subgroup", NIB_FEATURE_SUBGROUP, kSpirv13, 2},
    {"gemm_int4", "gemm", 2, "", 0, kSpirv13, 2},
    {"gemm_int8", "gemm", 1, "", 0, kSpirv13, 2},
    {"reduce_subgroup", "reduce", 0, "subgroup", NIB_FEATURE_SUBGROUP, kSpirv13, 2},
    {"reduce", "reduce", 0, "", 0, kSpirv13, 2},
};
constexpr uint32_t kCount = sizeof kTable / sizeof kTable[0];
constexpr KernelLimits kModest = {128, 16384, 128};

Caps desktop(uint32_t features) { return makeCaps(test::desktopDevice(), features, nullptr); }

std::string chosen(const char* name, uint32_t format, const Caps& caps, const KernelLimits& need, ChooseReport* why,
                   bool (*off)(const void*, const KernelRow&) = nullptr, const void* user = nullptr) {
  const KernelRow* row = chooseKernel(kTable, kCount, name, format, caps, need, off, user, why);
  return row != nullptr ? row->module : "";
}

}  // namespace

TEST_CASE("the first row of the name and format whose requirements hold is chosen") {
  ChooseReport why;
  CHECK(chosen("gemm", 2, desktop(NIB_FEATURE_ALL), kModest, &why) == "gemm_int4_coopmat");
  CHECK(why.rejected == 0);
  CHECK(std::string(why.text) == "");
  CHECK(chosen("gemm", 1, desktop(NIB_FEATURE_ALL), kModest, nullptr) == "gemm_int8_subgroup");
  CHECK(chosen("gemm", 1, desktop(0), kModest, nullptr) == "gemm_int8");
  CHECK(chosen("reduce", 0, desktop(NIB_FEATURE_ALL), kModest, nullptr) == "reduce_subgroup");
  CHECK(chosen("reduce", 0, desktop(0), kModest, nullptr) == "reduce");
}

TEST_CASE("unknown names and formats give no kernel and no reason") {
  ChooseReport why;
  CHECK(chosen("gem", 2, desktop(NIB_FEATURE_ALL), kModest, &why) == "");
  CHECK(chosen("gemm", 3, desktop(NIB_FEATURE_ALL), kModest, &why) == "");
  CHECK(chosen("gemm", 0, desktop(NIB_FEATURE_ALL), kModest, &why) == "");
  CHECK(chosen("reduce", 2, desktop(NIB_FEATURE_ALL), kModest, &why) == "");
  CHECK(why.rejected == 0);
  CHECK(chooseKernel(kTable, 0, "gemm", 2, desktop(0), kModest, nullptr, nullptr, nullptr) == nullptr);
}

TEST_CASE("every skipped row has its reason, in order") {
  ChooseReport why;
  CHECK(chosen("gemm", 2, desktop(0), kModest, &why) == "gemm_int4");
  CHECK(why.rejected == 3);
  CHECK(std::string(why.text) ==
        "gemm_int4_coopmat: needs subgroup coopmat; gemm_int4_dot4: not built; gemm_int4_subgroup: needs subgroup");
}

TEST_CASE("limits are inclusive and named") {
  const Caps caps = desktop(0);
  ChooseReport why;
  CHECK(chosen("reduce", 0, caps, {1024, 49152, 256}, &why) == "reduce");
  CHECK(chosen("reduce", 0, caps, {1024, 49153, 256}, &why) == "");
  CHECK(std::string(why.text) == "reduce_subgroup: needs subgroup; reduce: limit: shared 49153 > 49152");
  CHECK(chosen("reduce", 0, caps, {1025, 0, 0}, &why) == "");
  CHECK(std::string(why.text).find("limit: invocations 1025 > 1024") != std::string::npos);
  CHECK(chosen("reduce", 0, caps, {0, 0, 260}, &why) == "");
  CHECK(std::string(why.text).find("limit: push 260 > 256") != std::string::npos);
  Snapshot s = test::desktopDevice();
  s.max_workgroup_size_x = 512;
  CHECK(chosen("reduce", 0, makeCaps(s, 0, nullptr), {1024, 0, 0}, &why) == "");
  CHECK(std::string(why.text).find("limit: workgroup size 1024 > 512") != std::string::npos);
}

TEST_CASE("a row that failed verification is skipped, and verdicts are looked up only for usable rows") {
  struct Asked {
    const char* off;
    int count;
  } asked = {"gemm_int4_subgroup", 0};
  const auto off = [](const void* user, const KernelRow& row) {
    Asked* a = static_cast<Asked*>(const_cast<void*>(user));
    ++a->count;
    return std::strcmp(row.module, a->off) == 0;
  };
  ChooseReport why;
  CHECK(chosen("gemm", 2, desktop(NIB_FEATURE_SUBGROUP), kModest, &why, off, &asked) == "gemm_int4");
  CHECK(std::string(why.text) ==
        "gemm_int4_coopmat: needs coopmat; gemm_int4_dot4: not built; gemm_int4_subgroup: failed verification");
  CHECK(asked.count == 2);
}

TEST_CASE("a module of newer SPIR-V than the Vulkan version accepts is skipped") {
  NibRestrict r{sizeof(NibRestrict)};
  r.features_mask = NIB_FEATURE_ALL;
  r.api_version = VK_API_VERSION_1_2;
  Snapshot s = test::desktopDevice();
  s.extensions |= kExtensionIntegerDotProduct | kExtensionSubgroupSizeControl;
  ChooseReport why;
  CHECK(chosen("gemm", 2, makeCaps(s, NIB_FEATURE_ALL, &r), kModest, &why) == "gemm_int4_subgroup");
  CHECK(std::string(why.text).rfind("gemm_int4_coopmat: needs SPIR-V 1.6, beyond Vulkan 1.2;", 0) == 0);
}

TEST_CASE("a report that is too long ends in dots") {
  const std::string name(100, 'x');
  KernelRow rows[12];
  for (KernelRow& row : rows) row = {name.c_str(), "long", 0, "", NIB_FEATURE_ALL, kSpirv13, 2};
  ChooseReport why;
  CHECK(chooseKernel(rows, 12, "long", 0, desktop(0), kModest, nullptr, nullptr, &why) == nullptr);
  CHECK(why.rejected == 12);
  CHECK(std::strlen(why.text) == sizeof why.text - 1);
  CHECK(std::string(why.text).substr(sizeof why.text - 4) == "...");
}
