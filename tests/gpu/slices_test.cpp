// A run split into slices, with fewer rows or at other offsets gives the bytes of the whole run.
#include <nibble/formats.h>

#include <algorithm>
#include <optional>

#include "gpu/gpu_test.h"
#include "plan/plan.h"
#include "selftest/cases.h"

using namespace nib;
using namespace nib::tests;

namespace {

NibRun runOf(uint32_t n, uint32_t first = 0, uint32_t count = UINT32_MAX) {
  NibRun run{sizeof(NibRun)};
  run.n = n;
  run.first_slice = first;
  run.slice_count = count;
  return run;
}

// Cases of every op with several slices in their main phases.
std::vector<selftest::Case> slicedCases() {
  std::vector<selftest::Case> list;
  for (const OpFormat& what : opFormats()) {
    // Means of this size take minutes with instrumented shaders or slow pipelines: only on request.
    const NibFormatInfo* info = nibFormatById(what.format);
    if (info != nullptr && (info->flags & NIB_FORMAT_MEAN_SCALE) && !typeWanted(what.format)) continue;
    for (const selftest::Case& c : tests::largeCases(selftest::Large::kSlices, what)) list.push_back(c);
  }
  return list;
}

// Runs slices [0, count) in pieces between the given cuts, each piece in a separate command buffer or, with `together`,
// all in one with barriers between them.
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

std::vector<uint32_t> randomCuts(uint32_t slices, selftest::Random& random) {
  std::vector<uint32_t> cuts = {0};
  for (uint32_t i = 1; i < slices; ++i) {
    if (random.below(3) == 0) cuts.push_back(i);
  }
  return cuts;
}

bool takesAnyCount(const selftest::Case& c) { return !findOp(c.op())->runRows(c.desc()).fixed; }

// A ring of buffers for several iterations of a case, each with its own input and result.
struct Ring {
  static constexpr uint32_t kIterations = 3;
  selftest::Case c;
  kit::Plan plan;
  uint64_t step[NIB_ROLE_COUNT] = {};
  kit::Buffer buffers[NIB_ROLE_COUNT];
  kit::Range ranges[NIB_ROLE_COUNT];

  Ring(const kit::Device& on, const selftest::Case& case_) : c(case_), plan(selftest::planOf(on, case_)) {
    const uint64_t alignment = plan.memory().dynamic_alignment_bytes;
    for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
      const uint64_t size = plan.sizeBytes(NibRole(role));
      if (size == 0) continue;
      step[role] = (size + alignment - 1) / alignment * alignment;
      buffers[role] = kit::Buffer(on, 16 + step[role] * kIterations);
      ranges[role] = kit::Range(buffers[role], 16, step[role] * kIterations);
    }
  }
  kit::Ranges all() const { return {ranges[0], ranges[1], ranges[2], ranges[3]}; }
  selftest::Case iteration(uint32_t i) const {
    selftest::Case other = c;
    other.seed += 1000 * i;
    return other;
  }
  uint64_t offset(uint32_t role, uint32_t i) const { return step[role] * i; }
};

}  // namespace

TEST_SUITE_BEGIN("slices");

TEST_CASE_FIXTURE(Gpu, "a run in slices, each in a separate command buffer, gives the bytes of one run") {
  selftest::Random random(1);
  for (const selftest::Case& c : slicedCases()) {
    selftest::Way way;
    way.run = [&](const kit::Device& on, const kit::Plan& plan, const kit::Binding& binding, uint32_t n) {
      const uint32_t slices = plan.memory().slice_count;
      CHECK_MESSAGE(slices > plan.handle()->phase_count, c.name());  // else the case is too small for this test
      runCut(on, plan, binding, n, everySlice(slices), false);
    };
    checkCase(device(), c, way);
    way.run = [&](const kit::Device& on, const kit::Plan& plan, const kit::Binding& binding, uint32_t n) {
      runCut(on, plan, binding, n, randomCuts(plan.memory().slice_count, random), random.below(2) == 0);
    };
    checkCase(device(), c, way);
  }
}

TEST_CASE_FIXTURE(Gpu, "a run of fewer rows, whole or in slices, leaves the other rows unchanged") {
  selftest::Random random(2);
  for (selftest::Case c : slicedCases()) {
    if (!takesAnyCount(c)) continue;
    const uint32_t rows = c.n;
    selftest::Way way;
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
  NibRestrict restriction{sizeof(NibRestrict)};
  const kit::AdoptDesc adopted = adoption();
  restriction.features_mask = NIB_FEATURE_ALL;
  if (adopted.restriction != nullptr) restriction = *adopted.restriction;
  restriction.max_storage_range_bytes = 65536;
  const kit::Device narrow = device().restricted(restriction);
  for (const kit::Device& on : {device(), narrow}) {
    for (const OpFormat& what : opFormats()) {
      for (const selftest::Case& c : tests::casesOf(what, 17)) {
        std::optional<Ring> made;
        try {
          made.emplace(on, c);
        } catch (const kit::Error& error) {
          CHECK(error.result() == NIB_ERROR_UNSUPPORTED);  // too narrow for its scales
          continue;
        }
        Ring& ring = *made;
        const kit::Binding binding(ring.plan, ring.all());
        std::vector<selftest::Images> images;
        for (uint32_t i = 0; i < Ring::kIterations; ++i) {
          images.push_back(selftest::makeImages(ring.iteration(i), ring.plan.memory()));
          for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
            if (ring.step[role] != 0) on.upload(ring.buffers[role], images[i].role[role], 16 + ring.offset(role, i));
          }
        }
        on.submit([&](VkCommandBuffer commands) {
          for (uint32_t i = Ring::kIterations; i-- > 0;) {  // separate ranges: no barriers needed
            NibRun run = runOf(c.n);
            for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role)
              run.offset_bytes[role] = uint32_t(ring.offset(role, i));
            nibCmdRun(commands, ring.plan.handle(), binding.handle(), &run);
          }
        });
        for (uint32_t i = 0; i < Ring::kIterations; ++i) {
          const selftest::Images before = images[i];
          selftest::runReference(ring.iteration(i), ring.plan.memory(), images[i]);
          for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
            if (ring.step[role] == 0) continue;
            const std::vector<uint32_t> got =
                on.download<uint32_t>(ring.buffers[role], images[i].role[role].size(), 16 + ring.offset(role, i));
            const NibMemory& memory = ring.plan.memory();
            if (selftest::isBounded(c) && role == selftest::writtenRole(c)) {
              const selftest::Farthest worst = selftest::farthest(ring.iteration(i), memory, before, got.data());
              CHECK_MESSAGE(worst.ratio <= 1, c.name() << ", iteration " << i << ": " << worst.text(c, memory));
              continue;
            }
            const std::string difference =
                selftest::difference(c, memory, NibRole(role), got.data(), images[i].role[role]);
            CHECK_MESSAGE(difference.empty(), c.name() << ", iteration " << i << ": " << difference);
          }
        }
      }
    }
  }
}

TEST_CASE_FIXTURE(Gpu, "a run out of range records nothing, and its field is named") {
  selftest::Case c;
  c.recipe = selftest::Recipe::kUniform;
  NibMinMaxDesc& d = c.describe<NibMinMaxDesc>(NIB_OP_MINMAX);
  d.rows = c.n = 40;
  d.cols = 100;
  d.granularity = NIB_GRANULARITY_ROW;
  const Ring ring(device(), c);
  const kit::Binding binding(ring.plan, ring.all());
  const kit::Plan other = selftest::planOf(device(), c);
  const uint32_t slices = ring.plan.memory().slice_count;
  const uint32_t alignment = ring.plan.memory().dynamic_alignment_bytes;

  // A mistake, and how the reason begins.
  struct Wrong {
    const char* what;
    NibRun run;
    const char* names;
  };
  std::vector<Wrong> wrong{
      {"more rows than planned", runOf(41), "n must"},
      {"a first slice beyond the last", runOf(40, slices + 1), "first_slice must"},
      {"more slices than there are", runOf(40, 0, slices + 1), "first_slice + slice_count"},
      {"a count of slices that wraps", runOf(40, slices, UINT32_MAX - 1), "first_slice + slice_count"}};
  NibRun run = runOf(40);
  run.offset_bytes[NIB_ROLE_OUTPUT] = alignment / 2;
  wrong.push_back({"an offset that is not aligned", run, "offset_bytes must be multiples"});
  run = runOf(40);
  run.offset_bytes[NIB_ROLE_INPUT] = uint32_t(ring.step[NIB_ROLE_INPUT] * Ring::kIterations);
  wrong.push_back({"an offset beyond the range", run, "offset_bytes goes beyond"});
  run.offset_bytes[NIB_ROLE_INPUT] = UINT32_MAX / alignment * alignment;
  wrong.push_back({"an offset far beyond the range", run, "offset_bytes goes beyond"});
  run = runOf(30);
  run.first_row = 11;
  wrong.push_back({"rows beyond the result's last", run, "first_row + n"});
  run = runOf(40);
  run.struct_bytes = 0;
  wrong.push_back({"a run without its size", run, "run->struct_bytes"});

  const std::vector<uint32_t> marks(size_t(ring.buffers[NIB_ROLE_OUTPUT].sizeBytes() / 4), 0xa5a5a5a5u);
  auto untouched = [&](const char* what, auto&& record) {
    device().upload(ring.buffers[NIB_ROLE_OUTPUT], marks);
    device().submit(record);
    CHECK_MESSAGE(device().download<uint32_t>(ring.buffers[NIB_ROLE_OUTPUT], marks.size()) == marks, what);
  };
  for (const Wrong& bad : wrong) {
    untouched(bad.what,
              [&](VkCommandBuffer commands) { nibCmdRun(commands, ring.plan.handle(), binding.handle(), &bad.run); });
    const char* reason = nibCheckRun(ring.plan.handle(), binding.handle(), &bad.run);
    CHECK_MESSAGE((reason != nullptr && std::string_view(reason).starts_with(bad.names)), bad.what);
  }
  // The kit throws the same, where nothing was recorded before.
  kit::RunOptions too_many;
  too_many.n = 41;
  CHECK_THROWS_WITH_AS(device().run(binding, too_many), doctest::Contains("n must be at most"), kit::Error);
  too_many.n = 40;
  too_many.offset_bytes[NIB_ROLE_OUTPUT] = alignment / 2;
  CHECK_THROWS_WITH_AS(device().run(binding, too_many), doctest::Contains("offset_bytes must be"), kit::Error);
  device().submit([&](VkCommandBuffer commands) {
    CHECK_THROWS_WITH_AS(binding.record(commands, too_many), doctest::Contains("offset_bytes must be"), kit::Error);
  });

  const NibRun good = runOf(40);
  CHECK(nibCheckRun(ring.plan.handle(), binding.handle(), &good) == nullptr);
  const NibRun none = runOf(40, 0, 0);
  CHECK(nibCheckRun(ring.plan.handle(), binding.handle(), &none) == nullptr);
  untouched("no slices",
            [&](VkCommandBuffer commands) { nibCmdRun(commands, ring.plan.handle(), binding.handle(), &none); });
  untouched("a binding of another plan",
            [&](VkCommandBuffer commands) { nibCmdRun(commands, other.handle(), binding.handle(), &good); });
  untouched("no plan", [&](VkCommandBuffer commands) { nibCmdRun(commands, nullptr, binding.handle(), &good); });
  untouched("no binding", [&](VkCommandBuffer commands) { nibCmdRun(commands, ring.plan.handle(), nullptr, &good); });
  untouched("no run",
            [&](VkCommandBuffer commands) { nibCmdRun(commands, ring.plan.handle(), binding.handle(), nullptr); });

  // A valid run does write.
  device().upload(ring.buffers[NIB_ROLE_OUTPUT], marks);
  device().submit([&](VkCommandBuffer commands) { nibCmdRun(commands, ring.plan.handle(), binding.handle(), &good); });
  CHECK(device().download<uint32_t>(ring.buffers[NIB_ROLE_OUTPUT], marks.size()) != marks);
}

TEST_CASE_FIXTURE(Gpu, "FLAT groups span rows, so a run of fewer rows records nothing") {
  if (nibFormatById(NIB_FORMAT_NF4) == nullptr) return;
  selftest::Case c;
  NibQuantizeDesc& d = c.describe<NibQuantizeDesc>(NIB_OP_QUANTIZE);
  d.rows = c.n = 8;
  d.cols = 100;
  d.weights = selftest::weightsOf(NIB_FORMAT_NF4, NIB_GRANULARITY_GROUP, 64, NIB_WEIGHTS_FLAT);
  const Ring ring(device(), c);
  const kit::Binding binding(ring.plan, ring.all());
  const std::vector<uint32_t> marks(size_t(ring.buffers[NIB_ROLE_WEIGHTS].sizeBytes() / 4), 0xa5a5a5a5u);
  device().upload(ring.buffers[NIB_ROLE_WEIGHTS], marks);
  const NibRun fewer = runOf(7);
  device().submit([&](VkCommandBuffer commands) { nibCmdRun(commands, ring.plan.handle(), binding.handle(), &fewer); });
  CHECK(device().download<uint32_t>(ring.buffers[NIB_ROLE_WEIGHTS], marks.size()) == marks);
}

TEST_SUITE_END();
