// The shaders' exact arithmetic gives the bits of the CPU's, which tests/cpu/exact_test.cpp compares with rational
// numbers.
#include "cpu/exact_inputs.h"
#include "exact_probe.spv.h"
#include "gpu/bound_set.h"
#include "shaders/exact_probe.h"

using namespace nib;
using namespace nib::tests;

namespace {

constexpr uint32_t kPairs = 1u << 20;
constexpr uint32_t kWorkgroup = 64;

bool ordinary(uint32_t bits) {
  const uint32_t exponent = bits & 0x7f800000u;
  return exponent != 0x7f800000u && (exponent != 0 || (bits & 0x7fffffu) == 0);
}

}  // namespace

TEST_SUITE_BEGIN("exact");

TEST_CASE_FIXTURE(Gpu, "every function of exact arithmetic gives the bits of its CPU counterpart") {
  NibContext& context = *device().context();
  std::vector<uint32_t> any(2 * size_t(kPairs)), numbers(2 * size_t(kPairs));
  exact_inputs::Random random(23);
  for (size_t i = 0, n = 0; i < kPairs || n < kPairs; ++i) {
    const auto [a, b] = exact_inputs::mixedPair(i, random);
    if (i < kPairs) any[2 * i] = a, any[2 * i + 1] = b;
    if (n < kPairs && ordinary(a) && ordinary(b)) numbers[2 * n] = a, numbers[2 * n + 1] = b, ++n;
  }
  const kit::Buffer pairs(device(), any.size() * 4), results(device(), uint64_t(kPairs) * 4);
  static_assert(EXACT_PROBE_BIND_PAIRS == 1 && EXACT_PROBE_BIND_RESULTS == 2);
  const BoundSet set(context, {&pairs, &pairs, &results, &pairs});
  const KernelRow row{"exact_probe", "exact_probe", 0, "", 0, kSpirv_exact_probe, kSpirvWords_exact_probe};
  for (uint32_t op = 0; op < EXACT_PROBE_OP_COUNT; ++op) {
    const exact_probe::Row& reference = exact_probe::kRows[op];
    const std::vector<uint32_t>& inputs = reference.inputs == EXACT_PROBE_ANY ? any : numbers;
    device().upload(pairs, inputs);
    const uint32_t spec[] = {kWorkgroup, op};
    VkPipeline pipeline = VK_NULL_HANDLE;
    REQUIRE(context.pipelines.get(row, spec, 2, PipelineStore::Compile::kIfNeeded, &pipeline) == NIB_SUCCESS);
    device().submit([&](VkCommandBuffer commands) {
      const ExactProbePush push{kPairs, 0};
      set.dispatch(commands, pipeline, push, kPairs / kWorkgroup);
    });
    const std::vector<uint32_t> got = device().download<uint32_t>(results, kPairs);
    uint32_t wrong = 0, first = 0;
    for (uint32_t i = kPairs; i-- > 0;) {
      if (got[i] == reference.apply(inputs[2 * i], inputs[2 * i + 1])) continue;
      ++wrong;
      first = i;
    }
    CHECK_MESSAGE(wrong == 0, std::string(reference.name)
                                  << ": " << wrong << " of " << kPairs << ", first of " << inputs[2 * first] << ", "
                                  << inputs[2 * first + 1] << ": device " << got[first]);
  }
}

TEST_SUITE_END();
