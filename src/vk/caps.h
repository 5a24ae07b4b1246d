// The immutable facts a context works with: what the device offers, cut down to what the application declared, what a
// restriction allows and what is known to be broken.
#ifndef NIB_VK_CAPS_H
#define NIB_VK_CAPS_H

#include "vk/snapshot.h"

namespace nib::vk {

struct Caps {
  uint32_t features;     // NIB_FEATURE_*: declared, offered, not restricted, not switched off by a quirk
  uint32_t api_version;  // patch 0
  uint32_t tier;         // 0..3, for people

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
  // A pipeline may name its subgroup size (VkPipelineShaderStageRequiredSubgroupSizeCreateInfo). Where this is false
  // although NIB_FEATURE_SUBGROUP_SIZE is there, the device has one size only.
  bool may_require_subgroup_size;
  bool dot4_accelerated;  // the signed 4x8 dot is an instruction, not a sequence

  uint32_t coop_count;  // 0 without NIB_FEATURE_COOPMAT
  CoopShape coop[24];   // shapes with types kernels use

  uint32_t device_type;
  uint32_t vendor_id;  // for reports and verdict keys; policy never asks it outside quirks.cpp
  uint32_t device_id;
  uint32_t driver_id;
  uint32_t driver_version;
  char device_name[256];
  uint8_t device_uuid[16];

  uint32_t quirk_effects;  // kQuirk*
  uint32_t quirk_count;
  char tier_reason[192];  // why not the next tier, "" at the highest
};

// Pure. restriction may be NULL.
Caps makeCaps(const Snapshot& snapshot, uint32_t declared_features, const NibRestrict* restriction);

// Why no context can work with these caps (a restriction went too low), naming the field; NULL if one can.
const char* capsProblem(const Caps& caps);

// "subgroup", "dot4", ... of one NIB_FEATURE_* bit, as in kernels.list.
const char* featureName(uint32_t feature_bit);

}  // namespace nib::vk
#endif
