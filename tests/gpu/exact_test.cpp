// The shaders' exact arithmetic gives the bits of the CPU's, which tests/cpu/exact_test.cpp compares with rational
// numbers.
#include "cpu/exact_inputs.h"
#include "exact_probe.spv.h"
#include "gpu/gpu_test.h"
#include "plan/context.h"
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

// A descriptor set of nibble's layout; the probe uses two of its bindings.
class Bound {
 public:
  Bound(NibContext& context, const kit::Buffer& pairs, const kit::Buffer& results) : context_(context) {
    REQUIRE(context.pools.allocate(&set_) == NIB_SUCCESS);
    VkDescriptorBufferInfo info[4];
    VkWriteDescriptorSet writes[4];
    for (uint32_t b = 0; b < 4; ++b) {
      info[b] = {b == EXACT_PROBE_BIND_RESULTS ? results.handle() : pairs.handle(), 0, VK_WHOLE_SIZE};
      writes[b] = VkWriteDescriptorSet{VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET};
      writes[b].dstSet = set_.set;
      writes[b].dstBinding = b;
      writes[b].descriptorCount = 1;
      writes[b].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC;
      writes[b].pBufferInfo = &info[b];
    }
    context.api.vkUpdateDescriptorSets(context.device, 4, writes, 0, nullptr);
  }
  ~Bound() { context_.pools.release(set_); }
  void bind(VkCommandBuffer commands) const {
    const uint32_t offsets[4] = {};
    context_.api.vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, context_.pipeline_layout, 0, 1,
                                         &set_.set, 4, offsets);
  }

 private:
  NibContext& context_;
  PooledSet set_{};
};

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
  const Bound bound(context, pairs, results);
  const KernelRow row{"exact_probe", "exact_probe", 0, "", 0, kSpirv_exact_probe, kSpirvWords_exact_probe};
  for (uint32_t op = 0; op < EXACT_PROBE_OP_COUNT; ++op) {
    const exact_probe::Row& reference = exact_probe::kRows[op];
    const std::vector<uint32_t>& inputs = reference.inputs == EXACT_PROBE_ANY ? any : numbers;
    device().upload(pairs, inputs);
    const uint32_t spec[] = {kWorkgroup, op};
    VkPipeline pipeline = VK_NULL_HANDLE;
    REQUIRE(context.pipelines.get(row, spec, 2, &pipeline) == NIB_SUCCESS);
    device().submit([&](VkCommandBuffer commands) {
      const ExactProbePush push{kPairs, 0};
      context.api.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
      bound.bind(commands);
      context.api.vkCmdPushConstants(commands, context.pipeline_layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof push,
                                     &push);
      context.api.vkCmdDispatch(commands, kPairs / kWorkgroup, 1, 1);
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
