// A vkGetInstanceProcAddr that stands between nibble and the loader: the functions of src/vk/api.inc that it hands out
// are counted, and each may be replaced. One for the process; whoever replaces a function restores it.
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

// Calls through the wrapper since the last reset, of all threads.
void resetCalls();
uint64_t callsOf(Function function);

// Whether the calling thread is inside a function of the driver, whose allocations and locks are its own.
bool insideDriver();

// What is called instead; NULL = the driver's own, which `real` gives.
void replace(Function function, PFN_vkVoidFunction replacement);
PFN_vkVoidFunction real(Function function);

// From now on the function returns this and does nothing; VK_SUCCESS = it works again.
void failWith(Function function, VkResult result);

// Replaced for as long as this lives.
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
