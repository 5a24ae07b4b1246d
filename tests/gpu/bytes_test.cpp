// Every case of every op and format: the same bytes as the reference.
#include <cstdlib>
#include <cstring>
#include <set>

#include "gpu/gpu_test.h"

using namespace nib;
using namespace nib::tests;

TEST_SUITE_BEGIN("bytes");

TEST_CASE_FIXTURE(Gpu, "every op gives the bytes of the reference, in every format") {
  uint32_t total = 0;
  std::set<std::string> all;
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
    all.insert(kernels.begin(), kernels.end());
    std::string names;
    for (const std::string& kernel : kernels) names += " " + kernel;
    MESSAGE(what.name << ": " << count << " cases, kernels:" << names);
  }
  CHECK(total > 0);
  // Where matrix units must be, products must have run on them.
  const char* tier = std::getenv("NIBBLE_TEST_TIER");
  if (tier == nullptr || std::strcmp(tier, "3") != 0 || std::getenv("NIBBLE_TEST_CASE") != nullptr) return;
  for (const char* name : {"int8_gemm_matrices", "int8_gemm_matrices_smooth", "matmul_half", "matmul_half_int4"}) {
    CHECK_MESSAGE(all.count(name) != 0, "no case ran " << std::string(name));
  }
}

TEST_SUITE_END();
