// nibble eval: perplexity of a model, and the divergence of its predictions from another model's.
#include "cache_option.h"
#include "data_windows.h"
#include "encoder_outputs.h"
#include "in_memory_weights.h"
#include "model_paths.h"
#include "model_text.h"
#include "multiple_choice.h"
#include "options.h"
#include "progress_line.h"
#include "verb.h"
#include "weight_options.h"

#include "model/eval/evaluate.h"
#include "model/run/loaded_model.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace nib::tool {
namespace {

struct Arguments {
  DeviceArguments device;
  JsonArguments json;
  DataArguments data;
  std::string model, against;
  std::string protocol = "plain";
  CacheArguments cache;
  uint32_t stride = 0;
  WeightArguments weights;
  QuestionArguments choices;
  OutputsArguments outputs;
};

// Refuses options that have no effect.
void checkChoices(const Arguments& a) {
  if (a.choices.file.empty()) {
    if (a.data.data.empty()) throw UsageError("--data is required (or --choices, for multiple-choice questions)");
    if (a.choices.adds_bos) throw UsageError("--add-bos goes with --choices");
    return;
  }
  const bool has_data = !a.data.data.empty() || a.data.window != 0 || a.data.windows != 0 || !a.outputs.texts.empty();
  if (has_data || a.stride != 0 || !a.against.empty()) {
    throw UsageError(
        "--choices goes without --data and its options, without --outputs, and without --against: compare two models "
        "with "
        "nibble compare A B --ab --choices");
  }
}

// Refuses options that do not go with the kind of the model.
void checkKind(const Arguments& a, const model::ModelConfig& config) {
  const bool llamacpp = a.protocol == "llamacpp";
  if (!config.encoder) {
    if (!a.outputs.texts.empty()) throw UsageError("--outputs: " + config.family + " models are no encoders");
    return;
  }
  if (llamacpp || a.stride != 0) {
    throw UsageError(std::string(llamacpp ? "--protocol llamacpp" : "--stride") + ": " + config.family +
                     " models are encoders, whose windows are adjacent and predict masked tokens");
  }
  if (config.image && a.outputs.texts.empty()) {
    throw UsageError("MODEL: " + config.family + " models read images: give --outputs KIND=FILE.npy");
  }
  if (!a.outputs.texts.empty() && !a.against.empty()) throw UsageError("--outputs goes without --against");
}

model::EvalOptions optionsOf(const Arguments& a, model::LoadedModel& loaded) {
  const bool llamacpp = a.protocol == "llamacpp";
  model::EvalOptions options = windowOptions(a.data, loaded.config(), llamacpp ? 512 : 2048);
  options.protocol = llamacpp ? model::Protocol::kLlamacpp : model::Protocol::kPlain;
  options.stride = a.stride != 0 ? a.stride : options.window;
  if (options.stride > options.window) throw UsageError("--stride must be at most --window");
  if (llamacpp && a.stride != 0) throw UsageError("--protocol llamacpp has no --stride");
  return options;
}

nlohmann::ordered_json toJson(const std::string& device, const model::EvalOptions& options, const model::EvalResult& r,
                              bool against) {
  const bool plain = options.protocol == model::Protocol::kPlain;
  const char* const protocol = options.masking ? "masked" : plain ? "plain" : "llamacpp";
  nlohmann::ordered_json json = {{"device", device},
                                 {"perplexity", finiteNumber(r.perplexity())},
                                 {"nll", finiteNumber(r.nll.mean())},
                                 {"nll_se", finiteNumber(r.nll.error())},
                                 {"tokens", r.nll.count()},
                                 {"windows", r.windows},
                                 {"window", options.window},
                                 {"stride", options.stride},
                                 {"protocol", protocol}};
  if (options.masking) json["masked_percent"] = model::kMaskPercent;
  if (against) {
    json["reference_perplexity"] = finiteNumber(std::exp(r.reference_nll.mean()));
    json["mean_kl"] = finiteNumber(r.kl.mean());
    json["mean_kl_se"] = finiteNumber(r.kl.error());
    json["nll_delta"] = finiteNumber(r.nll_delta.mean());
    json["nll_delta_se"] = finiteNumber(r.nll_delta.error());
    json["top1_agreement"] = double(r.agreed) / double(r.nll.count());
  }
  json["seconds"] = r.seconds;
  json["tokens_per_s"] = r.seconds > 0 ? finiteNumber(double(r.windows * options.window) / r.seconds) : nullptr;
  return json;
}

void print(std::FILE* file, const std::string& device, const model::EvalOptions& options, const model::EvalResult& r,
           bool against) {
  std::fprintf(file, "%sperplexity %.4f   nll %.5f +- %.5f   %llu %stokens predicted, %llu windows of %u",
               options.masking ? "pseudo-" : "", r.perplexity(), r.nll.mean(), r.nll.error(),
               (unsigned long long)r.nll.count(), options.masking ? "masked " : "", (unsigned long long)r.windows,
               options.window);
  if (options.masking) {
    std::fprintf(file, ", %u %% masked at once (not comparable with a decoder's)", model::kMaskPercent);
  } else if (options.protocol == model::Protocol::kLlamacpp) {
    std::fprintf(file, ", as llama-perplexity");
  } else if (options.stride != options.window) {
    std::fprintf(file, ", stride %u", options.stride);
  }
  std::fprintf(file, "\n");
  if (against) {
    std::fprintf(file,
                 "reference  %.4f   mean KL %.6f +- %.6f   nll difference %+.6f +- %.6f   top-1 agreement %.2f %%\n",
                 std::exp(r.reference_nll.mean()), r.kl.mean(), r.kl.error(), r.nll_delta.mean(), r.nll_delta.error(),
                 100 * double(r.agreed) / double(r.nll.count()));
  }
  std::fprintf(file, "%.1f s, %.0f tokens/s on %s\n", r.seconds,
               r.seconds > 0 ? double(r.windows * options.window) / r.seconds : 0, device.c_str());
}

int runEval(const Arguments& a) {
  if (a.protocol != "plain" && a.protocol != "llamacpp") {
    throw UsageError("--protocol " + a.protocol + ": expected plain or llamacpp");
  }
  checkChoices(a);
  checkCacheType(a.cache);
  PathCheck paths(a.json.force);
  readsModel(paths, "MODEL", a.model);
  readsModel(paths, "--against", a.against);
  if (!a.data.data.empty()) paths.reads("--data", a.data.data);
  if (!a.choices.file.empty()) paths.reads("--choices", a.choices.file);
  readsWeightOptions(paths, a.weights);
  readsDevice(paths, a.device);
  writesOutputs(paths, a.outputs);
  const Output output(a.json, paths);
  if (!a.choices.file.empty()) return evalChoices(output, a.device, a.choices, a.model, a.weights, a.cache);
  model::LoadedModel loaded(a.model);
  const CacheChoice kv = cacheChoice(a.cache, loaded.config());
  checkKind(a, loaded.config());
  const std::optional<model::InMemory> in_memory = inMemoryOf(a.weights, loaded.view());
  model::RunnerOptions runner_options;
  if (!a.outputs.texts.empty()) {
    if (in_memory && loaded.config().image) {
      throw UsageError("--type: " + loaded.config().family +
                       " models are quantized by nibble quantize alone; give its output as MODEL");
    }
    if (in_memory) runner_options.in_memory = &*in_memory;
    return evalOutputs(output, openDevice(a.device), a.outputs, a.data, loaded, runner_options);
  }
  model::EvalOptions options = optionsOf(a, loaded);
  if (loaded.config().encoder) options.masking.emplace(loaded.tokenizer());
  const std::vector<uint32_t> ids = tokensOf(a.data, loaded, options.window);
  if (options.protocol == model::Protocol::kLlamacpp && isText(a.data) && !loaded.tokenizer().before().empty()) {
    options.bos = loaded.tokenizer().bos();
  }
  const size_t windows = model::cutWindows(ids.size(), options).size();

  const kit::Device device = openDevice(a.device);
  const model::TimedDevice timed(device);
  constexpr uint32_t kStepTokens = 2048;
  runner_options.sequences = uint32_t(std::min<size_t>(std::max(1u, kStepTokens / options.window), windows));
  runner_options.max_tokens = runner_options.sequences * options.window;
  runner_options.positions = options.window;
  std::optional<model::LoadedModel> loaded_reference;
  std::optional<model::Runner> reference;
  if (!a.against.empty()) {
    loaded_reference.emplace(a.against);
    reference.emplace(timed, loaded_reference->view(), loaded_reference->config(), runner_options);
  }
  if (in_memory) runner_options.in_memory = &*in_memory;
  runner_options.cache = kv.cache;
  runner_options.rotate_heads = kv.rotate_heads;
  model::Runner runner(timed, loaded.view(), loaded.config(), runner_options);

  ProgressLine line("eval", "tokens", 1);
  const model::EvalResult result =
      model::evaluate(runner, reference ? &*reference : nullptr, ids, options, [&line](uint64_t done, uint64_t all) {
        line.show(done, all);
        return true;
      });
  line.clear();
  print(output.text(), device.info().name, options, result, reference.has_value());
  if (output.wantsJson()) {
    nlohmann::ordered_json json = toJson(device.info().name, options, result, reference.has_value());
    const double bits = runner.weights().quantizedBits();
    json["kv"] = kv.name;
    json["kv_rotate"] = kv.rotate_heads;
    json["kv_bytes_per_token"] = runner.cacheBytesPerToken();
    json["bits_per_weight"] = bits > 0 ? nlohmann::ordered_json(bits) : nlohmann::ordered_json(nullptr);
    output.json(json);
  }
  return kExitDone;
}

}  // namespace

Verb makeEvalVerb(CLI::App& parent) {
  auto a = std::make_shared<Arguments>();
  CLI::App* app = parent.add_subcommand(
      "eval", "Run a model on a text: perplexity, and with --against the divergence from another model's predictions.");
  app->footer(
      "Example: nibble eval model-int4/ --data test.txt --against model/\n"
      "An encoder's loss is that of 15 % of the tokens of each window, chosen by a fixed seed, all replaced by the "
      "mask "
      "token; special tokens are never chosen.");
  app->add_option("MODEL", a->model, "Folder of the model, or a .gguf file; dense or quantized")->required();
  app->add_option("--data", a->data.data,
                  "UTF-8 text, .jsonl with a \"text\" per line, or .npy of token ids or, with --outputs, images");
  addQuestionOptions(*app, a->choices);
  app->add_option("--against", a->against,
                  "A reference model, with a cache of F32: prints mean KL(reference || MODEL) and more");
  addOutputsOption(*app, a->outputs);
  addWindowOptions(*app, a->data);
  app->add_option("--stride", a->stride, "From window to window (default: the window)")
      ->check(CLI::Range(uint64_t(1), uint64_t(UINT32_MAX)));
  app->add_option("--protocol", a->protocol,
                  "plain (default), or llamacpp: windows of 512, of which the second half is scored");
  addCacheOptions(*app, a->cache);
  addWeightOptions(*app, a->weights, "Quantize the linear layers of a dense MODEL to this type first, in memory");
  addDeviceOptions(*app, a->device);
  addJsonOptions(*app, a->json);
  return {app, [a] { return runEval(*a); }};
}

}  // namespace nib::tool
