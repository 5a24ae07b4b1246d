// How much data must pass by before a cache has forgotten the first of it.
#ifndef NIB_BENCH_CACHE_H
#define NIB_BENCH_CACHE_H

#include <nibble/kit.h>

#include <string>

namespace nib::bench {

struct Rotation {
  uint64_t cache_bytes = 0;  // of the last level; 0 = unknown
  uint64_t bytes = 0;        // data of one round: more than four times that
  std::string source;        // where the numbers come from
};

// Of the processor's last level, from the system; 0 where it does not tell.
uint64_t hostCacheBytes();
// Memory of the host that is free for us; 0 = unknown.
uint64_t hostAvailableBytes();

// Pure. cache_bytes counts only for devices that run on the host's processor.
Rotation rotationFor(const kit::DeviceInfo& device, uint64_t host_cache_bytes, uint64_t host_available_bytes);

// Copies of a set of buffers that together reach `rotation_bytes`, at most kMaxSets.
constexpr uint32_t kMaxSets = 512;
uint32_t setCount(uint64_t set_bytes, uint64_t rotation_bytes);

}  // namespace nib::bench
#endif
