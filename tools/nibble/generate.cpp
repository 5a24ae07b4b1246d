// nibble generate: continues a text.
#include "cache_option.h"
#include "model_paths.h"
#include "options.h"
#include "process.h"
#include "verb.h"

#include "kit/file.h"
#include "model/run/generate.h"
#include "model/run/loaded_model.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdio>

namespace nib::tool {
namespace {

struct Arguments {
  DeviceArguments device;
  JsonArguments json;
  std::string model, prompt, prompt_file;
  CacheArguments cache;
  uint32_t tokens = 128, top_k = 0;
  double temperature = 0, top_p = 1;
  uint64_t seed = 0;
};

std::atomic<bool> g_interrupted{false};

// Ends the text after the current token.
class InterruptGuard {
 public:
  InterruptGuard() : before_(std::signal(SIGINT, [](int) { g_interrupted = true; })) {}
  ~InterruptGuard() { std::signal(SIGINT, before_); }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  void (*before_)(int);
};

void check(const Arguments& a) {
  if (a.prompt.empty() == a.prompt_file.empty()) throw UsageError("either --prompt or --prompt-file is required");
  if (a.tokens == 0) throw UsageError("--tokens must be 1 or more");
  const bool is_greedy = a.temperature == 0;
  if (!is_greedy && !(a.temperature >= 1e-4 && a.temperature <= 100)) {
    throw UsageError("--temperature must be 0, or from 0.0001 to 100");
  }
  if (!(a.top_p > 0 && a.top_p <= 1)) throw UsageError("--top-p must be above 0 and at most 1");
  if (a.top_k > NIB_SELECT_MAX_COUNT) {
    throw UsageError("--top-k must be at most " + std::to_string(NIB_SELECT_MAX_COUNT));
  }
}

int runGenerate(const Arguments& a) {
  check(a);
  checkCacheType(a.cache);
  PathCheck paths(a.json.force);
  readsModel(paths, "MODEL", a.model);
  paths.reads("--prompt-file", a.prompt_file);
  readsDevice(paths, a.device);
  const Output output(a.json, paths);
  std::string prompt = a.prompt;
  if (!a.prompt_file.empty()) {
    const kit::Bytes bytes = kit::detail::readFile(a.prompt_file);
    prompt.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  model::LoadedModel loaded(a.model);
  model::refuseEncoder(loaded.config(), "MODEL", "and an encoder does not generate");
  const CacheChoice kv = cacheChoice(a.cache, loaded.config());
  const model::Tokenizer& tokenizer = loaded.tokenizer();
  const std::vector<uint32_t> ids = tokenizer.encode(prompt, true);
  const uint64_t positions = uint64_t(ids.size()) + a.tokens;
  if (positions > loaded.config().max_positions) {
    throw UsageError("the prompt has " + std::to_string(ids.size()) + " tokens; with --tokens " +
                     std::to_string(a.tokens) + " that exceeds the model's " +
                     std::to_string(loaded.config().max_positions) + " positions");
  }

  const kit::Device device = openDevice(a.device);
  model::RunnerOptions options;
  options.max_tokens = uint32_t(std::clamp<size_t>(ids.size(), 2, 512));
  options.positions = uint32_t(positions);
  options.cache = kv.cache;
  options.rotate_heads = kv.rotate_heads;
  model::Runner runner(model::TimedDevice(device), loaded.view(), loaded.config(), options);

  std::FILE* const file = output.text();
  const auto show = [file](const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), file);
    std::fflush(file);
    if (std::ferror(file) != 0) throw kit::Error(flushStdout());  // nobody reads stdout any more
  };
  model::Sampler sampler({a.temperature, a.top_k, a.top_p, a.seed});
  model::TextStream stream(tokenizer, true);
  const InterruptGuard guard;
  show(prompt);
  const model::Generated generated =
      model::generate(runner, ids, a.tokens, sampler, tokenizer.stopIds(), [&](uint32_t id) {
        show(stream.push(id));
        return !g_interrupted;
      });
  show(stream.finish() + "\n");
  const double count = double(generated.ids.size());
  std::fprintf(stderr, "nibble generate: %zu tokens of prompt in %.2f s, %zu tokens in %.2f s (%.1f/s) on %s%s\n",
               ids.size(), generated.prompt_seconds, generated.ids.size(), generated.seconds,
               generated.seconds > 0 ? count / generated.seconds : 0, device.info().name.c_str(),
               generated.stopped ? "; the model ended the text" : "");
  if (sampler.lackedCandidates()) {
    std::fprintf(stderr,
                 "nibble generate: the %d most likely tokens did not reach the probability of --top-p; the others were "
                 "left out. A smaller --top-p or a --top-k avoids that\n",
                 int(NIB_SELECT_MAX_COUNT));
  }
  if (output.wantsJson()) {
    output.json({{"device", device.info().name},
                 {"prompt_tokens", ids.size()},
                 {"ids", generated.ids},
                 {"text", tokenizer.decode(generated.ids, true)},
                 {"stopped", generated.stopped},
                 {"kv", kv.name},
                 {"kv_rotate", kv.rotate_heads},
                 {"kv_bytes_per_token", runner.cacheBytesPerToken()},
                 {"prompt_seconds", generated.prompt_seconds},
                 {"seconds", generated.seconds}});
  }
  return g_interrupted ? kExitFailed : kExitDone;
}

}  // namespace

Verb makeGenerateVerb(CLI::App& parent) {
  auto a = std::make_shared<Arguments>();
  CLI::App* app = parent.add_subcommand("generate", "Continue a text with a model, dense or quantized.");
  app->footer("Example: nibble generate model-int4/ --prompt \"In the beginning\" --tokens 64");
  app->add_option("MODEL", a->model, "Folder of the model with its tokenizer, or a .gguf file")->required();
  app->add_option("--prompt", a->prompt, "The text to continue");
  app->add_option("--prompt-file", a->prompt_file, "The same, from a file");
  app->add_option("--tokens", a->tokens, "At most this many new tokens (default 128)");
  app->add_option("--temperature", a->temperature, "0 (default): always the most likely token");
  app->add_option("--top-k", a->top_k, "Choose among the K most likely tokens; 0 = all (default)");
  app->add_option("--top-p", a->top_p,
                  "Choose among the fewest of those whose probabilities sum to at least this (default 1)");
  app->add_option("--seed", a->seed, "Seed of the random choice (default 0)");
  addCacheOptions(*app, a->cache);
  addDeviceOptions(*app, a->device);
  addJsonOptions(*app, a->json);
  return {app, [a] { return runGenerate(*a); }};
}

}  // namespace nib::tool
