// Shapes of work by the device's limits and kind alone: pure functions, tested without a GPU.
#ifndef NIB_OPS_TUNING_H
#define NIB_OPS_TUNING_H

#include <nibble/nibble.h>

namespace nib {

// Devices that are CPUs run a workgroup's invocations one vector at a time: barriers cost them far more than reading a
// value twice, so exchanges between invocations are avoided where there is enough other work.
inline bool avoidsExchange(uint32_t device_type, uint64_t independent_pieces) {
  constexpr uint32_t kTypeCpu = 4;  // VK_PHYSICAL_DEVICE_TYPE_CPU
  return device_type == kTypeCpu && independent_pieces >= 64;
}

struct Teams {
  uint32_t lanes;   // invocations per group
  bool single;      // a lane has at most one run
};

// How a workgroup of `workgroup` invocations shares groups of `runs` runs each. Small groups: a lane per run, so that
// neighbours load neighbouring memory. Rows: the whole workgroup.
inline Teams chooseTeams(uint32_t device_type, uint32_t workgroup, uint32_t runs, uint64_t groups) {
  constexpr uint32_t kReadThrough = 32;  // lanes whose partial results one lane may read through
  Teams teams{};
  if (avoidsExchange(device_type, groups)) {
    teams.lanes = 1;
  } else {
    teams.lanes = runs <= kReadThrough ? runs : workgroup;
  }
  teams.single = runs <= teams.lanes;
  return teams;
}

}  // namespace nib
#endif
