#include "plan/verdicts.h"

#include <cstring>

#include "base/hash.h"

namespace nib::vk {
namespace {

// The blob, little-endian: magic, version, count, 0; entries; the FNV-1a hash of everything before it.
constexpr uint32_t kMagic = 0x5642494e;  // "NIBV"
constexpr uint32_t kBlobVersion = 1;
constexpr size_t kHeadBytes = 16;
constexpr size_t kEntryBytes = 16 + 4 * 4 + 2 * 8 + 4;
constexpr size_t kTailBytes = 8;
// No build has as many kernels times specializations. A limit is needed because loading takes quadratic time.
constexpr uint32_t kMaxLoaded = 16384;

struct Writer {
  unsigned char* at;
  void bytes(const void* data, size_t size) {
    std::memcpy(at, data, size);
    at += size;
  }
  void u32(uint32_t v) {
    for (int i = 0; i < 4; ++i) *at++ = static_cast<unsigned char>(v >> (8 * i));
  }
  void u64(uint64_t v) {
    u32(static_cast<uint32_t>(v));
    u32(static_cast<uint32_t>(v >> 32));
  }
};

struct Reader {
  const unsigned char* at;
  void bytes(void* data, size_t size) {
    std::memcpy(data, at, size);
    at += size;
  }
  uint32_t u32() {
    uint32_t v = 0;
    for (int i = 0; i < 4; ++i) v |= static_cast<uint32_t>(*at++) << (8 * i);
    return v;
  }
  uint64_t u64() {
    const uint64_t low = u32();
    return low | static_cast<uint64_t>(u32()) << 32;
  }
};

bool sameDriver(const VerdictKey& a, const VerdictKey& b) {
  return std::memcmp(a.device_uuid, b.device_uuid, sizeof a.device_uuid) == 0 && a.vendor_id == b.vendor_id &&
         a.device_id == b.device_id && a.driver_id == b.driver_id && a.driver_version == b.driver_version;
}

}  // namespace

VerdictKey verdictKey(const Caps& caps, uint64_t spirv_hash, uint64_t spec_hash) {
  VerdictKey key{};
  std::memcpy(key.device_uuid, caps.device_uuid, sizeof key.device_uuid);
  key.vendor_id = caps.vendor_id;
  key.device_id = caps.device_id;
  key.driver_id = caps.driver_id;
  key.driver_version = caps.driver_version;
  key.spirv_hash = spirv_hash;
  key.spec_hash = spec_hash;
  return key;
}

// A linear search: there are a few hundred entries at most, and only planning and self-tests search them.
const Verdicts::Entry* Verdicts::lookUp(const VerdictKey& key) const {
  for (const Entry& e : entries_)
    if (e.key.spirv_hash == key.spirv_hash && e.key.spec_hash == key.spec_hash && sameDriver(e.key, key)) return &e;
  return nullptr;
}

Verdict Verdicts::find(const VerdictKey& key) const {
  const Entry* entry = lookUp(key);
  return entry != nullptr ? entry->verdict : Verdict::kUnknown;
}

bool Verdicts::anyFailed(const Caps& caps, uint64_t spirv_hash) const {
  const VerdictKey key = verdictKey(caps, spirv_hash, 0);
  for (const Entry& e : entries_)
    if (e.verdict == Verdict::kFailed && e.key.spirv_hash == spirv_hash && sameDriver(e.key, key)) return true;
  return false;
}

bool Verdicts::add(const VerdictKey& key, Verdict verdict) {
  if (verdict != Verdict::kPassed && verdict != Verdict::kFailed) return true;
  if (const Entry* entry = lookUp(key)) {
    if (verdict == Verdict::kFailed) entries_[static_cast<size_t>(entry - entries_.data())].verdict = verdict;
    return true;
  }
  return entries_.push(Entry{key, verdict});
}

bool Verdicts::load(const void* data, size_t size_bytes, uint32_t* out_loaded) {
  if (out_loaded != nullptr) *out_loaded = 0;
  if (data == nullptr || size_bytes < kHeadBytes + kTailBytes) return true;
  const unsigned char* bytes = static_cast<const unsigned char*>(data);
  Reader head{bytes};
  if (head.u32() != kMagic || head.u32() != kBlobVersion) return true;
  const uint32_t count = head.u32();
  const size_t body_bytes = size_bytes - kHeadBytes - kTailBytes;
  if (head.u32() != 0 || body_bytes % kEntryBytes != 0 || body_bytes / kEntryBytes != count) return true;
  if (count > kMaxLoaded) return true;
  Reader tail{bytes + size_bytes - kTailBytes};
  if (tail.u64() != fnv1a64(bytes, size_bytes - kTailBytes)) return true;

  Reader in{bytes + kHeadBytes};
  for (uint32_t i = 0; i < count; ++i) {
    VerdictKey key{};
    in.bytes(key.device_uuid, sizeof key.device_uuid);
    key.vendor_id = in.u32();
    key.device_id = in.u32();
    key.driver_id = in.u32();
    key.driver_version = in.u32();
    key.spirv_hash = in.u64();
    key.spec_hash = in.u64();
    if (!add(key, static_cast<Verdict>(in.u32()))) return false;
  }
  if (out_loaded != nullptr) *out_loaded = count;
  return true;
}

size_t Verdicts::saveBytes() const { return kHeadBytes + entries_.size() * kEntryBytes + kTailBytes; }

void Verdicts::save(void* data) const {
  Writer out{static_cast<unsigned char*>(data)};
  out.u32(kMagic);
  out.u32(kBlobVersion);
  out.u32(count());
  out.u32(0);
  for (const Entry& e : entries_) {
    const VerdictKey& key = e.key;
    out.bytes(key.device_uuid, sizeof key.device_uuid);
    out.u32(key.vendor_id);
    out.u32(key.device_id);
    out.u32(key.driver_id);
    out.u32(key.driver_version);
    out.u64(key.spirv_hash);
    out.u64(key.spec_hash);
    out.u32(static_cast<uint32_t>(e.verdict));
  }
  out.u64(fnv1a64(data, saveBytes() - kTailBytes));
}

}  // namespace nib::vk
