// A run cut into slices, with fewer rows, or at other offsets gives the bytes of the whole run.
#include <nibble/formats.h>

#include <algorithm>
#include <optional>

#include "cases/bounded.h"
#include "plan/plan.h"
#include "gpu/gpu_test.h"

using namespace nib;
using namespace nib::tests;

namespace {

NibRun runOf(uint32_t n, uint32_t first = 0, uint32_t count = UINT32_MAX) {
  NibRun run{};
  run.n = n;
  run.first_slice = first;
  run.slice_count = count;
  return run;
}

// Descriptions of every path with several slices in their main phases: about 13 MB of source.
std::vector<cases::Case> largeCases() {
  std::vector<cases::Case> list;
  constexpr uint32_t kRows = 1031, kCols = 3116;
  auto add = [&](const OpFormat& what, uint32_t rows, uint32_t cols, auto&& set) {
    if (what.format != 0 && nibFormatById(what.format) == nullptr) return;
    cases::Case c;
    c.recipe = cases::Recipe::kNonFinite;
    c.seed = 100 + list.size();
    c.desc.op.op = what.op;
    set(c, rows, cols);
    c.n = rows;
    list.push_back(c);
  };
  auto quantize = [&](uint32_t format, uint32_t rows, uint32_t cols, uint32_t granularity, uint32_t group, uint32_t wflags,
                      uint32_t flags) {
    add({NIB_OP_QUANTIZE, format, ""}, rows, cols, [&](cases::Case& c, uint32_t r, uint32_t k) {
      // Means of large groups, which would all be zero groups.
      if (nibFormatById(format)->flags & NIB_FORMAT_MEAN_SCALE) c.recipe = cases::Recipe::kOutlier;
      c.desc.quantize = {NIB_OP_QUANTIZE, flags | NIB_QUANTIZE_STATUS, r, k, NIB_TYPE_F32, 0,
                         {format, granularity, group, NIB_TYPE_F16, wflags}};
    });
  };
  quantize(NIB_FORMAT_INT4, kRows, kCols, NIB_GRANULARITY_GROUP, 48, 0, 0);
  quantize(NIB_FORMAT_INT8, kRows, kCols, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_ASYMMETRIC, 0);
  quantize(NIB_FORMAT_INT4, kRows, kCols, NIB_GRANULARITY_TENSOR, 0, NIB_WEIGHTS_NARROW, 0);
  quantize(NIB_FORMAT_INT8, kRows, kCols, NIB_GRANULARITY_COLUMN, 0, 0, 0);
  quantize(NIB_FORMAT_INT8, kRows, kCols, NIB_GRANULARITY_COLUMN, 0, NIB_WEIGHTS_ASYMMETRIC, NIB_QUANTIZE_GIVEN_SCALES);
  quantize(NIB_FORMAT_INT4, kRows, kCols, NIB_GRANULARITY_GROUP, 128, 0, NIB_QUANTIZE_GIVEN_SCALES);
  quantize(NIB_FORMAT_INT8, 5, 620001, NIB_GRANULARITY_ROW, 0, 0, 0);
  quantize(NIB_FORMAT_NF4, kRows, kCols, NIB_GRANULARITY_GROUP, 64, NIB_WEIGHTS_FLAT, 0);
  // Means of this much take minutes where shaders are instrumented or pipelines slow: only if they are asked for.
  if (typeWanted(NIB_FORMAT_TERNARY) && typeWanted(NIB_FORMAT_BINARY)) {
    quantize(NIB_FORMAT_TERNARY, kRows, kCols, NIB_GRANULARITY_GROUP, 48, 0, 0);
    quantize(NIB_FORMAT_TERNARY, kRows, kCols, NIB_GRANULARITY_TENSOR, 0, 0, 0);
    quantize(NIB_FORMAT_TERNARY, 5, 620001, NIB_GRANULARITY_ROW, 0, 0, 0);
    quantize(NIB_FORMAT_BINARY, kRows, kCols, NIB_GRANULARITY_ROW, 0, 0, 0);
    quantize(NIB_FORMAT_BINARY, kRows, kCols, NIB_GRANULARITY_COLUMN, 0, 0, 0);
  }
  auto dequantize = [&](uint32_t format, uint32_t granularity, uint32_t group) {
    add({NIB_OP_DEQUANTIZE, format, ""}, kRows, kCols, [&](cases::Case& c, uint32_t r, uint32_t k) {
      c.desc.dequantize = {NIB_OP_DEQUANTIZE, 0, r, k, NIB_TYPE_F32, 0, {format, granularity, group, NIB_TYPE_F32, 0}};
    });
  };
  dequantize(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 32);
  dequantize(NIB_FORMAT_INT8, NIB_GRANULARITY_COLUMN, 0);
  if (!validating()) {  // instrumented shaders need minutes for this much
    add({NIB_OP_GATHER, NIB_FORMAT_INT4, ""}, kRows, kCols, [&](cases::Case& c, uint32_t r, uint32_t k) {
      c.desc.gather = {NIB_OP_GATHER, 0, 67, k, r, NIB_TYPE_F32, 0, {NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 32, NIB_TYPE_F32, 0}};
    });
  }
  // Few tokens and several blocks of them; activations that are copied first.
  for (const uint32_t tokens : {2u, 21u}) {
    if (validating()) continue;
    add({NIB_OP_MATMUL, NIB_FORMAT_INT4, ""}, tokens, 1026, [&](cases::Case& c, uint32_t n, uint32_t k) {
      c.recipe = cases::Recipe::kExact;
      NibMatmulDesc& d = c.desc.matmul;
      d.flags = NIB_PRODUCT_BIAS | NIB_PRODUCT_RESIDUAL;
      d.rows = 4099;
      d.cols = k;
      d.tokens = n;
      d.weights = {NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 32, NIB_TYPE_F16, 0};
    });
  }
  // Codes that are decoded, and columns that are brought into order first.
  if (!validating() && nibFormatById(NIB_FORMAT_FP8) != nullptr) {
    add({NIB_OP_MATMUL, NIB_FORMAT_INT4, ""}, 515, 1040, [&](cases::Case& c, uint32_t n, uint32_t k) {
      c.recipe = cases::Recipe::kExact;
      NibMatmulDesc& d = c.desc.matmul;
      d.flags = NIB_PRODUCT_ORDER;
      d.rows = 67;
      d.cols = k;
      d.tokens = n;
      d.batch = 3;
      d.weights = {NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 32, NIB_TYPE_F16, 0};
      d.input = {NIB_FORMAT_FP8, NIB_GRANULARITY_ROW, 0, NIB_TYPE_F32, 0};
    });
  }
  const NibWeights codes{NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0, NIB_TYPE_F32, 0};
  if (!validating()) add({NIB_OP_INT8_GEMM, 0, ""}, 100, kCols, [&](cases::Case& c, uint32_t r, uint32_t k) {
    c.desc.int8_gemm = {NIB_OP_INT8_GEMM, NIB_PRODUCT_RESIDUAL, 600, k, r, 0, 0, NIB_TYPE_F16, 0, 0, 0, 0, 0, 0, codes, codes};
  });
  add({NIB_OP_DYNAMIC_GEMM, NIB_FORMAT_INT4, ""}, 1031, 1040, [&](cases::Case& c, uint32_t r, uint32_t k) {
    c.desc.dynamic_gemm = {NIB_OP_DYNAMIC_GEMM, 0, 67, k, r, NIB_TYPE_F32, 0, NIB_TYPE_F32, 0, 0, 0,
                           {NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 32, NIB_TYPE_F16, 0}};
  });
  for (const uint32_t granularity : {NIB_GRANULARITY_TENSOR, NIB_GRANULARITY_ROW, NIB_GRANULARITY_COLUMN}) {
    add({NIB_OP_MINMAX, 0, ""}, kRows, kCols, [&](cases::Case& c, uint32_t r, uint32_t k) {
      c.desc.minmax = {NIB_OP_MINMAX, 0, r, k, NIB_TYPE_F32, 0, granularity};
    });
  }
  for (const uint32_t granularity : {NIB_GRANULARITY_TENSOR, NIB_GRANULARITY_ROW, NIB_GRANULARITY_COLUMN}) {
    add({NIB_OP_HISTOGRAM, 0, ""}, kRows, kCols, [&](cases::Case& c, uint32_t r, uint32_t k) {
      c.desc.histogram = {NIB_OP_HISTOGRAM, granularity == NIB_GRANULARITY_ROW ? 0u : uint32_t(NIB_HISTOGRAM_ACCUMULATE), r, k,
                          NIB_TYPE_F32, 0, granularity, 128};
    });
    if (granularity == NIB_GRANULARITY_ROW) continue;
    add({NIB_OP_MOMENTS, 0, ""}, kRows, kCols, [&](cases::Case& c, uint32_t r, uint32_t k) {
      c.desc.moments = {NIB_OP_MOMENTS, 0, r, k, NIB_TYPE_F32, 0, granularity};
    });
  }
  // Contiguous, and rows with gaps.
  for (const uint32_t gap : {0u, 4u}) {
    add({NIB_OP_CONVERT, 0, ""}, kRows, kCols, [&](cases::Case& c, uint32_t r, uint32_t k) {
      const uint32_t stride = gap != 0 ? k + gap : 0;
      c.desc.convert = {NIB_OP_CONVERT, NIB_CONVERT_STATUS, r, k, NIB_TYPE_F32, stride, NIB_TYPE_BF16, stride};
    });
    add({NIB_OP_ERRORS, 0, ""}, kRows, kCols, [&](cases::Case& c, uint32_t r, uint32_t k) {
      const uint32_t stride = gap != 0 ? k + gap : 0;
      c.desc.errors = {NIB_OP_ERRORS, 0, r, k, NIB_TYPE_F32, stride, NIB_TYPE_F16, stride};
    });
  }
  return list;
}

// Slices [0, count) cut at the given places, each piece in a command buffer of its own or, `together`, all in one with
// barriers between.
void runCut(const kit::Device& on, const kit::Plan& plan, const kit::Binding& binding, uint32_t n,
            const std::vector<uint32_t>& cuts, bool together) {
  const uint32_t slices = plan.memory().slice_count;
  auto piece = [&](VkCommandBuffer commands, size_t i) {
    const uint32_t first = cuts[i], end = i + 1 < cuts.size() ? cuts[i + 1] : slices;
    const NibRun run = runOf(n, first, end - first);
    nibCmdRun(commands, plan.handle(), binding.handle(), &run);
  };
  if (together) {
    on.submit([&](VkCommandBuffer commands) {
      for (size_t i = 0; i < cuts.size(); ++i) {
        if (i > 0) computeBarrier(commands);
        piece(commands, i);
      }
    });
    return;
  }
  for (size_t i = 0; i < cuts.size(); ++i) on.submit([&](VkCommandBuffer commands) { piece(commands, i); });
}

std::vector<uint32_t> everySlice(uint32_t slices) {
  std::vector<uint32_t> cuts;
  for (uint32_t i = 0; i < slices; ++i) cuts.push_back(i);
  return cuts;
}

std::vector<uint32_t> randomCuts(uint32_t slices, cases::Random& random) {
  std::vector<uint32_t> cuts = {0};
  for (uint32_t i = 1; i < slices; ++i) {
    if (random.below(3) == 0) cuts.push_back(i);
  }
  return cuts;
}

bool takesAnyCount(const cases::Case& c) {
  return c.op() != NIB_OP_QUANTIZE || (c.desc.quantize.weights.flags & NIB_WEIGHTS_FLAT) == 0;
}

// A ring of inputs and results, one turn each.
struct Ring {
  static constexpr uint32_t kTurns = 3;
  cases::Case c;
  kit::Plan plan;
  uint64_t step[NIB_ROLE_COUNT] = {};
  kit::Buffer buffers[NIB_ROLE_COUNT];
  kit::Range ranges[NIB_ROLE_COUNT];

  Ring(const kit::Device& on, const cases::Case& case_) : c(case_), plan(on, &case_.desc.op, case_.descBytes()) {
    const uint64_t alignment = plan.memory().dynamic_alignment_bytes;
    for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
      const uint64_t size = plan.sizeBytes(NibRole(role));
      if (size == 0) continue;
      step[role] = (size + alignment - 1) / alignment * alignment;
      buffers[role] = kit::Buffer(on, 16 + step[role] * kTurns);
      ranges[role] = kit::Range(buffers[role], 16, step[role] * kTurns);
    }
  }
  kit::Ranges all() const { return {ranges[0], ranges[1], ranges[2], ranges[3]}; }
  cases::Case turn(uint32_t i) const {
    cases::Case other = c;
    other.seed += 1000 * i;
    return other;
  }
  uint64_t offset(uint32_t role, uint32_t i) const { return step[role] * i; }
};

}  // namespace

TEST_SUITE_BEGIN("slices");

TEST_CASE_FIXTURE(Gpu, "a run in slices, each in a command buffer of its own, gives the bytes of one run") {
  cases::Random random(1);
  for (const cases::Case& c : largeCases()) {
    cases::Way way;
    way.run = [&](const kit::Device& on, const kit::Plan& plan, const kit::Binding& binding, uint32_t n) {
      const uint32_t slices = plan.memory().slice_count;
      CHECK_MESSAGE(slices > plan.handle()->phase_count, c.name());  // else the case is too small to show anything
      runCut(on, plan, binding, n, everySlice(slices), false);
    };
    checkCase(device(), c, way);
    way.run = [&](const kit::Device& on, const kit::Plan& plan, const kit::Binding& binding, uint32_t n) {
      runCut(on, plan, binding, n, randomCuts(plan.memory().slice_count, random), random.below(2) == 0);
    };
    checkCase(device(), c, way);
  }
}

TEST_CASE_FIXTURE(Gpu, "a run of fewer rows, whole or in slices, leaves the other rows alone") {
  cases::Random random(2);
  for (cases::Case c : largeCases()) {
    if (!takesAnyCount(c)) continue;
    const uint32_t rows = c.n;
    cases::Way way;
    for (const uint32_t n : {0u, 1u, rows / 3, rows - 1}) {
      c.n = n;
      way.run = [&](const kit::Device& on, const kit::Plan& plan, const kit::Binding& binding, uint32_t count) {
        const std::vector<uint32_t> whole = {0};
        const uint32_t slices = plan.memory().slice_count;
        runCut(on, plan, binding, count, n == 1 ? whole : randomCuts(slices, random), random.below(2) == 0);
      };
      checkCase(device(), c, way);
    }
  }
}

TEST_CASE_FIXTURE(Gpu, "offsets that change from run to run move through rings of inputs and results") {
  NibRestrict restriction{};
  const kit::AdoptDesc adopted = adoption();
  restriction.features_mask = NIB_FEATURE_ALL;
  if (adopted.restriction != nullptr) restriction = *adopted.restriction;
  restriction.max_storage_range_bytes = 65536;
  const kit::Device narrow = device().restricted(restriction);
  for (const kit::Device& on : {device(), narrow}) {
    for (const OpFormat& what : opFormats()) {
      for (const cases::Case& c : tests::casesOf(what, 17)) {
        std::optional<Ring> made;
        try {
          made.emplace(on, c);
        } catch (const kit::Error& error) {
          CHECK(error.result() == NIB_ERROR_UNSUPPORTED);  // too narrow for its scales
          continue;
        }
        Ring& ring = *made;
        const kit::Binding binding(ring.plan, ring.all());
        std::vector<cases::Images> images;
        for (uint32_t i = 0; i < Ring::kTurns; ++i) {
          images.push_back(cases::makeImages(ring.turn(i), ring.plan.memory()));
          for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
            if (ring.step[role] != 0) on.upload(ring.buffers[role], images[i].role[role], 16 + ring.offset(role, i));
          }
        }
        on.submit([&](VkCommandBuffer commands) {
          for (uint32_t i = Ring::kTurns; i-- > 0;) {  // ranges of their own: no barriers between
            NibRun run = runOf(c.n);
            for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) run.offset_bytes[role] = uint32_t(ring.offset(role, i));
            nibCmdRun(commands, ring.plan.handle(), binding.handle(), &run);
          }
        });
        for (uint32_t i = 0; i < Ring::kTurns; ++i) {
          const cases::Images before = images[i];
          cases::runReference(ring.turn(i), ring.plan.memory(), images[i]);
          for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
            if (ring.step[role] == 0) continue;
            const std::vector<uint32_t> got =
                on.download<uint32_t>(ring.buffers[role], images[i].role[role].size(), 16 + ring.offset(role, i));
            if (cases::isBounded(c) && role == NIB_ROLE_OUTPUT) {
              const double ratio = cases::boundRatio(ring.turn(i), ring.plan.memory(), before, got.data());
              CHECK_MESSAGE(ratio <= 1, c.name() << ", turn " << i);
              continue;
            }
            const std::string difference = cases::difference(ring.plan.memory(), role, got.data(), images[i]);
            CHECK_MESSAGE(difference.empty(), c.name() << ", turn " << i << ": " << difference);
          }
        }
      }
    }
  }
}

#ifdef NDEBUG
TEST_CASE_FIXTURE(Gpu, "a run out of range records nothing") {
  cases::Case c;
  c.recipe = cases::Recipe::kUniform;
  c.desc.minmax = {NIB_OP_MINMAX, 0, 40, 100, NIB_TYPE_F32, 0, NIB_GRANULARITY_ROW};
  c.n = 40;
  const Ring ring(device(), c);
  const kit::Binding binding(ring.plan, ring.all());
  const kit::Plan other(device(), c.desc.minmax);
  const uint32_t slices = ring.plan.memory().slice_count;
  const uint32_t alignment = ring.plan.memory().dynamic_alignment_bytes;

  std::vector<std::pair<const char*, NibRun>> wrong;
  wrong.emplace_back("more rows than planned", runOf(41));
  wrong.emplace_back("a first slice beyond the last", runOf(40, slices + 1));
  wrong.emplace_back("more slices than there are", runOf(40, 0, slices + 1));
  wrong.emplace_back("a count of slices that wraps", runOf(40, slices, UINT32_MAX - 1));
  NibRun run = runOf(40);
  run.offset_bytes[NIB_ROLE_OUTPUT] = alignment / 2;
  wrong.emplace_back("an offset that is not aligned", run);
  run = runOf(40);
  run.offset_bytes[NIB_ROLE_INPUT] = uint32_t(ring.step[NIB_ROLE_INPUT] * Ring::kTurns);
  wrong.emplace_back("an offset beyond the range", run);
  run.offset_bytes[NIB_ROLE_INPUT] = UINT32_MAX / alignment * alignment;
  wrong.emplace_back("an offset far beyond the range", run);

  const std::vector<uint32_t> marks(size_t(ring.buffers[NIB_ROLE_OUTPUT].sizeBytes() / 4), 0xa5a5a5a5u);
  auto untouched = [&](const char* what, auto&& record) {
    device().upload(ring.buffers[NIB_ROLE_OUTPUT], marks);
    device().submit(record);
    CHECK_MESSAGE(device().download<uint32_t>(ring.buffers[NIB_ROLE_OUTPUT], marks.size()) == marks, what);
  };
  for (const auto& [what, bad] : wrong) {
    untouched(what, [&, &bad = bad](VkCommandBuffer commands) { nibCmdRun(commands, ring.plan.handle(), binding.handle(), &bad); });
  }
  const NibRun good = runOf(40);
  untouched("a binding of another plan",
            [&](VkCommandBuffer commands) { nibCmdRun(commands, other.handle(), binding.handle(), &good); });
  untouched("no plan", [&](VkCommandBuffer commands) { nibCmdRun(commands, nullptr, binding.handle(), &good); });
  untouched("no binding", [&](VkCommandBuffer commands) { nibCmdRun(commands, ring.plan.handle(), nullptr, &good); });
  untouched("no run", [&](VkCommandBuffer commands) { nibCmdRun(commands, ring.plan.handle(), binding.handle(), nullptr); });

  // The same, right, does touch it.
  device().upload(ring.buffers[NIB_ROLE_OUTPUT], marks);
  device().submit([&](VkCommandBuffer commands) { nibCmdRun(commands, ring.plan.handle(), binding.handle(), &good); });
  CHECK(device().download<uint32_t>(ring.buffers[NIB_ROLE_OUTPUT], marks.size()) != marks);
}

TEST_CASE_FIXTURE(Gpu, "FLAT groups cross rows, so a run of fewer rows records nothing") {
  if (nibFormatById(NIB_FORMAT_NF4) == nullptr) return;
  cases::Case c;
  c.desc.quantize = {NIB_OP_QUANTIZE, 0, 8, 100, NIB_TYPE_F32, 0, {NIB_FORMAT_NF4, NIB_GRANULARITY_GROUP, 64, NIB_TYPE_F32, NIB_WEIGHTS_FLAT}};
  c.n = 8;
  const Ring ring(device(), c);
  const kit::Binding binding(ring.plan, ring.all());
  const std::vector<uint32_t> marks(size_t(ring.buffers[NIB_ROLE_WEIGHTS].sizeBytes() / 4), 0xa5a5a5a5u);
  device().upload(ring.buffers[NIB_ROLE_WEIGHTS], marks);
  const NibRun fewer = runOf(7);
  device().submit([&](VkCommandBuffer commands) { nibCmdRun(commands, ring.plan.handle(), binding.handle(), &fewer); });
  CHECK(device().download<uint32_t>(ring.buffers[NIB_ROLE_WEIGHTS], marks.size()) == marks);
}
#endif

TEST_SUITE_END();
