// Networks on the first Vulkan device.
#include "model/arch/decoder.h"
#include "model/run/loaded_model.h"
#include "model/run/runner.h"

#include <nibble/graph.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace nib::model {
namespace {

constexpr uint32_t kTokens = 40;

// Ids that reach all of the vocabulary.
std::vector<uint32_t> someIds(uint32_t vocabulary) {
  std::vector<uint32_t> ids(kTokens);
  for (uint32_t i = 0; i < kTokens; ++i) ids[i] = uint32_t(uint64_t(i) * 2654435761u % vocabulary);
  return ids;
}

struct Logits {
  std::vector<float> whole, stepwise;  // of all tokens, and of the last four tokens, run one by one
};

Logits logitsOn(const kit::Device& device) {
  const LoadedModel loaded(NIB_SAMPLE_MODEL);
  Runner runner(TimedDevice(device), loaded.view(), loaded.config(), {.max_tokens = kTokens, .positions = kTokens});
  const std::vector<uint32_t> ids = someIds(loaded.config().vocabulary);
  std::vector<uint32_t> rows(kTokens);
  std::iota(rows.begin(), rows.end(), 0u);
  const Chunk all{0, 0, ids};
  runner.step({&all, 1});
  Logits logits{runner.logits(rows), {}};
  for (uint32_t i = kTokens - 4; i < kTokens; ++i) {
    const Chunk one{0, i, std::span(ids).subspan(i, 1)};
    runner.step({&one, 1});
    const uint32_t row = 0;
    const std::vector<float> next = runner.logits({&row, 1});
    logits.stepwise.insert(logits.stepwise.end(), next.begin(), next.end());
  }
  return logits;
}

void checkNear(const std::vector<float>& got, const std::vector<float>& wanted) {
  REQUIRE(got.size() == wanted.size());
  float largest = 0, difference = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    REQUIRE(std::isfinite(got[i]));
    largest = std::max(largest, std::abs(wanted[i]));
    difference = std::max(difference, std::abs(got[i] - wanted[i]));
  }
  MESSAGE("largest difference " << difference << ", largest logit " << largest);
  CHECK(difference <= 1e-3f * largest);
}

kit::Device vulkanDevice() {
  const kit::Device device = kit::Device::best();
  REQUIRE(!device.isCpu());
  return device;
}

kit::Device withRanges(const kit::Device& device, uint64_t bytes) {
  NibRestrict restriction{sizeof(NibRestrict)};
  restriction.features_mask = NIB_FEATURE_ALL;
  restriction.max_storage_range_bytes = bytes;
  return device.restricted(restriction);
}

}  // namespace

TEST_CASE("logits on a device are those of the CPU, and with ranges of 256 KiB the same") {
  const kit::Device device = vulkanDevice();
  const Logits cpu = logitsOn(kit::Device::cpu()), gpu = logitsOn(device);
  checkNear(gpu.whole, cpu.whole);
  checkNear(gpu.stepwise, cpu.stepwise);
  // The cached steps give the results of the whole text.
  const size_t tail = gpu.whole.size() - gpu.stepwise.size();
  checkNear(gpu.stepwise, {gpu.whole.begin() + std::ptrdiff_t(tail), gpu.whole.end()});
  const Logits cut = logitsOn(withRanges(device, 256 << 10));
  checkNear(cut.whole, gpu.whole);
  checkNear(cut.stepwise, gpu.stepwise);
}

TEST_CASE("a network of a billion weights plans and runs with ranges of 128 MiB") {
  const kit::Device device = withRanges(vulkanDevice(), 128 << 20);
  // Llama 3.2 1B.
  const ModelConfig config = readConfig(R"({"model_type": "llama", "vocab_size": 128256, "hidden_size": 2048,
    "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8,
    "head_dim": 64, "max_position_embeddings": 131072, "rope_theta": 500000.0, "tie_word_embeddings": true})");
  Storage halves;
  halves.weights.scale_type = NIB_TYPE_F16;
  const BodyOptions options{
      .max_tokens = 1, .cache_rows = 4096, .positions = 4096, .storage = [&](const std::string&) { return halves; }};
  const graph::Graph network = decodeGraph(config, options);
  uint64_t largest = 0;
  for (const graph::Value& value : network.values()) {
    if (value.storage == graph::Storage::kMemory) largest = std::max(largest, value.size_bytes);
  }
  CHECK(largest > uint64_t(500) << 20);
  // Zeros serve as all weights and caches.
  const kit::Buffer zeros(device, largest);
  device.fill(zeros, 0, 0, largest);
  std::vector<graph::Memory> memory;
  for (const graph::Value& value : network.values()) {
    if (value.storage == graph::Storage::kMemory) memory.push_back({value.name, {zeros, 0, value.size_bytes}});
  }
  const graph::Program program(device, network, memory);
  program.setInput("positions", std::vector<uint32_t>{5});
  program.setInput("cache_rows", std::vector<uint32_t>{5});
  program.setInput("visible", std::vector<uint32_t>{0, 6, 5, 0});
  const kit::Range ids = program.range(kNextIds);
  device.upload(*ids.buffer, std::vector<uint32_t>{128255}, ids.offset_bytes);
  const graph::StepStats stats = program.run(1);
  MESSAGE(program.nodeCount() << " nodes, " << stats.seconds << " s");
  // All logits are 0, and the first of equal ones is chosen.
  CHECK(device.download<uint32_t>(*ids.buffer, 1, ids.offset_bytes)[0] == 0);
}

}  // namespace nib::model
