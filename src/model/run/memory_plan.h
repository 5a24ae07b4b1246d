// Whether a network fits the memory of a device, before any of it is loaded.
#ifndef NIB_MODEL_RUN_MEMORY_PLAN_H
#define NIB_MODEL_RUN_MEMORY_PLAN_H

#include <nibble/graph.h>

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace nib::model {

// Memory of a device that a runner has planned so far.
struct DeviceBytes {
  uint64_t weights = 0;  // and the table of the rotary embedding
  uint64_t cache = 0;    // of keys and values
  uint64_t arena = 0;    // hidden states and other values of all programs
  uint64_t all() const { return weights + cache + arena; }
};

// Adds up what programs need. Values of one name are shared.
class MemoryPlan {
 public:
  // except: a memory value that another program's arena holds.
  void add(const graph::MemoryNeeds& needs, std::string_view except = {});
  const DeviceBytes& bytes() const { return bytes_; }

 private:
  DeviceBytes bytes_;
  std::set<std::string, std::less<>> names_;
};

// Bytes of device memory that may be used; UINT64_MAX if nothing limits them, as on the CPU device.
uint64_t deviceBytes(const kit::DeviceInfo& info);
// Throws if the device lacks memory for these bytes besides what its buffers take already; says how much is needed.
void checkFits(const kit::Device& device, const DeviceBytes& bytes);

}  // namespace nib::model
#endif
