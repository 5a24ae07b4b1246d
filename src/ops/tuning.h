// Shapes of work by the device's limits and kind alone: pure functions, tested without a GPU.
#ifndef NIB_OPS_TUNING_H
#define NIB_OPS_TUNING_H

#include <nibble/nibble.h>

namespace nib {

inline bool isPowerOfTwo(uint32_t value) { return value != 0 && (value & (value - 1)) == 0; }

// Devices that are CPUs run a workgroup's invocations one vector at a time: barriers cost them far more than reading a
// value twice, so exchanges between invocations are avoided where there is enough other work.
inline bool isCpu(uint32_t device_type) { return device_type == 4; }  // VK_PHYSICAL_DEVICE_TYPE_CPU

// Matrix units of a CPU are made from instructions that products without them use better.
inline bool usesMatrices(uint32_t device_type) { return !isCpu(device_type); }

inline bool avoidsExchange(uint32_t device_type, uint64_t independent_pieces) {
  return isCpu(device_type) && independent_pieces >= 64;
}

// Rows per invocation where something goes with columns, which is read or written once for them all. `gpu` is what keeps
// a GPU busy; a CPU has few threads.
inline uint32_t columnRows(uint32_t device_type, uint32_t rows, uint32_t gpu) {
  if (!isCpu(device_type)) return gpu;
  return rows >= 2048 ? 256 : 64;
}

struct Teams {
  uint32_t lanes;   // invocations per group
  uint32_t keep;    // runs of a lane that stay in registers
  bool more;        // it has more than those
};

// How a workgroup of `workgroup` invocations shares groups of `runs` runs of `run` elements each. Small groups: a lane per run, so that
// neighbours load neighbouring memory. Rows: the whole workgroup.
inline Teams chooseTeams(uint32_t device_type, uint32_t workgroup, uint32_t run, uint32_t runs, uint64_t groups) {
  constexpr uint32_t kReadThrough = 32;  // lanes whose partial results one lane may read through
  const uint32_t keep = 64u / run;       // more would be faster, and take some drivers seconds to compile
  Teams teams{};
  if (avoidsExchange(device_type, groups)) {
    teams.lanes = 1;
  } else {
    teams.lanes = runs <= kReadThrough ? runs : workgroup;
  }
  const uint32_t each = (runs + teams.lanes - 1u) / teams.lanes;
  teams.more = each > keep;
  teams.keep = teams.more ? keep : each;
  return teams;
}

}  // namespace nib
#endif
