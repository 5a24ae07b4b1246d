// Has global pointers with the names of Vulkan's functions, as a volk of another version has: some that volk also
// defines, and an instance loader with other parameters. Whoever calls or changes one of them ends the program.
#include <nibble/kit.h>

#include <cstdlib>

extern "C" {
using Trap = void (*)();
[[noreturn]] void trap() { std::abort(); }
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

int main() {
  for (const nib::kit::DeviceInfo& device : nib::kit::listDevices()) {
    if (device.name.empty()) return 1;
  }
  // Something is computed too, on whatever device there is.
  const nib::kit::Device device = nib::kit::Device::best();
  if (device.info().name.empty()) return 2;
  for (const Trap pointer : {vkGetInstanceProcAddr, vkGetDeviceProcAddr, vkCreateInstance, vkDestroyInstance,
                             vkEnumeratePhysicalDevices, vkCreateDevice, vkQueueSubmit, vkCmdDispatch}) {
    if (pointer != trap) return 3;
  }
  return 0;
}
