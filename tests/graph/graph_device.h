// The device that the tests of graphs run on: the first of Vulkan's, or the CPU reference where the environment
// variable NIBBLE_TEST_DEVICE is cpu.
#ifndef NIB_TESTS_GRAPH_DEVICE_H
#define NIB_TESTS_GRAPH_DEVICE_H

#include <nibble/kit.h>

#include <cstdlib>
#include <string>

namespace nib::graph {

inline kit::Device testDevice() {
  const char* name = std::getenv("NIBBLE_TEST_DEVICE");
  static const kit::Device device = kit::Device::byName(name == nullptr ? "" : name);
  return device;
}

}  // namespace nib::graph
#endif
