// The amount of data that a benchmark must rotate through, so that nothing is still in the cache when it is used again.
#ifndef NIB_BENCH_CACHE_H
#define NIB_BENCH_CACHE_H

#include <nibble/kit.h>

#include <string>

namespace nib::bench {

struct Rotation {
  uint64_t cache_bytes = 0;  // of the last-level cache; 0 = unknown
  uint64_t bytes = 0;        // data of one round: more than four times the cache, if memory allows
  std::string source;        // where the numbers come from
};

// Size of the processor's last-level cache, from the system; 0 = unknown.
uint64_t hostCacheBytes();
// Available memory of the host; 0 = unknown.
uint64_t hostAvailableBytes();

// Pure. host_cache_bytes matters for devices that run on the host's processor and for integrated GPUs,
// host_available_bytes only for the former.
Rotation rotationFor(const kit::DeviceInfo& device, uint64_t host_cache_bytes, uint64_t host_available_bytes);

// The number of copies of a set of buffers that together have at least `rotation_bytes`, at most kMaxSets.
constexpr uint32_t kMaxSets = 512;
uint32_t setCount(uint64_t set_bytes, uint64_t rotation_bytes);

}  // namespace nib::bench
#endif
