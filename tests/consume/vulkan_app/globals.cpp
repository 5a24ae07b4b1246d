// Global pointers with the names of Vulkan's functions, as a volk of another version has, and its loaders with other
// parameters. Whoever calls one of them ends the program. Compiled without Vulkan's headers, which declare them too.
#include <cstdlib>
#include <initializer_list>

using Trap = void (*)();
[[noreturn]] void trap() { std::abort(); }

extern "C" {
Trap vkGetInstanceProcAddr = trap;
Trap vkGetDeviceProcAddr = trap;
Trap vkCreateInstance = trap;
Trap vkDestroyInstance = trap;
Trap vkEnumeratePhysicalDevices = trap;
Trap vkCreateDevice = trap;
Trap vkQueueSubmit = trap;
Trap vkCmdDispatch = trap;
int volkInitialize(int) { std::abort(); }
void volkLoadInstance(int, int) { std::abort(); }
}

bool pointersAreUnchanged() {
  for (const Trap pointer : {vkGetInstanceProcAddr, vkGetDeviceProcAddr, vkCreateInstance, vkDestroyInstance,
                             vkEnumeratePhysicalDevices, vkCreateDevice, vkQueueSubmit, vkCmdDispatch}) {
    if (pointer != trap) return false;
  }
  return true;
}
