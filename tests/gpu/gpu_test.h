// Helpers for tests that need a device. The environment selects the device and the cases:
//   NIBBLE_TEST_DEVICE        index, or part of a name (default: the best)
//   NIBBLE_TEST_PROFILE       a row of the profile table: its features and limits (default: the device's own)
//   NIBBLE_TEST_AS_GPU=1      a CPU device reports itself as a discrete GPU, and so gets a GPU's work division
//   NIBBLE_TEST_VALIDATION=1  run under the validation layer, shaders included; any message of it fails the test
//   NIBBLE_TEST_TIER=N        a device of another tier is an error
//   NIBBLE_TEST_EXTENT        quick (default) or full
//   NIBBLE_TEST_EVERY=N       only every Nth case of a list, and one of each kind
//   NIBBLE_TEST_KINDS=N       of those only every Nth
//   NIBBLE_TEST_TYPES=A,B     only these formats
//   NIBBLE_TEST_CASE=TEXT     only cases with TEXT in their names
#ifndef NIB_TESTS_GPU_TEST_H
#define NIB_TESTS_GPU_TEST_H

#include <doctest/doctest.h>
#include <nibble/kit.h>
#include <nibble/nibble.h>

#include <string>
#include <vector>

#include "selftest/run_case.h"
#include "vk/api.h"

namespace nib::tests {

// The device under test; all tests share it, so that pipelines are compiled once.
const kit::Device& device();

// Describes that device for Device::adopt, which gives it another context.
kit::AdoptDesc adoption();
// The same for nibCreateContext.
NibContextDesc contextDesc();

// Vulkan functions of the device under test.
const vk::Api& api();

// While this object lives, devices adopted through hooks::wrap report themselves as discrete GPUs.
class AsDiscrete {
 public:
  AsDiscrete();
  ~AsDiscrete();
  AsDiscrete(const AsDiscrete&) = delete;
  AsDiscrete& operator=(const AsDiscrete&) = delete;
};

bool validating();
// The validation layer's messages so far.
std::vector<std::string> messagesOfValidation();
selftest::Extent extent();

using selftest::OpFormat;
using selftest::opFormats;

// Whether NIBBLE_TEST_TYPES includes the format; 0 = no format.
bool typeWanted(uint32_t format);
// selftest::casesOf, filtered by the environment. `every` = only every Nth case, in a quick list too.
std::vector<selftest::Case> casesOf(const OpFormat& what, uint32_t every = 1);
// selftest::largeCases, filtered by NIBBLE_TEST_CASE alone: they are few.
std::vector<selftest::Case> largeCases(selftest::Large purpose, const OpFormat& what);

// A command that runs a failing case alone, for a message.
std::string again(const selftest::Case& c);

// Records the kernels that ran; their names are printed when the program ends.
void noteKernels(const std::vector<std::string>& kernels);

// runCase with a check of the outcome.
void checkCase(const kit::Device& device, const selftest::Case& c, const selftest::Way& way = {});

// Fixture: a message of the validation layer fails the test.
class Gpu {
 public:
  Gpu();
  ~Gpu();

 private:
  size_t messages_;
  uint32_t errors_;  // counted beyond the end of the list of messages
};

// Makes earlier writes of compute shaders visible to later compute shaders.
void computeBarrier(VkCommandBuffer command_buffer);

}  // namespace nib::tests
#endif
