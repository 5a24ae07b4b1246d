// Networks against transformers: logits of every position, whatever the steps in which a text is run.
#include "goldens.h"

#include <cstdio>
#include <cstdlib>
#include <functional>

namespace nib::model::test {
namespace {

// Tolerance as a fraction of the largest |logit|. Both sides compute in fp32, in different orders: rounding errors of
// 2^-24 grow to about 3e-6 over the layers, and on Vulkan NIB_OP_ATTENTION's exponential adds 2^-21 each. Every planted
// fault below exceeds it.
constexpr double kBound = 1e-4;

void checkLogits(std::span<const float> found, std::span<const float> expected, size_t vocabulary) {
  CHECK(difference(found, expected) <= kBound);
  size_t other_tokens = 0;
  double scale = 0;
  for (const float x : expected) scale = std::max(scale, std::abs(double(x)));
  for (size_t row = 0; row < expected.size(); row += vocabulary) {
    const float* e = &expected[row];
    const size_t best = size_t(std::max_element(e, e + vocabulary) - e);
    float second = -INFINITY;
    for (size_t i = 0; i < vocabulary; ++i) {
      if (i != best) second = std::max(second, e[i]);
    }
    if (e[best] - second <= kBound * scale) continue;
    other_tokens += size_t(std::max_element(&found[row], &found[row] + vocabulary) - &found[row]) != best;
  }
  CHECK(other_tokens == 0);
}

std::vector<uint32_t> reversed(std::span<const uint32_t> ids) { return {ids.rbegin(), ids.rend()}; }

// Fills the caches with another text: no later step may read entries that it does not write itself.
void spoil(Runner& runner, std::span<const uint32_t> ids) {
  const std::vector<uint32_t> other = reversed(ids);
  const Chunk chunks[] = {{0, 0, other}, {1, 0, other}};
  runner.step(chunks);
}

// Runs ids[first..] of a sequence in steps of `step` tokens; appends their logits.
void runSteps(Runner& runner, std::span<const uint32_t> ids, size_t first, size_t step, uint32_t sequence,
              std::vector<float>& logits) {
  for (size_t at = first; at < ids.size(); at += step) {
    const size_t count = std::min(step, ids.size() - at);
    const Chunk chunk{sequence, uint32_t(at), ids.subspan(at, count)};
    runner.step({&chunk, 1});
    const std::vector<float> rows = logitsOf(runner, 0, count);
    logits.insert(logits.end(), rows.begin(), rows.end());
  }
}

// Returns the difference of the whole text.
double checkText(const LoadedModel& model, const ModelConfig& config, const Text& text) {
  const std::vector<uint32_t>& ids = text.ids;
  Runner runner = runnerOf(model, config, ids.size());
  const std::vector<float> whole = runWhole(runner, ids);
  {
    INFO("whole");
    checkLogits(whole, text.logits, config.vocabulary);
  }
  {
    INFO("steps of 3 tokens");
    spoil(runner, ids);
    std::vector<float> logits;
    runSteps(runner, ids, 0, 3, 1, logits);
    checkLogits(logits, text.logits, config.vocabulary);
  }
  {
    INFO("token by token behind a prompt");
    spoil(runner, ids);
    const size_t prompt = ids.size() / 2;
    std::vector<float> logits = runWhole(runner, std::span(ids).first(prompt));
    runSteps(runner, ids, prompt, 1, 0, logits);
    checkLogits(logits, text.logits, config.vocabulary);
  }
  {
    INFO("two sequences");
    const std::vector<uint32_t> other = reversed(std::span(ids).first(ids.size() - 2));
    const std::vector<float> other_alone = runWhole(runner, other, 1);
    spoil(runner, ids);
    // The first step runs whole texts but for the last token of each, the second those: one token a sequence.
    const size_t n = other.size() - 1, m = ids.size() - 1;
    const Chunk first[] = {{0, 0, std::span(other).first(n)}, {1, 0, std::span(ids).first(m)}};
    runner.step(first);
    std::vector<float> of_other = logitsOf(runner, 0, n), of_text = logitsOf(runner, n, m);
    const Chunk second[] = {{0, uint32_t(n), std::span(other).subspan(n)}, {1, uint32_t(m), std::span(ids).subspan(m)}};
    runner.step(second);
    const std::vector<float> last = logitsOf(runner, 0, 2);
    of_other.insert(of_other.end(), last.begin(), last.begin() + config.vocabulary);
    of_text.insert(of_text.end(), last.begin() + config.vocabulary, last.end());
    checkLogits(of_other, other_alone, config.vocabulary);
    checkLogits(of_text, text.logits, config.vocabulary);
  }
  return difference(whole, text.logits);
}

TEST_CASE("logits equal those of transformers: whole, in steps, token by token, beside another sequence") {
  const std::vector<Golden> list = goldens();
  REQUIRE(list.size() >= 20);
  for (const Golden& golden : list) {
    CAPTURE(golden.name);
    const LoadedModel model(golden.folder);
    const ModelConfig config = configOf(golden, model);
    const double first = checkText(model, config, golden.texts[0]);
    const double second = checkText(model, config, golden.texts[1]);
    std::printf("%-30s largest difference %.1e, %.1e\n", golden.name.c_str(), first, second);
  }
}

// --------------------------------------------------------------------------------------------- planted faults
using Scaling = RopeConfig::Scaling;

struct Fault {
  const char* name;
  // Changes a configuration; false if it has nothing of the kind.
  std::function<bool(ModelConfig&)> plant;
  // Whether every golden that it changes must find it. Otherwise one must: some have no pair or score that it reaches.
  bool everywhere = true;
};

bool scaled(const ModelConfig& config, std::initializer_list<Scaling> scalings) {
  return std::find(scalings.begin(), scalings.end(), config.rope.scaling) != scalings.end();
}

bool multiply(double& value, double factor, bool applies = true) {
  value *= factor;
  return applies;
}

bool multiply(float& value, float factor, bool applies = true) {
  value *= factor;
  return applies;
}

bool rotates(const ModelConfig& config) { return config.block != BlockKind::kGpt2; }

bool changeWindows(ModelConfig& config, const std::function<uint32_t(uint32_t)>& change) {
  bool any = false;
  for (uint32_t& window : config.window) {
    if (window == 0 || window >= 100) continue;
    window = change(window);
    any = true;
  }
  return any;
}

std::vector<Fault> faults() {
  return {
      {"rope_theta", [](ModelConfig& c) { return multiply(c.rope.theta, 1.1, rotates(c)); }},
      {"rotary_size",
       [](ModelConfig& c) {
         const bool halves = rotates(c) && c.rope.scaling != Scaling::kLongrope && c.rope.rotary_size % 8 == 0;
         return halves && (c.rope.rotary_size /= 2);
       }},
      {"no scaling",
       [](ModelConfig& c) {
         const bool any = c.rope.scaling != Scaling::kNone;
         c.rope.scaling = Scaling::kNone;
         return any;
       }},
      {"factor", [](ModelConfig& c) { return multiply(c.rope.factor, 1.1, c.rope.scaling != Scaling::kNone); }},
      {"original positions",
       [](ModelConfig& c) {
         return multiply(c.rope.original_positions, 4,
                         scaled(c, {Scaling::kLlama3, Scaling::kYarn, Scaling::kLongrope}));
       }},
      {"max positions",
       [](ModelConfig& c) { return multiply(c.rope.max_positions, 1.1, scaled(c, {Scaling::kDynamic})); }},
      {"low_freq_factor",
       [](ModelConfig& c) { return multiply(c.rope.low_freq_factor, 1.2, scaled(c, {Scaling::kLlama3})); }},
      {"high_freq_factor",
       [](ModelConfig& c) { return multiply(c.rope.high_freq_factor, 1.2, scaled(c, {Scaling::kLlama3})); }},
      {"beta_fast", [](ModelConfig& c) { return multiply(c.rope.beta_fast, 0.3, scaled(c, {Scaling::kYarn})); }, false},
      {"beta_slow", [](ModelConfig& c) { return multiply(c.rope.beta_slow, 3, scaled(c, {Scaling::kYarn})); }, false},
      {"truncate",
       [](ModelConfig& c) {
         c.rope.truncate = !c.rope.truncate;
         return c.rope.scaling == Scaling::kYarn;
       },
       false},
      {"mscale",
       [](ModelConfig& c) {
         return multiply(c.rope.mscale, 1.2,
                         c.rope.mscale != 0 && c.rope.mscale_all_dim != 0 && c.rope.attention_factor == 0);
       }},
      {"mscale_all_dim",
       [](ModelConfig& c) {
         return multiply(c.rope.mscale_all_dim, 1.2,
                         c.rope.mscale != 0 && c.rope.mscale_all_dim != 0 && c.rope.attention_factor == 0);
       }},
      {"mscale without mscale_all_dim",
       [](ModelConfig& c) {
         const bool alone = c.rope.mscale != 0 && c.rope.mscale_all_dim == 0;
         c.rope.mscale_all_dim = 1;
         return alone;
       }},
      {"attention_factor",
       [](ModelConfig& c) { return multiply(c.rope.attention_factor, 1.05, c.rope.attention_factor != 0); }},
      {"no attention_factor",
       [](ModelConfig& c) {
         const bool any = c.rope.attention_factor != 0;
         c.rope.attention_factor = 0;
         return any;
       }},
      {"short_factor",
       [](ModelConfig& c) { return c.rope.scaling == Scaling::kLongrope && multiply(c.rope.short_factor[1], 1.1); }},
      {"long_factor",
       [](ModelConfig& c) { return c.rope.scaling == Scaling::kLongrope && multiply(c.rope.long_factor[1], 1.1); }},
      {"window + 1", [](ModelConfig& c) { return changeWindows(c, [](uint32_t w) { return w + 1; }); }},
      {"window - 1", [](ModelConfig& c) { return changeWindows(c, [](uint32_t w) { return w - 1; }); }},
      {"no window", [](ModelConfig& c) { return changeWindows(c, [](uint32_t) { return 0u; }); }},
      {"layers of windows",
       [](ModelConfig& c) {
         std::rotate(c.window.begin(), c.window.begin() + 1, c.window.end());
         return windowsOf(c).size() > 1;
       }},
      {"embedding_scale", [](ModelConfig& c) { return multiply(c.embedding_scale, 1.02f, c.embedding_scale != 1); }},
      {"attention_scale", [](ModelConfig& c) { return multiply(c.attention_scale, 1.05f, c.attention_scale != 0); }},
      {"attention_cap", [](ModelConfig& c) { return multiply(c.attention_cap, 1.1f, c.attention_cap != 0); }, false},
      {"logit_cap", [](ModelConfig& c) { return multiply(c.logit_cap, 1.1f, c.logit_cap != 0); }},
      {"norm_offset", [](ModelConfig& c) { return multiply(c.norm_offset, 0.98f, c.norm_offset != 0); }},
      {"theta of windows", [](ModelConfig& c) { return c.window_rope && multiply(c.window_rope->theta, 1.2); }, false},
      {"one rotary embedding for all layers",
       [](ModelConfig& c) {
         const bool any = c.window_rope.has_value();
         c.window_rope.reset();
         return any;
       }},
      {"the other order of residuals",
       [](ModelConfig& c) {
         c.parallel = !c.parallel;
         return c.block == BlockKind::kNeox;
       }},
      {"scale of layers",
       [](ModelConfig& c) {
         c.layer_attention_scale = !c.layer_attention_scale;
         return c.block == BlockKind::kGpt2;
       }},
      {"rms_norm_eps",
       [](ModelConfig& c) {
         c.epsilon *= 1.5f;
         return c.epsilon > 1e-3f;
       }},
      {"silu",
       [](ModelConfig& c) {
         const bool any = c.activation == NIB_ACTIVATION_SILU;
         c.activation = NIB_ACTIVATION_GELU;
         return any;
       }},
      {"relu",
       [](ModelConfig& c) {
         const bool any = c.activation == NIB_ACTIVATION_RELU;
         c.activation = NIB_ACTIVATION_GELU;
         return any;
       }},
      {"gelu",
       [](ModelConfig& c) {
         const bool any = c.activation == NIB_ACTIVATION_GELU;
         c.activation = NIB_ACTIVATION_GELU_TANH;
         return any;
       },
       false},
      {"gelu_pytorch_tanh",
       [](ModelConfig& c) {
         const bool any = c.activation == NIB_ACTIVATION_GELU_TANH;
         c.activation = NIB_ACTIVATION_GELU;
         return any;
       },
       false},
  };
}

// This shows what the goldens can detect. It does not depend on the device, and on Vulkan would take a minute.
TEST_CASE("planted faults are found") {
  const char* device = std::getenv("NIBBLE_TEST_DEVICE");
  if (device == nullptr || std::string(device) != "cpu") return;
  const std::vector<Golden> list = goldens();
  for (const Fault& fault : faults()) {
    CAPTURE(std::string(fault.name));
    uint32_t planted = 0, found = 0;
    double least = INFINITY;
    for (const Golden& golden : list) {
      const LoadedModel model(golden.folder);
      ModelConfig config = configOf(golden, model);
      if (!fault.plant(config)) continue;
      ++planted;
      double largest = 0;
      for (const Text& text : golden.texts) {
        Runner runner = runnerOf(model, config, text.ids.size());
        largest = std::max(largest, difference(runWhole(runner, text.ids), text.logits));
      }
      CAPTURE(golden.name);
      if (fault.everywhere) CHECK(largest > kBound);
      found += largest > kBound;
      if (largest > kBound) least = std::min(least, largest);
    }
    CHECK(found > 0);
    std::printf("%-30s found in %u of %u, least difference %.1e\n", fault.name, found, planted, least);
  }
}

}  // namespace
}  // namespace nib::model::test
