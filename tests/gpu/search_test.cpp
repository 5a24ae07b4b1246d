// Searches of the columns of a block at a time, as GPTQ runs them before each block, give the bytes of one run.
#include <nibble/formats.h>

#include <algorithm>

#include "gpu/gpu_test.h"
#include "selftest/op_cases.h"

using namespace nib;
using namespace nib::tests;

namespace {

using selftest::Case;
using Words = std::vector<uint32_t>;

// The blob after runs of `block` columns each.
Words inBlocks(const kit::Device& on, const NibSearchDesc& desc, uint32_t block, const selftest::Images& images) {
  const kit::Plan plan(on, desc);
  const Words& source = images.role[NIB_ROLE_INPUT];
  const kit::Buffer input(on, source.size() * 4), blob(on, images.role[NIB_ROLE_WEIGHTS].size() * 4);
  on.upload(input, source);
  on.upload(blob, images.role[NIB_ROLE_WEIGHTS]);
  const kit::Binding binding(plan, {.weights = blob, .input = input, .output = {}, .aux = {}});
  for (uint32_t first = 0; first < desc.cols; first += block) {
    kit::RunOptions options;
    options.n = std::min(block, desc.cols - first);
    options.first_row = first;
    on.run(binding, options);
  }
  return on.download<uint32_t>(blob, images.role[NIB_ROLE_WEIGHTS].size());
}

}  // namespace

TEST_SUITE_BEGIN("search");

TEST_CASE_FIXTURE(Gpu, "searches of a block's columns give the bytes of one run") {
  const kit::Device cpu = kit::Device::cpu();
  for (const OpFormat& what : opFormats()) {
    if (what.op != NIB_OP_SEARCH || !typeWanted(what.format)) continue;
    const NibFormatInfo& info = *nibFormatById(what.format);
    for (const uint32_t turn : {0u, 1u, 2u, 3u, 4u}) {
      const uint32_t group = turn % 3 == 0 ? 32u : turn % 3 == 1 ? 64u : 256u;
      if (group % info.group_multiple != 0 || group > info.group_max) continue;
      const uint32_t type = info.scale_types >> NIB_TYPE_F16 & 1u ? NIB_TYPE_F16 : NIB_TYPE_E8M0;
      Case c;
      c.recipe = selftest::Recipe::kNormal;
      c.seed = group;
      NibSearchDesc& d = c.describe<NibSearchDesc>(NIB_OP_SEARCH);
      d.flags = NIB_SEARCH_COLUMNS;
      if (turn > 2) d.flags |= NIB_SEARCH_HESSIAN;
      d.rows = 19;
      d.cols = 331;
      d.steps = 20;
      d.weights = selftest::weightsOf(what.format, NIB_GRANULARITY_GROUP, group,
                                      info.weights_flags & NIB_WEIGHTS_ASYMMETRIC, type);
      c.n = d.cols;
      NibMemory memory{sizeof(NibMemory)};
      REQUIRE(nibGetMemory(c.desc(), nullptr, &memory) == NIB_SUCCESS);
      const selftest::Images before = selftest::makeImages(c, memory);
      selftest::Images expected = before;
      selftest::runReference(c, memory, expected);
      for (const uint32_t block : {32u, 128u, 40u}) {
        d.run_rows = block;
        INFO(what.name, " flags ", d.flags, " group ", group, " block ", block);
        CHECK(inBlocks(device(), d, block, before) == expected.role[NIB_ROLE_WEIGHTS]);
        CHECK(inBlocks(cpu, d, block, before) == expected.role[NIB_ROLE_WEIGHTS]);
      }
    }
  }
}

TEST_SUITE_END();
