// Self-tests of plans: they pass on sound kernels, and run the plan's own pipelines on more than one tile each way.
#include <nibble/formats.h>

#include <optional>
#include <set>

#include "plan/plan.h"
#include "gpu/fake_pipelines.h"

using namespace nib;
using namespace nib::tests;

namespace {

// Shapes as people have them, beside the small ones of the case lists.
std::vector<cases::Case> largeCases(const OpFormat& what) {
  constexpr struct {
    uint32_t rows, cols, stride;
  } kShapes[] = {{4096, 4096, 0}, {11008, 4096, 0}, {4096, 11008, 0}, {3, 200000, 0}, {2048, 4100, 4112}, {2048, 4096, 4112},
                 {1, 4096, 0},    {300, 1023, 1027}, {151936, 896, 0}, {40, 128, 0},   {32000, 16, 0}};
  constexpr struct {
    uint32_t granularity, group, flags;
  } kSharings[] = {{NIB_GRANULARITY_TENSOR, 0, 0},
                   {NIB_GRANULARITY_ROW, 0, 0},
                   {NIB_GRANULARITY_COLUMN, 0, 0},
                   {NIB_GRANULARITY_GROUP, 128, 0},
                   {NIB_GRANULARITY_GROUP, 16, 0},
                   {NIB_GRANULARITY_GROUP, 240, 0},
                   {NIB_GRANULARITY_GROUP, UINT32_MAX, 0},
                   {NIB_GRANULARITY_GROUP, 64, NIB_WEIGHTS_FLAT},
                   {NIB_GRANULARITY_GROUP, UINT32_MAX, NIB_WEIGHTS_FLAT}};
  std::vector<cases::Case> list;
  uint32_t turn = 0;
  for (const auto& shape : kShapes) {
    for (const auto& sharing : kSharings) {
      for (const uint32_t mode : {0u, uint32_t(NIB_WEIGHTS_ASYMMETRIC)}) {
        const bool flat = (sharing.flags & NIB_WEIGHTS_FLAT) != 0;
        const NibWeights weights{what.format, sharing.granularity, sharing.group, turn % 3, sharing.flags | mode};
        const uint32_t stride = flat ? 0u : shape.stride;
        cases::Case c;
        c.n = shape.rows;
        if (what.op == NIB_OP_QUANTIZE) {
          c.desc.quantize = {NIB_OP_QUANTIZE, turn % 4, shape.rows, shape.cols, turn / 2 % 3, stride, weights};
        } else if (what.op == NIB_OP_DEQUANTIZE) {
          c.desc.dequantize = {NIB_OP_DEQUANTIZE, 0, shape.rows, shape.cols, turn % 3, (stride + 1) / 2 * 2, weights};
        } else if (what.op == NIB_OP_MINMAX && sharing.granularity <= NIB_GRANULARITY_COLUMN) {
          c.desc.minmax = {NIB_OP_MINMAX, 0, shape.rows, shape.cols, turn % 3, shape.stride, sharing.granularity};
        } else if (what.op == NIB_OP_HISTOGRAM && sharing.granularity <= NIB_GRANULARITY_COLUMN) {
          c.desc.histogram = {NIB_OP_HISTOGRAM, turn % 4, shape.rows, shape.cols, turn % 3, shape.stride, sharing.granularity, 128};
        } else if (what.op == NIB_OP_MOMENTS) {
          c.desc.moments = {NIB_OP_MOMENTS, 0, shape.rows, shape.cols, turn % 3, shape.stride, sharing.granularity};
        } else if (what.op == NIB_OP_CONVERT) {
          c.desc.convert = {NIB_OP_CONVERT, turn % 4, shape.rows, shape.cols, turn % 3, shape.stride, turn / 3 % 3,
                            (turn % 2 != 0 ? shape.stride + 1 : 0) / 2 * 2};
        } else if (what.op == NIB_OP_ERRORS) {
          c.desc.errors = {NIB_OP_ERRORS, 0, shape.rows, shape.cols, turn % 3, shape.stride, turn / 3 % 3,
                           turn % 2 != 0 ? shape.stride : 0};
        } else if (what.op == NIB_OP_INT8_GEMM) {
          constexpr uint32_t kTokens[] = {1, 512, 8, 33};
          const NibWeights codes{NIB_FORMAT_INT8, sharing.granularity, sharing.group, turn % 3, sharing.flags | mode};
          const NibWeights input{NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0, NIB_TYPE_F32, turn / 2 % 2};
          c.desc.int8_gemm = {NIB_OP_INT8_GEMM, turn % 4, shape.rows, shape.cols, kTokens[turn / 4 % 4], 0, 0, turn % 3, 0, turn % 6,
                              0, 0, 0, 0, codes, input};
          c.n = kTokens[turn / 4 % 4];
        }
        ++turn;
        NibMemory memory;
        if (nibGetMemory(&c.desc.op, nullptr, &memory) == NIB_SUCCESS) list.push_back(c);  // else: no such format
      }
    }
  }
  return list;
}

// What is wrong with the self-test's small problem for a description; "" if nothing.
std::string problemOf(const kit::Device& on, const cases::Case& c) {
  const kit::Plan plan(on, &c.desc.op, c.descBytes());
  const NibPlan& large = *plan.handle();
  alignas(8) uint8_t small_desc[sizeof large.desc] = {};
  smallProblem(large, small_desc);
  const kit::Plan small_plan(on, reinterpret_cast<const NibOpDesc*>(small_desc), c.descBytes());
  const NibPlan& small = *small_plan.handle();
  if (small.phase_count != large.phase_count) return "another number of phases";
  uint64_t bytes = 0;
  for (const NibMemoryRange& range : small.memory.range) bytes += range.size_bytes;
  if (bytes > (8u << 20)) return "the small problem has " + std::to_string(bytes) + " bytes";
  for (uint32_t p = 0; p < large.phase_count; ++p) {
    const Phase& a = large.phase[p];
    const Phase& b = small.phase[p];
    const std::string where = std::string(a.row->module) + ": ";
    if (a.row != b.row) return where + "the small problem takes " + b.row->module;
    if (a.pipeline != b.pipeline || a.spec_hash != b.spec_hash) {
      const PipelineStore::Origin of_a = large.context->pipelines.originOf(a.pipeline);
      const PipelineStore::Origin of_b = small.context->pipelines.originOf(b.pipeline);
      std::string text = where + "other constants:";
      for (uint32_t i = 0; i < of_a.spec_count; ++i) {
        if (of_a.spec[i] != of_b.spec[i]) {
          text += " " + std::to_string(i) + ": " + std::to_string(of_a.spec[i]) + " -> " + std::to_string(of_b.spec[i]);
        }
      }
      return text;
    }
    if (b.tile_count < 2 && a.tile_count > 1) return where + "one tile only";
  }
  return {};
}

}  // namespace

TEST_SUITE_BEGIN("verify");

TEST_CASE_FIXTURE(Gpu, "every op of every format passes its self-test, on every path") {
  for (const OpFormat& what : opFormats()) {
    if (!typeWanted(what.format)) continue;
    std::set<std::vector<std::string>> paths;
    for (const cases::Case& c : tests::casesOf(what)) {
      const NibOpDesc* desc = &c.desc.op;
      // Planning alone is enough to see the path; one self-test for each.
      const kit::Plan plan(device(), desc, c.descBytes());
      if (!paths.insert(plan.kernels()).second) continue;
      const std::vector<kit::Attempt> attempts = kit::verifyOp(device(), desc, c.descBytes());
      REQUIRE(attempts.size() == 1);
      CHECK_MESSAGE(attempts[0].passed, c.name());
    }
    CHECK(!paths.empty());
  }
  size_t size = 0;
  REQUIRE(nibGetVerdicts(device().context(), nullptr, &size) == NIB_SUCCESS);
  CHECK(size > 100);
}

TEST_CASE_FIXTURE(Gpu, "a self-test's small problem runs the plan's own pipelines, on several tiles") {
  const FakePipelines fake;
  NibRestrict floor{};
  floor = kit::profileRestrict("floor");
  uint32_t count = 0;
  for (const bool discrete : {false, true}) {
    std::optional<AsDiscrete> as_discrete;
    if (discrete) as_discrete.emplace();
    for (const kit::Device& on : {FakePipelines::device(), FakePipelines::device(0, &floor)}) {
      for (const OpFormat& what : opFormats()) {
        std::vector<cases::Case> list = largeCases(what);
        for (const cases::Case& c : cases::casesOf(NibOp(what.op), what.format, cases::Extent::kFull)) list.push_back(c);
        for (const cases::Case& c : list) {
          std::string problem;
          try {
            problem = problemOf(on, c);
          } catch (const kit::Error& error) {
            // Scales or scratch beyond the device's range.
            if (error.result() != NIB_ERROR_UNSUPPORTED) problem = error.what();
          }
          CHECK_MESSAGE(problem.empty(), c.name() << (discrete ? " as discrete" : "") << ": " << problem);
          ++count;
        }
      }
    }
  }
  MESSAGE(count << " descriptions");
}

TEST_SUITE_END();
