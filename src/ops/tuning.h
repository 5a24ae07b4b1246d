// How work is divided, from the device's limits and type alone: pure functions, tested without a GPU.
#ifndef NIB_OPS_TUNING_H
#define NIB_OPS_TUNING_H

#include <nibble/nibble.h>

#include "plan/small_dims.h"

namespace nib {

inline bool isPowerOfTwo(uint32_t value) { return value != 0 && (value & (value - 1)) == 0; }

// VK_PHYSICAL_DEVICE_TYPE_CPU, which a build without Vulkan does not know.
inline constexpr uint32_t kCpuDeviceType = 4;
#if !defined(NIB_NO_VULKAN)
static_assert(kCpuDeviceType == VK_PHYSICAL_DEVICE_TYPE_CPU);
#endif

// Devices that are CPUs run a workgroup's invocations one vector at a time: barriers cost them far more than reading a
// value twice, so exchanges between invocations are avoided where there is enough other work.
inline bool isCpu(uint32_t device_type) { return device_type == kCpuDeviceType; }

// A CPU emulates cooperative matrices with the same instructions, and the kernels without them use those better.
inline bool usesMatrices(uint32_t device_type) { return !isCpu(device_type); }

inline bool avoidsExchange(uint32_t device_type, uint64_t independent_parts) {
  return isCpu(device_type) && independent_parts >= 64;
}

inline constexpr uint32_t kManyRows = 2048;

// Rows per invocation of kernels with per-column data, which an invocation reads or writes once for all its rows. `gpu`
// is the number that keeps a GPU busy; a CPU has few threads and takes more.
inline uint32_t columnRows(uint32_t device_type, uint32_t rows, uint32_t gpu) {
  if (!isCpu(device_type)) return gpu;
  return rows >= kManyRows ? 256 : 64;
}

// For kernels with such rows: more than one invocation's on every device, and as many as switch a CPU to more.
inline void addColumnDims(Dims whole, uint32_t cols, SmallDims* list) {
  list->add(ampleRows(2, cols, 67), cols);
  if (whole.rows >= kManyRows) list->add(kManyRows + 51, cols);
}

struct Teams {
  uint32_t lanes;  // invocations per group
  uint32_t keep;   // runs of a lane that stay in registers
  bool more;       // a lane has more runs than those
};

// How a workgroup of `workgroup` invocations shares groups of `runs` runs of `run` elements each. A small group has one
// lane per run, so that neighbours load neighbouring memory. A large one has the whole workgroup.
inline Teams chooseTeams(uint32_t device_type, uint32_t workgroup, uint32_t run, uint32_t runs, uint64_t groups) {
  constexpr uint32_t kMaxReadLanes = 32;  // partial results that one lane may read in sequence
  const uint32_t keep = 64u / run;        // more would be faster, but takes some drivers seconds to compile
  Teams teams{};
  if (avoidsExchange(device_type, groups)) {
    teams.lanes = 1;
  } else {
    teams.lanes = runs <= kMaxReadLanes ? runs : workgroup;
  }
  const uint32_t each = (runs + teams.lanes - 1u) / teams.lanes;
  teams.more = each > keep;
  teams.keep = teams.more ? keep : each;
  return teams;
}

}  // namespace nib
#endif
