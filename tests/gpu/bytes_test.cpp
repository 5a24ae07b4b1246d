// Every case of every op and format: the same bytes as the reference.
#include <set>

#include "gpu/gpu_test.h"

using namespace nib;
using namespace nib::tests;

TEST_SUITE_BEGIN("bytes");

TEST_CASE_FIXTURE(Gpu, "every op gives the bytes of the reference, in every format") {
  uint32_t total = 0;
  for (const OpFormat& what : opFormats()) {
    std::set<std::string> kernels;
    uint32_t count = 0;
    for (const cases::Case& c : tests::casesOf(what)) {
      const cases::Outcome outcome = cases::runCase(device(), c);
      CHECK_MESSAGE(outcome.passed, c.name() << ": " << outcome.message << "\n  " << again(c));
      kernels.insert(outcome.kernels.begin(), outcome.kernels.end());
      noteKernels(outcome.kernels);
      ++count;
    }
    total += count;
    std::string names;
    for (const std::string& kernel : kernels) names += " " + kernel;
    MESSAGE(what.name << ": " << count << " cases, kernels:" << names);
  }
  CHECK(total > 0);
}

TEST_SUITE_END();
