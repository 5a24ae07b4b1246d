// Test data for self-tests of ops on rows of logits.
#ifndef NIB_OPS_LOGITS_PROBE_H
#define NIB_OPS_LOGITS_PROBE_H

#include "formats/dense.h"
#include "formats/geometry.h"
#include "plan/probe.h"

namespace nib::probe {

// Numbers from -6 to 6, some of them equal; with `masked` now and then -infinity, a masked entry.
inline void fillLogits(void* data, uint32_t type, uint64_t size_bytes, bool masked, uint32_t seed) {
  Sequence sequence(seed);
  for (uint64_t i = 0; i < size_bytes / typeBytes(type); ++i) {
    const uint32_t r = sequence.next();
    const float x = float(int32_t(r >> 8 & 0x3ffu) - 512) * (6.0f / 512);
    storeDense(data, type, i, masked && r % 61u == 0 ? 0xff800000u : exact::bitsOf(x));
  }
}

}  // namespace nib::probe
#endif
