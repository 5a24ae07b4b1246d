// What the tests that need a device share. The environment chooses it, so that one program runs under many:
//   NIBBLE_TEST_DEVICE      index, or part of a name (default: the best)
//   NIBBLE_TEST_PROFILE     a row of the profile table: its features and limits (default: the device's own)
//   NIBBLE_TEST_AS_GPU=1    a device that is a CPU says that it is a discrete GPU, and so gets a GPU's division of
//   labour NIBBLE_TEST_VALIDATION=1  the validation layer watches, shaders included; whatever it says fails the test
//   NIBBLE_TEST_TIER=N        a device of another tier is an error
//   NIBBLE_TEST_EXTENT      quick (default) or full
//   NIBBLE_TEST_EVERY=N     only every Nth case of a list, and one of each kind
//   NIBBLE_TEST_TYPES=A,B   only these formats
//   NIBBLE_TEST_CASE=TEXT   only cases with TEXT in their names
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

// The device under test; one for all, so that pipelines are compiled once.
const kit::Device& device();

// How to adopt that device once more, with another context.
kit::AdoptDesc adoption();
// The same as nibCreateContext wants it.
NibContextDesc contextDesc();

// Vulkan functions of its device.
const vk::Api& api();

// For as long as this lives, devices adopted through hooks::wrap say that they are discrete GPUs.
class AsDiscrete {
 public:
  AsDiscrete();
  ~AsDiscrete();
  AsDiscrete(const AsDiscrete&) = delete;
  AsDiscrete& operator=(const AsDiscrete&) = delete;
};

bool validating();
// What the validation layer has said so far.
std::vector<std::string> messagesOfValidation();
selftest::Extent extent();

using selftest::OpFormat;
using selftest::opFormats;

// NIBBLE_TEST_TYPES has it; 0 = no format.
bool typeWanted(uint32_t format);
// selftest::casesOf, filtered by the environment. `every` = take only every Nth, in a quick list too.
std::vector<selftest::Case> casesOf(const OpFormat& what, uint32_t every = 1);
// selftest::largeCases, filtered by NIBBLE_TEST_CASE alone: they are few.
std::vector<selftest::Case> largeCases(selftest::Large purpose, const OpFormat& what);

// How to run a failing case alone, for a message.
std::string again(const selftest::Case& c);

// Remembers what ran; the names are printed when the program ends.
void noteKernels(const std::vector<std::string>& kernels);

// runCase with a check of the outcome.
void checkCase(const kit::Device& device, const selftest::Case& c, const selftest::Way& way = {});

// Fixture: a test in which the validation layer speaks up fails.
class Gpu {
 public:
  Gpu();
  ~Gpu();

 private:
  size_t messages_;
  uint32_t errors_;  // which go on where the list of messages ends
};

// Writes of compute shaders before, visible to compute shaders behind.
void computeBarrier(VkCommandBuffer command_buffer);

}  // namespace nib::tests
#endif
