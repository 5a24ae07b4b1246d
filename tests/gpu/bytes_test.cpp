// Every case of every op and format: the same bytes as the reference.
#include <nibble/formats.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <set>

#include "gpu/gpu_test.h"

using namespace nib;
using namespace nib::tests;

namespace {

// The first case of the list whose plan uses the kernel.
const selftest::Case* findCase(const std::vector<selftest::Case>& list, const std::string& kernel) {
  for (const selftest::Case& c : list) {
    const std::vector<std::string> kernels = selftest::planOf(device(), c).kernels();
    if (std::find(kernels.begin(), kernels.end(), kernel) != kernels.end()) return &c;
  }
  return nullptr;
}

}  // namespace

TEST_SUITE_BEGIN("bytes");

TEST_CASE_FIXTURE(Gpu, "every op gives the bytes of the reference, in every format") {
  uint32_t total = 0;
  for (const OpFormat& what : opFormats()) {
    std::set<std::string> kernels;
    uint32_t count = 0;
    for (const selftest::Case& c : tests::casesOf(what)) {
      const selftest::Outcome outcome = selftest::runCase(device(), c);
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

TEST_CASE_FIXTURE(Gpu, "on a tier 3 device products use cooperative matrices") {
  const char* tier = std::getenv("NIBBLE_TEST_TIER");
  if (tier == nullptr || std::strcmp(tier, "3") != 0) return;
  struct Required {
    const char* kernel;
    NibOp op;
    uint32_t format;
  };
  const Required required[] = {{"int8_gemm_matrices", NIB_OP_INT8_GEMM, 0},
                               {"int8_gemm_matrices_smooth", NIB_OP_INT8_GEMM, 0},
                               {"matmul_half", NIB_OP_MATMUL, 0},
                               {"matmul_half_int4", NIB_OP_MATMUL, NIB_FORMAT_INT4}};
  for (const Required& one : required) {
    const std::vector<selftest::Case> list = selftest::casesOf(one.op, one.format, selftest::Extent::kQuick);
    const selftest::Case* c = findCase(list, one.kernel);
    CHECK_MESSAGE(c != nullptr, "no case runs " << std::string(one.kernel));
    if (c != nullptr) checkCase(device(), *c);
  }
}

TEST_SUITE_END();
