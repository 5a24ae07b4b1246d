#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/hash.h"
#include "device_snapshots.h"
#include "plan/verdicts.h"

using namespace nib;
using namespace nib::vk;

namespace {

VerdictKey key(uint64_t spirv, uint64_t spec = 1) {
  static const Caps caps = makeCaps(test::desktopDevice(), 0, nullptr);
  return verdictKey(caps, spirv, spec);
}

std::vector<unsigned char> saved(const Verdicts& verdicts) {
  std::vector<unsigned char> blob(verdicts.saveBytes());
  verdicts.save(blob.data());
  return blob;
}

// Counts allocations, and allows `left` of them.
struct Counting {
  int live = 0;
  int left = 1000;
  NibAllocator callbacks() {
    return {[](void* user, size_t size, size_t) -> void* {
              Counting* c = static_cast<Counting*>(user);
              if (c->left-- <= 0) return nullptr;
              ++c->live;
              return std::malloc(size);
            },
            [](void* user, void* memory) {
              --static_cast<Counting*>(user)->live;
              std::free(memory);
            },
            this};
  }
};

}  // namespace

TEST_CASE("FNV-1a gives its published values") {
  CHECK(fnv1a64("", 0) == 0xcbf29ce484222325ull);
  CHECK(fnv1a64("a", 1) == 0xaf63dc4c8601ec8cull);
  CHECK(fnv1a64("foobar", 6) == 0x85944171f73967e8ull);
  CHECK(fnv1a64("bar", 3, fnv1a64("foo", 3)) == fnv1a64("foobar", 6));
}

TEST_CASE("a verdict is found under its own key only") {
  Verdicts v{HostMemory()};
  CHECK(v.find(key(1)) == Verdict::kUnknown);
  CHECK(v.add(key(1), Verdict::kPassed));
  CHECK(v.add(key(2), Verdict::kFailed));
  CHECK(v.find(key(1)) == Verdict::kPassed);
  CHECK(v.find(key(2)) == Verdict::kFailed);
  CHECK(v.find(key(1, 2)) == Verdict::kUnknown);
  VerdictKey other = key(1);
  other.device_uuid[3] ^= 1;
  CHECK(v.find(other) == Verdict::kUnknown);
  for (uint32_t VerdictKey::*member :
       {&VerdictKey::vendor_id, &VerdictKey::device_id, &VerdictKey::driver_id, &VerdictKey::driver_version}) {
    other = key(1);
    other.*member += 1;
    CHECK(v.find(other) == Verdict::kUnknown);
  }
}

TEST_CASE("a failure is kept, whatever is stored later") {
  Verdicts v{HostMemory()};
  CHECK(v.add(key(1), Verdict::kPassed));
  CHECK(v.add(key(1), Verdict::kFailed));
  CHECK(v.add(key(1), Verdict::kPassed));
  CHECK(v.find(key(1)) == Verdict::kFailed);
  CHECK(v.add(key(9), Verdict::kUnknown));
  CHECK(v.count() == 1);
}

TEST_CASE("a module counts as failed on its device when any specialization of it did") {
  Verdicts v{HostMemory()};
  CHECK(v.add(key(1, 1), Verdict::kPassed));
  CHECK(v.add(key(2, 1), Verdict::kPassed));
  CHECK(v.add(key(2, 7), Verdict::kFailed));
  Caps caps = makeCaps(test::desktopDevice(), 0, nullptr);
  CHECK_FALSE(v.anyFailed(caps, 1));
  CHECK(v.anyFailed(caps, 2));
  caps.driver_version += 1;
  CHECK_FALSE(v.anyFailed(caps, 2));
}

TEST_CASE("any number of verdicts survives saving and loading") {
  for (const uint32_t count : {0u, 1u, 31u, 32u, 33u, 500u}) {
    CAPTURE(count);
    Verdicts v{HostMemory()};
    for (uint32_t i = 0; i < count; ++i) CHECK(v.add(key(i, i * 3), i % 3 == 0 ? Verdict::kFailed : Verdict::kPassed));
    const std::vector<unsigned char> blob = saved(v);
    Verdicts w{HostMemory()};
    uint32_t loaded = 77;
    CHECK(w.load(blob.data(), blob.size(), &loaded));
    CHECK(loaded == count);
    CHECK(w.count() == count);
    bool same = true;
    for (uint32_t i = 0; i < count; ++i) same = same && w.find(key(i, i * 3)) == v.find(key(i, i * 3));
    CHECK(same);
    CHECK(saved(w) == blob);
  }
}

TEST_CASE("loading adds to existing verdicts and keeps failures") {
  Verdicts a{HostMemory()}, b{HostMemory()};
  CHECK(a.add(key(1), Verdict::kFailed));
  CHECK(a.add(key(2), Verdict::kPassed));
  CHECK(b.add(key(1), Verdict::kPassed));
  CHECK(b.add(key(2), Verdict::kFailed));
  CHECK(b.add(key(3), Verdict::kPassed));
  const std::vector<unsigned char> blob = saved(b);
  CHECK(a.load(blob.data(), blob.size(), nullptr));
  CHECK(a.count() == 3);
  CHECK(a.find(key(1)) == Verdict::kFailed);
  CHECK(a.find(key(2)) == Verdict::kFailed);
  CHECK(a.find(key(3)) == Verdict::kPassed);
}

TEST_CASE("a blob that is truncated anywhere, or too long, is ignored") {
  Verdicts v{HostMemory()};
  for (uint32_t i = 0; i < 5; ++i) CHECK(v.add(key(i), Verdict::kFailed));
  const std::vector<unsigned char> blob = saved(v);
  for (size_t size = 0; size <= blob.size() + 60; ++size) {
    if (size == blob.size()) continue;
    // A buffer of exactly this size, so that a sanitizer sees any read beyond it.
    std::vector<unsigned char> cut(size);
    if (size != 0) std::memcpy(cut.data(), blob.data(), size < blob.size() ? size : blob.size());
    Verdicts w{HostMemory()};
    uint32_t loaded = 77;
    CHECK(w.load(cut.data(), cut.size(), &loaded));
    CHECK(loaded == 0);
    CHECK(w.count() == 0);
  }
  Verdicts w{HostMemory()};
  CHECK(w.load(nullptr, 100, nullptr));
  CHECK(w.load(blob.data(), 0, nullptr));
  CHECK(w.count() == 0);
}

TEST_CASE("a blob with any one bit flipped is ignored") {
  Verdicts v{HostMemory()};
  for (uint32_t i = 0; i < 3; ++i) CHECK(v.add(key(i), Verdict::kPassed));
  std::vector<unsigned char> blob = saved(v);
  uint32_t accepted = 0;
  for (size_t bit = 0; bit < blob.size() * 8; ++bit) {
    blob[bit / 8] ^= static_cast<unsigned char>(1u << bit % 8);
    Verdicts w{HostMemory()};
    CHECK(w.load(blob.data(), blob.size(), nullptr));
    accepted += w.count();
    blob[bit / 8] ^= static_cast<unsigned char>(1u << bit % 8);
  }
  CHECK(accepted == 0);
}

TEST_CASE("foreign data with a correct checksum and a false count is ignored") {
  Verdicts v{HostMemory()};
  CHECK(v.add(key(1), Verdict::kFailed));
  for (const uint32_t count : {0u, 2u, 0xffffffffu, 0x7fffffffu}) {
    std::vector<unsigned char> blob = saved(v);
    for (int i = 0; i < 4; ++i) blob[8 + static_cast<size_t>(i)] = static_cast<unsigned char>(count >> (8 * i));
    const uint64_t sum = fnv1a64(blob.data(), blob.size() - 8);
    for (size_t i = 0; i < 8; ++i) blob[blob.size() - 8 + i] = static_cast<unsigned char>(sum >> (8 * i));
    Verdicts w{HostMemory()};
    CHECK(w.load(blob.data(), blob.size(), nullptr));
    CHECK(w.count() == 0);
  }
}

TEST_CASE("memory comes from the callbacks and is freed; a failed allocation keeps existing verdicts") {
  Counting counting;
  const NibAllocator callbacks = counting.callbacks();
  {
    Verdicts v{HostMemory(&callbacks)};
    counting.left = 1;
    uint32_t added = 0;
    while (added < 1000 && v.add(key(added), Verdict::kFailed)) ++added;
    CHECK(added > 0);
    CHECK(added < 1000);
    CHECK(v.count() == added);
    CHECK(v.find(key(added - 1)) == Verdict::kFailed);
    CHECK(counting.live == 1);

    const std::vector<unsigned char> blob = saved(v);
    Verdicts w{HostMemory(&callbacks)};
    CHECK_FALSE(w.load(blob.data(), blob.size(), nullptr));
    counting.left = 1000;
    CHECK(w.load(blob.data(), blob.size(), nullptr));
    CHECK(w.count() == added);
  }
  CHECK(counting.live == 0);
}
