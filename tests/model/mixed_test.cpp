// The parts of a choice of types: errors of layers, divergences of a model, units of layers, saved costs.
#include <nibble/formats.h>

#include "model/mixed/costs.h"
#include "model/mixed/divergence.h"
#include "model/mixed/layers.h"
#include "model/mixed/rounder.h"
#include "model/mixed/weighted_error.h"
#include "model/model_test.h"
#include "model/run/loaded_model.h"
#include "model/suggest/bandwidth.h"
#include "model/suggest/typical_loss.h"

#include <cmath>
#include <random>

namespace nib::model::test {
namespace {

std::vector<float> normal(size_t count, uint32_t seed) {
  std::mt19937 bits(seed);
  std::normal_distribution<float> distribution(0.0f, 0.5f);
  std::vector<float> values(count);
  for (float& x : values) x = distribution(bits);
  return values;
}

MixedLayer layerOf(const std::string& module, bool fixed = false) {
  MixedLayer layer;
  layer.name = module + ".weight";
  layer.fixed = fixed;
  return layer;
}

std::string textOf(const std::vector<LayerUnit>& units) {
  std::string text;
  for (const LayerUnit& unit : units) {
    for (size_t i = 0; i < unit.size(); ++i) text += (i ? "," : text.empty() ? "" : " ") + std::to_string(unit[i]);
  }
  return text;
}

std::vector<std::vector<uint32_t>> sequencesOf(const ModelConfig& config, std::vector<size_t> lengths) {
  std::mt19937 random(5);
  std::vector<std::vector<uint32_t>> sequences;
  for (const size_t length : lengths) {
    std::vector<uint32_t>& ids = sequences.emplace_back(length);
    for (uint32_t& id : ids) id = random() % config.vocabulary;
  }
  return sequences;
}

}  // namespace

TEST_CASE("the weighted error is the mean squared error of the layer's output") {
  const kit::Device device = kit::Device::byName("cpu");
  const TimedDevice timed(device);
  constexpr uint32_t kTokens = 24, kCols = 40, kRows = 7;
  const std::vector<float> x = normal(kTokens * kCols, 1), d = normal(kRows * kCols, 2);
  const kit::Buffer inputs(device, x.size() * sizeof(float));
  device.upload(inputs, std::span<const float>(x));
  HessianSum hessian(device, kTokens, kCols, NIB_TYPE_F32, kCols, inputs);
  timed.run(hessian.binding(), kTokens);
  hessian.count(kTokens);
  double expected = 0;
  for (uint32_t t = 0; t < kTokens; ++t) {
    for (uint32_t r = 0; r < kRows; ++r) {
      double y = 0;
      for (uint32_t c = 0; c < kCols; ++c) y += double(d[r * kCols + c]) * double(x[t * kCols + c]);
      expected += y * y;
    }
  }
  expected /= kTokens;
  const double found = weightedError(timed, hessian, d, kRows);
  CHECK(std::abs(found / expected - 1) < 1e-5);
  CHECK(weightedError(timed, hessian, std::vector<float>(kRows * kCols), kRows) == 0);
}

TEST_CASE("a divergence is that of two models side by side, and none without a change") {
  const kit::Device device = kit::Device::byName("cpu");
  const TimedDevice timed(device);
  LoadedModel loaded(NIB_SAMPLE_MODEL);
  const ModelConfig& config = loaded.config();
  // More than one step, and the last one shorter.
  const std::vector<std::vector<uint32_t>> sequences = sequencesOf(config, {300, 300, 300, 300, 300, 300, 300});
  Divergence divergence(timed, loaded.view(), config, sequences, true);
  CHECK(divergence.tokens() == 2100);
  CHECK(std::abs(divergence.measure().kl.mean()) < 1e-6);
  CHECK(divergence.measure().kl.count() == 2093);

  Rounder rounder(timed, loaded.view());
  for (const std::string module : {"model.layers.2.mlp.down_proj", "model.layers.5.self_attn.q_proj", "lm_head"}) {
    INFO(module);
    const ModelView::Tensor& tensor = *loaded.view().find(module + ".weight");
    WeightSpec weight;
    weight.name = std::string(tensor.name);
    weight.rows = uint32_t(tensor.shape[0]);
    weight.cols = uint32_t(tensor.shape[1]);
    weight.source = tensor.dtype;
    weight.weights = {NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 64, NIB_TYPE_F16, 0};
    const std::vector<float> values = rounder.values(tensor);
    rounder.store(rounder.rounded(weight, values), weight.rows, weight.cols, NIB_TYPE_F16, divergence.weights(module));
    const Mean changed = divergence.measure().kl;
    rounder.store(values, weight.rows, weight.cols, NIB_TYPE_F16, divergence.weights(module));
    CHECK(std::abs(divergence.measure().kl.mean()) < 1e-6);

    // The same by a model that quantizes nothing but this layer while it loads, beside another.
    SelectionOptions selection;
    selection.type = *findWeightType("F32");
    selection.exclude.emplace_back("--exclude", "^(?!" + module + ")");
    selection.rules.push_back(parseRule("^" + module + "=int4:64"));
    const InMemory in_memory(selection);
    RunnerOptions options{.max_tokens = 2100, .sequences = 7, .positions = 300};
    Runner reference(timed, loaded.view(), config, options);
    options.in_memory = &in_memory;
    Runner model(timed, loaded.view(), config, options);
    std::vector<uint32_t> ids;
    for (const std::vector<uint32_t>& sequence : sequences) ids.insert(ids.end(), sequence.begin(), sequence.end());
    EvalOptions eval;
    eval.window = 300;
    const EvalResult expected = evaluate(model, &reference, ids, eval, {});
    CHECK(expected.kl.count() == changed.count());
    CHECK(expected.kl.mean() > 1e-5);
    // Values are rounded to fp16 here, and codes are multiplied there.
    CHECK(std::abs(changed.mean() / expected.kl.mean() - 1) < 0.01);
  }
}

TEST_CASE("layers with the same input choose together, unless they are fixed or separate") {
  const LoadedModel loaded(NIB_SAMPLE_MODEL);
  const std::string first = "model.layers.0.", last = "model.layers.5.";
  const std::vector<MixedLayer> layers = {
      layerOf(last + "mlp.up_proj"),       layerOf("lm_head"),
      layerOf(first + "self_attn.k_proj"), layerOf(last + "mlp.gate_proj"),
      layerOf(first + "self_attn.q_proj"), layerOf(first + "self_attn.v_proj", true),
      layerOf(first + "self_attn.o_proj")};
  CHECK(textOf(unitsOf(loaded.config(), layers, false)) == "4,2 6 3,0 1 5");
  CHECK(textOf(unitsOf(loaded.config(), layers, true)) == "4 2 6 3 0 1 5");
}

TEST_CASE("costs are read again by the same run, and by no other") {
  const TempFolder temp;
  const fs::path folder = temp / "out.costs";
  {
    MeasuredCosts costs(folder, "run", false);
    CHECK(!fs::exists(folder));
    costs.begin();
    costs.addDivergence("a int4", {0.1, 1e-300});
    costs.addWeightedErrors({{"b", 1.0 / 3}, {"c", 0}});
  }
  writeText(folder / ".nibble-0123456789abcdef", "of a run that was killed");
  {
    const MeasuredCosts again(folder, "run", true);
    CHECK(!fs::exists(folder / ".nibble-0123456789abcdef"));
    REQUIRE(again.divergence("a int4"));
    CHECK(again.divergence("a int4")->mean == 0.1);
    CHECK(again.divergence("a int4")->error == 1e-300);
    CHECK(again.weightedError("b") == 1.0 / 3);
    CHECK(again.weightedError("c") == 0.0);
    CHECK(!again.weightedError("a int4"));
    for (const bool resume : {false, true}) {
      CHECK_THROWS_WITH_AS(MeasuredCosts(folder, "run", resume), doctest::Contains("another nibble"), Error);
    }
  }
  CHECK(!MeasuredCosts(folder, "other", true).weightedError("b"));
  const std::string text = readText(folder / "costs.json");
  std::string other_number = text;
  other_number.replace(other_number.find("0.3333"), 6, "0.3332");
  for (const std::string& damaged : std::vector<std::string>{text.substr(0, text.size() / 2), "[]", "", other_number}) {
    writeText(folder / "costs.json", damaged);
    CHECK(!MeasuredCosts(folder, "run", true).weightedError("b"));
  }
  writeText(folder / "costs.json", text);
  CHECK(!MeasuredCosts(folder, "run", false).weightedError("b"));
  CHECK(!fs::exists(folder / "costs.json"));
  {
    MeasuredCosts costs(folder, "run", false);
    costs.addWeightedErrors({{"b", 1}});
    costs.remove();
  }
  CHECK(!fs::exists(folder));
  fs::create_directory(folder);
  writeText(folder / "mine.txt", "mine");
  CHECK_THROWS_WITH_AS(MeasuredCosts(folder, "run", false), doctest::Contains("mine.txt"), Error);
  CHECK_THROWS_WITH_AS(MeasuredCosts(folder, "run", true), doctest::Contains("mine.txt"), Error);
  writeText(temp / "file", "mine");
  CHECK_THROWS_WITH_AS(MeasuredCosts(temp / "file", "run", false), doctest::Contains("is a file"), Error);
}

TEST_CASE("typical losses fall with the bits, and are those of the table at its points") {
  CHECK(typicalLoss(4.25) == doctest::Approx(0.0119));
  CHECK(typicalLoss(2.25) == doctest::Approx(0.4375));
  // Halfway between 4.25 and 3.25 bits is the geometric mean.
  CHECK(typicalLoss(3.75) == doctest::Approx(std::sqrt(0.0119 * 0.0578)));
  CHECK(typicalLoss(1) == typicalLoss(1.25));
  CHECK(typicalLoss(12) == typicalLoss(8.5));
  CHECK(typicalLoss(16) == 0);
  CHECK(gptqShare(4.25) == doctest::Approx(0.62));
  CHECK(typicalBandwidth("intel-arc-a770-windows") == 560.0);
  CHECK(typicalBandwidth("intel-uhd-graphics-620") == 38.0);
  CHECK(typicalBandwidth("apple-m1-ultra-honeykrisp") == 800.0);
  CHECK(typicalBandwidth("mali-g57") == 17.0);
  CHECK(!typicalBandwidth("floor"));
  CHECK(!typicalBandwidth("swiftshader"));
  for (const std::string& id : kit::profileIds()) {
    const bool known = id != "floor" && id != "swiftshader" && !id.starts_with("lavapipe");
    INFO(id);
    CHECK(typicalBandwidth(id).has_value() == known);
  }
}

}  // namespace nib::model::test
