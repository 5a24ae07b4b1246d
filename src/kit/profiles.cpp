#include "kit/profiles.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>

namespace nib::kit::detail {
namespace {

using Json = nlohmann::json;

// An absent or null field leaves `value`, the floor's, unchanged.
template <class T>
void read(const Json& row, const char* field, T& value) {
  const auto found = row.find(field);
  if (found != row.end() && !found->is_null()) value = found->get<T>();
}

void readApi(const std::string& text, Profile& profile) {
  const char* const end = text.data() + text.size();
  const auto major = std::from_chars(text.data(), end, profile.api_version_major);
  if (major.ec != std::errc() || major.ptr == end || *major.ptr != '.')
    throw Error("profile " + profile.id + ": apiVersion");
  const auto minor = std::from_chars(major.ptr + 1, end, profile.api_version_minor);
  if (minor.ec != std::errc()) throw Error("profile " + profile.id + ": apiVersion");
}

// A row without a type is an integrated GPU.
DeviceClass deviceClassOf(const Json& row, const Profile& profile) {
  const std::string type = row.value("deviceType", "gpu");
  if (type == "gpu") return DeviceClass::kIntegratedGpu;
  if (type == "cpu") return DeviceClass::kCpu;
  if (type == "any") return DeviceClass::kAny;
  throw Error("profile " + profile.id + ": deviceType");
}

Profile parseRow(const Json& row, const Profile& floor) {
  Profile profile = floor;
  profile.id = row.at("id").get<std::string>();
  profile.name = row.at("name").get<std::string>();
  read(row, "apiVersion", profile.api);
  readApi(profile.api, profile);
  profile.device_class = deviceClassOf(row, profile);
  read(row, "maxComputeWorkGroupInvocations", profile.max_workgroup_invocations);
  read(row, "maxComputeSharedMemorySize", profile.max_shared_bytes);
  read(row, "maxPushConstantsSize", profile.max_push_bytes);
  read(row, "maxComputeWorkGroupCount", profile.max_workgroup_count);
  read(row, "maxStorageBufferRange", profile.max_storage_range_bytes);
  read(row, "minStorageBufferOffsetAlignment", profile.min_offset_alignment_bytes);
  read(row, "storageBuffer16BitAccess", profile.storage16);
  read(row, "shaderFloat16", profile.float16);
  read(row, "shaderIntegerDotProduct", profile.integer_dot);
  read(row, "cooperativeMatrix", profile.cooperative_matrix);
  const auto ops = row.find("subgroupOpsInCompute");
  if (ops != row.end() && ops->is_array()) {
    const auto has = [&](const char* name) { return std::find(ops->begin(), ops->end(), name) != ops->end(); };
    profile.subgroup_operations = has("ARITHMETIC") && has("BALLOT") && has("SHUFFLE");
  }
  return profile;
}

}  // namespace

std::vector<Profile> parseProfiles(std::string_view json) {
  try {
    const Json table = Json::parse(json);
    const auto floor_row =
        std::find_if(table.begin(), table.end(), [](const Json& row) { return row.at("id") == "floor"; });
    if (floor_row == table.end()) throw Error("the profile table has no row \"floor\"");
    const Profile floor = parseRow(*floor_row, Profile());
    std::vector<Profile> rows;
    for (const Json& row : table) rows.push_back(parseRow(row, floor));
    return rows;
  } catch (const Json::exception& error) {
    throw Error(std::string("the profile table: ") + error.what());
  }
}

const std::vector<Profile>& profiles() {
  static const std::vector<Profile> rows = parseProfiles(embeddedProfiles());
  return rows;
}

const Profile& findProfile(std::string_view id) {
  const std::vector<Profile>& rows = profiles();
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const Profile& row) { return row.id == id; });
  if (found != rows.end()) return *found;
  // The table is too long for a one-line message: list the ids that contain `id`, or say how to list them all.
  std::string near;
  for (const Profile& row : rows) {
    if (!id.empty() && row.id.find(id) != std::string::npos) near += (near.empty() ? "" : ", ") + row.id;
  }
  throw NotFound("no profile \"" + std::string(id) + "\"; " +
                 (near.empty() ? "`nibble devices --profiles` lists them" : "near it: " + near));
}

}  // namespace nib::kit::detail

namespace nib::kit {

std::vector<std::string> profileIds() {
  std::vector<std::string> ids;
  for (const detail::Profile& row : detail::profiles()) ids.push_back(row.id);
  return ids;
}

#if !defined(NIB_NO_VULKAN)
NibRestrict profileRestrict(std::string_view id) {
  const detail::Profile& profile = detail::findProfile(id);
  NibRestrict restriction{sizeof(NibRestrict)};
  restriction.api_version = VK_MAKE_API_VERSION(0, profile.api_version_major, profile.api_version_minor, 0);
  // The table has no columns for pipelineRobustness, float controls and, below Vulkan 1.3, subgroup size control. They
  // stay off, as on the floor.
  if (profile.subgroup_operations) restriction.features_mask |= NIB_FEATURE_SUBGROUP;
  if (profile.storage16) restriction.features_mask |= NIB_FEATURE_STORAGE16;
  if (profile.float16) restriction.features_mask |= NIB_FEATURE_F16;
  if (profile.integer_dot) restriction.features_mask |= NIB_FEATURE_DOT4;
  if (profile.cooperative_matrix) restriction.features_mask |= NIB_FEATURE_COOPMAT;
  if (restriction.api_version >= VK_API_VERSION_1_3) restriction.features_mask |= NIB_FEATURE_SUBGROUP_SIZE;
  restriction.max_workgroup_invocations = profile.max_workgroup_invocations;
  restriction.max_shared_bytes = profile.max_shared_bytes;
  restriction.max_push_bytes = profile.max_push_bytes;
  restriction.max_workgroup_count = profile.max_workgroup_count;
  restriction.max_storage_range_bytes = profile.max_storage_range_bytes;
  restriction.min_offset_alignment_bytes = profile.min_offset_alignment_bytes;
  switch (profile.device_class) {
    case detail::DeviceClass::kAny: break;  // 0: as for the device itself
    case detail::DeviceClass::kIntegratedGpu: restriction.device_type = VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU; break;
    case detail::DeviceClass::kCpu: restriction.device_type = VK_PHYSICAL_DEVICE_TYPE_CPU; break;
  }
  return restriction;
}
#endif

}  // namespace nib::kit
