// Quantized weights for a plan's self-test.
#ifndef NIB_PLAN_PROBE_WEIGHTS_H
#define NIB_PLAN_PROBE_WEIGHTS_H

#include "formats/dense.h"
#include "plan/probe.h"

namespace nib::probe {

inline void fillWeights(const NibWeights& weights, const NibMemory& memory, const NibCpuBinding& binding) {
  const auto part = [&](NibPart p) { return partOf<void>(memory, binding, NIB_ROLE_WEIGHTS, p); };
  const bool bytes = weights.scale_type == NIB_TYPE_BYTE;
  const NibPart scales = bytes || (weights.flags & NIB_WEIGHTS_NESTED) != 0 ? NIB_PART_NESTED : NIB_PART_SCALES;
  fillBits(part(NIB_PART_CODES), memory.part[NIB_PART_CODES].size_bytes, 0xc2b2ae35u);
  fillBits(part(NIB_PART_SCALES), memory.part[NIB_PART_SCALES].size_bytes, 0x27d4eb2fu);
  fillScales(part(scales), bytes ? uint32_t(NIB_TYPE_F16) : weights.scale_type, memory.part[scales].size_bytes,
             0x7f4a7c15u);
  fillBits(part(NIB_PART_ZEROS), memory.part[NIB_PART_ZEROS].size_bytes, 0x85ebca6bu);
}

}  // namespace nib::probe
#endif
