// Results of self-tests, so that a kernel that failed on a device is not chosen there again. An application may save
// them as a small blob, keep it between runs or ship it.
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
  uint32_t vendor_id;  // some drivers give all their devices the same uuid
  uint32_t device_id;
  uint32_t driver_id;
  uint32_t driver_version;
  uint64_t spirv_hash;
  uint64_t spec_hash;
};

VerdictKey verdictKey(const Caps& caps, uint64_t spirv_hash, uint64_t spec_hash);

enum class Verdict : uint32_t { kUnknown = 0, kPassed = 1, kFailed = 2 };

// Not synchronized: the context's verdict_mutex protects it.
class Verdicts {
 public:
  explicit Verdicts(const HostMemory& memory) : entries_(memory) {}

  Verdict find(const VerdictKey& key) const;
  // Whether any specialization of the module failed on this device.
  bool anyFailed(const Caps& caps, uint64_t spirv_hash) const;
  uint32_t count() const { return static_cast<uint32_t>(entries_.size()); }

  // A failure is never overwritten: a kernel that is right only sometimes is wrong. False when out of memory.
  bool add(const VerdictKey& key, Verdict verdict);

  // Adds the entries of a blob that save() wrote. A blob that is damaged, truncated or of another kind is ignored as a
  // whole. *out_loaded (may be NULL): how many entries were read. False when out of memory.
  bool load(const void* data, size_t size_bytes, uint32_t* out_loaded);

  size_t saveBytes() const;
  // Writes saveBytes() bytes to `data`.
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
