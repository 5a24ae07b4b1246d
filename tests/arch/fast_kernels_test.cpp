// A network on the CPU device runs fast kernels: a description that they do not take would be a hundred times slower,
// and give the same results.
#include "goldens.h"

#include "kit/reference_runs.h"
#include "model/run/cache_type.h"

#include <array>

namespace nib::model::test {
namespace {

struct Stored {
  const char* type;
  Activations activations = Activations::kNone;
};

// Not attention: for a few tokens its reference is as fast, if the cache is dense.
constexpr std::array kOps{uint32_t(NIB_OP_MATMUL),      uint32_t(NIB_OP_DYNAMIC_GEMM), uint32_t(NIB_OP_NORM),
                          uint32_t(NIB_OP_ELEMENTWISE), uint32_t(NIB_OP_ROPE),         uint32_t(NIB_OP_GATHER)};

void checkFast(const LoadedModel& model, const Stored& stored, std::span<const uint32_t> ids) {
  SelectionOptions selection;
  std::optional<InMemory> in_memory;
  if (stored.type != nullptr) {
    selection.type = *findWeightType(stored.type);
    selection.group_size = 32;
    selection.activations = stored.activations;
    in_memory.emplace(selection);
  }
  std::array<uint64_t, kOps.size()> before{};
  for (size_t i = 0; i < kOps.size(); ++i) before[i] = kit::detail::referenceRuns(kOps[i]);
  RunnerOptions options;
  options.max_tokens = options.positions = uint32_t(ids.size());
  options.in_memory = in_memory ? &*in_memory : nullptr;
  Runner runner(TimedDevice(kit::Device::cpu()), model.view(), model.config(), options);
  const Chunk many{0, 0, ids.first(ids.size() - 1)};
  const Chunk one{0, uint32_t(ids.size() - 1), ids.last(1)};
  runner.step({&many, 1});
  logitsOf(runner, 0, 1);
  runner.step({&one, 1});
  logitsOf(runner, 0, 1);
  for (size_t i = 0; i < kOps.size(); ++i) {
    INFO("op ", kOps[i]);
    CHECK(kit::detail::referenceRuns(kOps[i]) == before[i]);
  }
}

TEST_CASE("networks on the CPU device run fast kernels") {
  for (const char* name : {"phi3_window", "phi3_su", "gemma2_plain", "gemma2_no_caps", "gemma3_plain", "olmo2_plain",
                           "gpt2_plain", "gpt2_inner", "gpt2_unscaled", "gpt_neox_plain", "gpt_neox_sequential"}) {
    INFO(name);
    const Golden golden = readGolden(fs::path(NIB_ARCH_DATA) / name);
    const LoadedModel model(golden.folder);
    for (const Stored& stored : {Stored{nullptr}, Stored{"int4"}, Stored{"int8", Activations::kInt8Token}}) {
      INFO("type ", stored.type != nullptr ? stored.type : "as stored");
      checkFast(model, stored, golden.texts[0].ids);
    }
  }
  const Golden golden = readGolden(fs::path(NIB_ARCH_DATA) / "llama_plain");
  const LoadedModel model(golden.folder);
  const std::vector<uint32_t>& ids = golden.texts[0].ids;
  // A reference run is counted.
  const uint64_t losses = kit::detail::referenceRuns(NIB_OP_LOSS);
  Runner runner(TimedDevice(kit::Device::cpu()), model.view(), model.config(),
                {.max_tokens = uint32_t(ids.size()), .positions = uint32_t(ids.size())});
  const Chunk chunk{0, 0, ids};
  runner.step({&chunk, 1});
  const uint32_t row = 0, target = ids[1];
  runner.losses({&row, 1}, {&target, 1});
  CHECK(kit::detail::referenceRuns(NIB_OP_LOSS) > losses);
  for (const Stored& stored :
       {Stored{nullptr}, Stored{"int8"}, Stored{"int4"}, Stored{"nf4"}, Stored{"fp8"}, Stored{"q8_0"},
        Stored{"int8", Activations::kInt8Token}, Stored{"int4", Activations::kInt8Token}}) {
    INFO("type ", stored.type != nullptr ? stored.type : "as stored");
    checkFast(model, stored, ids);
  }
}

// The reference decodes every element of the cache twice for each query head.
TEST_CASE("attention over a quantized cache runs the fast kernel, also for one token") {
  const Golden golden = readGolden(fs::path(NIB_ARCH_DATA) / "llama_yarn");
  const LoadedModel model(golden.folder);
  const std::span<const uint32_t> ids = golden.texts[0].ids;
  uint32_t quantized = 0;
  for (const CacheType& type : cacheTypes()) {
    if (type.cache.format == NIB_FORMAT_DENSE) continue;
    INFO(type.name);
    ++quantized;
    const uint64_t before = kit::detail::referenceRuns(NIB_OP_ATTENTION);
    RunnerOptions options;
    options.max_tokens = options.positions = uint32_t(ids.size());
    options.cache = cacheFor(type, model.config().head_size).value();
    Runner runner(TimedDevice(kit::Device::cpu()), model.view(), model.config(), options);
    const Chunk many{0, 0, ids.first(ids.size() - 1)};
    const Chunk one{0, uint32_t(ids.size() - 1), ids.last(1)};
    runner.step({&many, 1});
    runner.step({&one, 1});
    CHECK(kit::detail::referenceRuns(NIB_OP_ATTENTION) == before);
  }
  CHECK(quantized == 6);
}

}  // namespace
}  // namespace nib::model::test
