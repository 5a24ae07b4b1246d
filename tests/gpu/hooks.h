// A vkGetInstanceProcAddr between nibble and the loader: it counts calls of the functions of src/vk/api.inc, and each
// can be replaced. The state is global; a caller that replaces a function restores it.
#ifndef NIB_TESTS_HOOKS_H
#define NIB_TESTS_HOOKS_H

#include "vk/compat.h"

namespace nib::hooks {

// fn::vkCmdDispatch, ...
namespace fn {
enum Function : uint32_t {
#define NIB_VK_INSTANCE(name) name,
#define NIB_VK_INSTANCE_OPTIONAL(name) name,
#define NIB_VK_DEVICE(name) name,
#include "vk/api.inc"
  kCount
};
}  // namespace fn
using fn::Function;

const char* nameOf(Function function);

PFN_vkGetInstanceProcAddr wrap(PFN_vkGetInstanceProcAddr get);

// Calls through the wrapper since the last reset, from all threads.
void resetCalls();
uint64_t callsOf(Function function);

// Whether the calling thread is inside a driver function, whose allocations and locks do not count.
bool insideDriver();

// Sets the function that is called instead; NULL = the driver's function, which `real` returns.
void replace(Function function, PFN_vkVoidFunction replacement);
PFN_vkVoidFunction real(Function function);

// From now on the function only returns this; VK_SUCCESS = it works again.
void failWith(Function function, VkResult result);

// Replaces a function while this object lives.
class Replaced {
 public:
  template <class F>
  Replaced(Function function, F replacement) : function_(function) {
    replace(function, reinterpret_cast<PFN_vkVoidFunction>(replacement));
  }
  ~Replaced() { replace(function_, nullptr); }
  Replaced(const Replaced&) = delete;
  Replaced& operator=(const Replaced&) = delete;

 private:
  Function function_;
};

}  // namespace nib::hooks
#endif
