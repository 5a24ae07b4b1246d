// Whole factorizations on the CPU device, whose larger runs go through a library.
#include "factor_device.h"

using namespace nib;
using namespace nib::tests;

TEST_CASE("factorizations on the CPU device have small residuals") {
  const kit::Device cpu = kit::Device::cpu();
  for (const double condition : {1.0, 1e3, 1e6}) {
    for (const uint32_t cols : {200u, 323u}) checkFactorization(cpu, cols, condition, cols % 2 != 0 ? 32 : 0);
  }
  checkFactorization(cpu, 1024, 1e4);
}

TEST_CASE("Hessians on the CPU device add what tokens contribute") {
  checkActivations(kit::Device::cpu(), 150, 250);
  checkActivations(kit::Device::cpu(), 300, 500);
}
