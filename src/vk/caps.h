// The features and limits that a context may use: offered by the device, declared by the application, allowed by a
// restriction and not known to be broken. Immutable.
#ifndef NIB_VK_CAPS_H
#define NIB_VK_CAPS_H

#include "vk/snapshot.h"

namespace nib::vk {

struct Caps {
  uint32_t features;     // NIB_FEATURE_*: offered, declared, not restricted, not disabled by a quirk
  uint32_t api_version;  // patch 0
  uint32_t tier;         // 0..3, for reports

  uint32_t max_workgroup_invocations;
  uint32_t max_workgroup_size_x;
  uint32_t max_workgroup_count_x;
  uint32_t max_shared_bytes;
  uint32_t max_push_bytes;
  uint64_t max_storage_range_bytes;  // a multiple of 256
  uint32_t offset_alignment_bytes;   // a power of two, 4..256

  uint32_t subgroup_size;
  uint32_t min_subgroup_size;
  uint32_t max_subgroup_size;
  // A pipeline may set its subgroup size (VkPipelineShaderStageRequiredSubgroupSizeCreateInfo). False together with
  // NIB_FEATURE_SUBGROUP_SIZE: the device has a single size.
  bool may_require_subgroup_size;
  uint32_t plain_subgroup_size;      // of kernels without matrices; subgroup_size if it cannot be chosen
  uint32_t matrix_subgroup_size;     // of kernels with matrices; subgroup_size if it cannot be chosen, or is 32 or more
  uint32_t max_workgroup_subgroups;  // of a workgroup whose subgroup size is required
  // Modules declare that denormals of halves are kept, and where only all widths can be declared, those of fp32.
  bool halves_kept;
  bool floats_kept;
  bool dot4_mixed;        // modules take signed dots from mixed ones, because only those are accelerated
  bool dot4_accelerated;  // the driver reports the signed 4x8-bit dot product as accelerated

  uint32_t coop_count;  // 0 without NIB_FEATURE_COOPMAT
  CoopShape coop[24];   // shapes whose types kernels use

  uint32_t device_type;
  uint32_t vendor_id;  // for reports and verdict keys; only quirks.cpp decides by it
  uint32_t device_id;
  uint32_t driver_id;
  uint32_t driver_version;
  char device_name[256];
  uint8_t device_uuid[16];

  uint32_t quirk_effects;  // NIB_FEATURE_* that quirks disable
  uint32_t quirk_count;
  char tier_reason[192];  // why the tier is not higher, "" at the highest
};

// A pure function. restriction may be NULL.
Caps makeCaps(const Snapshot& snapshot, uint32_t declared_features, const NibRestrict* restriction);

// The subgroup size to require of a pipeline: row_features are those of its kernel, `workgroup` its invocations. 0 if
// the kernel has no subgroups, the device a single size, or none may be required. Without a required size some drivers
// take their largest, whose registers are too few.
uint32_t requiredSubgroupSize(const Caps& caps, uint32_t row_features, uint32_t workgroup);

// Why these caps are unusable (a restriction is too low), with the field's name; NULL if they are usable.
const char* capsProblem(const Caps& caps);

}  // namespace nib::vk
#endif
