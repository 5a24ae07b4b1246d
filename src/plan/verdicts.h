// What self-tests found, so that a kernel that failed on a device is not chosen there again. Saved as a small blob that
// an application may keep between runs or ship.
#ifndef NIB_PLAN_VERDICTS_H
#define NIB_PLAN_VERDICTS_H

#include <nibble/nibble.h>

#include <cstddef>
#include <cstdint>

#include "base/memory.h"
#include "vk/caps.h"

namespace nib::vk {

struct VerdictKey {
  uint8_t device_uuid[16];
  uint32_t vendor_id;  // some drivers give all their devices one uuid
  uint32_t device_id;
  uint32_t driver_id;
  uint32_t driver_version;
  uint64_t spirv_hash;
  uint64_t spec_hash;
};

VerdictKey verdictKey(const Caps& caps, uint64_t spirv_hash, uint64_t spec_hash);

enum class Verdict : uint32_t { kUnknown = 0, kPassed = 1, kFailed = 2 };

// Not synchronized: the context locks.
class Verdicts {
 public:
  explicit Verdicts(const HostMemory& memory) : entries_(memory) {}

  Verdict find(const VerdictKey& key) const;
  // Whether any specialization of the module failed on this device.
  bool anyFailed(const Caps& caps, uint64_t spirv_hash) const;
  uint32_t count() const { return static_cast<uint32_t>(entries_.size()); }

  // A failure stays: a kernel that is right only sometimes is not right. False when out of memory.
  bool add(const VerdictKey& key, Verdict verdict);

  // Adds what is in a blob of save(); anything else, and a blob that is damaged or cut anywhere, is ignored as a whole.
  // *out_loaded (may be NULL): how many entries the blob held. False when out of memory.
  bool load(const void* data, size_t size_bytes, uint32_t* out_loaded);

  size_t saveBytes() const;
  // `data` holds saveBytes().
  void save(void* data) const;

 private:
  struct Entry {
    VerdictKey key;
    Verdict verdict;
  };
  const Entry* lookUp(const VerdictKey& key) const;

  Array<Entry> entries_;
};

}  // namespace nib::vk
#endif
