// Known driver bugs, as data. The only place where a vendor, driver or device is asked for by name.
#ifndef NIB_VK_QUIRKS_H
#define NIB_VK_QUIRKS_H

#include "vk/snapshot.h"

namespace nib::vk {

// A row holds where every condition holds; a condition left zero or NULL always does.
struct Quirk {
  uint32_t driver_ids[2];  // VkDriverId, any of them
  uint32_t vendor_id;
  uint32_t device_id;
  const char* name_part;             // appears in the device's name
  uint32_t version_begin;            // driverVersion in the driver's own encoding: begin <= version
  uint32_t version_end;              // version < end; 0 = no fixed driver known
  bool (*when)(const Snapshot& s);   // on anything but coop and coop_count, which are not read yet
  // NIB_FEATURE_* that must stay off. With COOPMAT, its property query is not made either.
  uint32_t effects;
  const char* reason;
  const char* link;
};

extern const Quirk kQuirks[];
extern const uint32_t kQuirkCount;

bool quirkHolds(const Quirk& quirk, const Snapshot& snapshot);

// The effects of all rows that hold. Defined before the cooperative matrix properties are read.
uint32_t quirkEffects(const Snapshot& snapshot);

// The first row that holds and switches off one of `features`; NULL if none does.
const Quirk* quirkAgainst(const Snapshot& snapshot, uint32_t features);

}  // namespace nib::vk
#endif
