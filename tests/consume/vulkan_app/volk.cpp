// Has volk of its own, whose pointers the kit must leave alone.
#define VOLK_IMPLEMENTATION
#include <volk.h>

#include <nibble/kit.h>

int main() {
  if (vkCreateInstance != nullptr) return 1;
  const size_t devices = nib::kit::listDevices().size();
  // The kit has loaded nothing into the application's pointers.
  if (vkGetInstanceProcAddr != nullptr || vkCreateInstance != nullptr || vkCreateDevice != nullptr) return 2;
  if (volkInitialize() != VK_SUCCESS) return devices == 0 ? 0 : 3;
  const PFN_vkCreateInstance mine = vkCreateInstance;
  if (nib::kit::listDevices().size() != devices) return 4;
  return vkCreateInstance == mine ? 0 : 5;
}
