// Known driver bugs as a table. The only place where decisions depend on a vendor, driver or device.
#ifndef NIB_VK_QUIRKS_H
#define NIB_VK_QUIRKS_H

#include "vk/snapshot.h"

namespace nib::vk {

// A row applies if all its conditions hold. A condition of 0 or NULL always holds.
struct Quirk {
  uint32_t driver_ids[2];  // VkDriverId, either of them
  uint32_t vendor_id;
  uint32_t device_id;
  const char* name_part;            // a substring of the device's name
  uint32_t version_begin;           // driverVersion in the driver's own encoding: begin <= version
  uint32_t version_end;             // version < end; 0 = no fixed driver known
  bool (*when)(const Snapshot& s);  // must not use coop and coop_count, which are read later
  // NIB_FEATURE_* to disable. COOPMAT also prevents the query of cooperative matrix properties.
  uint32_t effects;
  const char* reason;
  const char* link;
};

extern const Quirk kQuirks[];
extern const uint32_t kQuirkCount;

bool quirkHolds(const Quirk& quirk, const Snapshot& snapshot);

// The effects of all rows that apply. Does not depend on the cooperative matrix properties.
uint32_t quirkEffects(const Snapshot& snapshot);

// The first row that applies and disables one of `features`; NULL if there is none.
const Quirk* quirkAgainst(const Snapshot& snapshot, uint32_t features);

}  // namespace nib::vk
#endif
