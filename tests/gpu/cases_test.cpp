// Every case of every op, on the best device there is: the same bytes as the reference.
#include <doctest/doctest.h>
#include <nibble/kit.h>
#include <nibble/nibble.h>

#include <set>
#include <string>
#include <vector>

#include "cases/cases.h"

using namespace nib;

namespace {

// One device for all, so that pipelines are compiled once.
const kit::Device& device() {
  static const kit::Device kDevice = kit::Device::best();
  return kDevice;
}

void runCases(NibOp op, uint32_t format) {
  std::set<std::string> kernels;
  uint32_t count = 0;
  for (const cases::Case& c : cases::casesOf(op, format, cases::Extent::kQuick)) {
    const cases::Outcome outcome = cases::runCase(device(), c);
    CHECK_MESSAGE(outcome.passed, c.name() << ": " << outcome.message);
    kernels.insert(outcome.kernels.begin(), outcome.kernels.end());
    ++count;
  }
  std::string names;
  for (const std::string& kernel : kernels) names += " " + kernel;
  MESSAGE(count << " cases, kernels:" << names);
  CHECK(count > 0);
}

void runFormats(NibOp op) {
  for (uint32_t i = 0; i < nibFormatCount(); ++i) runCases(op, nibFormatAt(i)->format);
}

}  // namespace

TEST_CASE("quantize gives the bytes of the reference") { runFormats(NIB_OP_QUANTIZE); }
TEST_CASE("dequantize gives the bytes of the reference") { runFormats(NIB_OP_DEQUANTIZE); }
TEST_CASE("minmax gives the bytes of the reference") { runCases(NIB_OP_MINMAX, 0); }
