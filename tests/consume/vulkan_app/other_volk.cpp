// Has pointers of its own for Vulkan's functions (globals.cpp), which the kit neither calls nor changes.
#include <nibble/kit.h>

bool pointersAreUnchanged();

int main() {
  for (const nib::kit::DeviceInfo& device : nib::kit::listDevices()) {
    if (device.name.empty()) return 1;
  }
  const nib::kit::Device device = nib::kit::Device::best();
  if (device.info().name.empty()) return 2;
  return pointersAreUnchanged() ? 0 : 3;
}
