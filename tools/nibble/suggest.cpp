// nibble suggest: ways to quantize a model for a device, with sizes, losses and speeds.
#include "model_paths.h"
#include "model_text.h"
#include "options.h"
#include "progress_line.h"
#include "verb.h"

#if defined(NIBBLE_HAS_BENCH)
#include "bench/ceilings.h"
#endif
#include "kit/file.h"
#include "model/archive/error.h"
#include "model/archive/json_document.h"
#include "model/calibrate/recording.h"
#include "model/run/loaded_model.h"
#include "model/suggest/bandwidth.h"
#include "model/suggest/sampled_loss.h"
#include "model/suggest/suggest.h"
#include "model/tokenizer/inputs.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>

namespace nib::tool {
namespace {

struct Arguments {
  DeviceArguments device;
  JsonArguments json;
  std::string model, calib, memory;
  std::string quality = "high";
  uint32_t context = 0;  // 0 = the default
  uint32_t blocks = 3;
  uint64_t samples = 4, sequence_length = 512, seed = 0;
};

struct Network {
  model::ModelConfig config;
  std::string config_json;
  model::Dtype dense = model::Dtype::kF16;
};

// From config.json alone, so that a model need not be there whole.
Network readNetwork(const std::string& path) {
  std::string text;
  if (path.ends_with(".gguf")) {
    const model::Checkpoint checkpoint(path);
    text = checkpoint.configJson().value_or("");
  } else {
    std::filesystem::path file(path);
    if (std::filesystem::is_directory(file)) file /= "config.json";
    const kit::Bytes bytes = kit::detail::readFile(file.string());
    text.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  if (text.empty()) throw UsageError("MODEL " + path + ": there is no config.json");
  Network network{model::readConfig(text), text};
  model::refuseEncoder(network.config, "MODEL", "whose losses at each type are not known");
  const nlohmann::ordered_json json = model::readJsonText(text, path, "config.json", model::JsonNumbers::kPython);
  for (const char* key : {"torch_dtype", "dtype"}) {
    if (!json.is_object() || !json.contains(key) || !json[key].is_string()) continue;
    const std::string dtype = json[key];
    if (dtype == "bfloat16") network.dense = model::Dtype::kBF16;
    if (dtype == "float32") network.dense = model::Dtype::kF32;
  }
  return network;
}

struct Bandwidth {
  std::optional<double> gigabytes_per_second;
  bool measured = false;
};

Bandwidth measureBandwidth(const kit::Device& device) {
#if defined(NIBBLE_HAS_BENCH)
  constexpr uint64_t kBytes = 256u << 20;
  constexpr double kSeconds = 0.5;
  if (device.isCpu()) return {bench::measureHostCopy(kBytes, kSeconds).value, true};
#if !defined(NIB_NO_VULKAN)
  bench::Ceilings ceilings;
  bench::measureCopies(device, std::min(kBytes, device.info().max_storage_range_bytes), kSeconds, &ceilings);
  return {ceilings.copy.value, true};
#endif
#endif
  (void)device;
  return {};
}

model::Quality qualityOf(const std::string& name) {
  const std::string word = chosen("--quality", {name}, {"high", "medium", "low"})[0];
  return word == "high" ? model::Quality::kHigh : word == "medium" ? model::Quality::kMedium : model::Quality::kLow;
}

std::vector<std::vector<uint32_t>> readSequences(const Arguments& a, model::LoadedModel& loaded) {
  const model::TokenInput input = model::loadTokens(a.calib, a.calib.ends_with(".npy") ? nullptr : &loaded.tokenizer());
  uint64_t length = input.row_tokens != 0 ? std::min(input.row_tokens, a.sequence_length) : a.sequence_length;
  length = std::min<uint64_t>(length, loaded.config().max_positions);
  std::vector<std::vector<uint32_t>> sequences;
  for (const model::Sequence& s : model::chooseSequences(input.ids.size(), length, a.samples, a.seed)) {
    const auto begin = input.ids.begin() + std::ptrdiff_t(s.first);
    sequences.emplace_back(begin, begin + std::ptrdiff_t(s.count));
  }
  return sequences;
}

// OUT of a suggested command: beside the working folder's files, named after the model and the type.
std::string outputOf(const std::string& path, const model::Suggestion& s) {
  std::filesystem::path name = std::filesystem::path(path).lexically_normal();
  if (name.filename() == "config.json") name = name.parent_path();
  if (!name.has_filename()) name = name.parent_path();
  std::string stem = name.extension() == ".gguf" ? name.stem().string() : name.filename().string();
  if (stem.empty() || stem == "." || stem == "..") stem = "model";
  std::string type = s.type + (s.group_size ? "-" + std::to_string(*s.group_size) : "");
  if (s.method == "gptq") type += "-gptq";
  return stem + "-" + type + (s.format == "gguf" ? ".gguf" : "");
}

std::string shellWord(const std::string& word) {
  const bool plain = !word.empty() && word.find_first_not_of(
                                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789_-./+=,:@") == std::string::npos;
  if (plain) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string commandOf(const Arguments& a, const model::Suggestion& s) {
  if (s.type.empty()) return "";
  std::string text =
      "nibble quantize " + shellWord(a.model) + " -o " + shellWord(outputOf(a.model, s)) + " " + s.arguments();
  if (s.method == "gptq") text += " --calib " + (a.calib.empty() ? std::string("DATA") : shellWord(a.calib));
  return text;
}

std::string megabytes(uint64_t bytes) { return numberText("%.1f", double(bytes) / 1e6); }

struct Facts {
  std::string device;  // or profile
  Bandwidth bandwidth;
  std::optional<uint64_t> memory_bytes;
  uint32_t blocks = 0;  // that losses were measured on; 0 = they are estimated
  uint32_t layers = 0;
  std::vector<std::string> notes;
};

void print(std::FILE* file, const Arguments& a, const Facts& facts, const std::vector<model::Suggestion>& all) {
  Table table({"type", "method", "format", "bits/weight", "weights MB", "cache MB", "all MB", "KL", "tokens/s", "note"},
              {false, false, false, true, true, true, true, true, true, false});
  const model::Suggestion* best = nullptr;
  for (const model::Suggestion& s : all) {
    if (best == nullptr && s.fits) best = &s;
    const std::string group = s.group_size ? ":" + std::to_string(*s.group_size) : "";
    const std::string sign = s.loss_measured || s.loss == 0 ? "" : "~";
    table.add({s.type.empty() ? "as it is" : s.type + group, s.method.empty() ? "-" : s.method,
               s.format.empty() ? "-" : s.format, numberText("%.3f", s.bits_per_weight), megabytes(s.footprint.weights),
               megabytes(s.footprint.cache), megabytes(s.footprint.all()), sign + numberText("%.2g", s.loss),
               s.tokens_per_second
                   ? "~" + numberText(*s.tokens_per_second < 100 ? "%.3g" : "%.0f", *s.tokens_per_second)
                   : "-",
               !s.fits   ? "too large"
               : !s.good ? "loses more than --quality " + a.quality
                         : ""});
  }
  table.print(file);
  std::fprintf(file, "sizes: computed from config.json, as nibble runs the model; for a context of %u tokens\n",
               a.context);
  if (facts.blocks != 0) {
    std::fprintf(
        file, "KL: measured on the layers of %u of %u blocks, and scaled to all; ~ with gptq is estimated from that\n",
        facts.blocks, facts.layers);
  } else {
    std::fprintf(
        file, "KL: ~ estimated from the bits, as a small model loses (larger ones lose less); --calib measures it\n");
  }
  if (facts.bandwidth.gigabytes_per_second) {
    std::fprintf(
        file, "tokens/s: ~ estimated, at most: %s memory bandwidth of %s, %.4g GB/s, over the bytes of a token\n",
        facts.bandwidth.measured ? "measured" : "typical", facts.device.c_str(), *facts.bandwidth.gigabytes_per_second);
  }
  if (best == nullptr) {
    std::fprintf(file, "nothing fits %s MB: allow more --memory, or a shorter --context\n",
                 megabytes(facts.memory_bytes.value_or(0)).c_str());
  } else if (best->type.empty()) {
    std::fprintf(file, "the model fits as it is\n");
  } else {
    std::fprintf(file, "%s\n", commandOf(a, *best).c_str());
  }
}

nlohmann::ordered_json toJson(const Arguments& a, const Facts& facts, const std::vector<model::Suggestion>& all) {
  const auto known = [](const auto& value) {
    return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
  };
  nlohmann::ordered_json json = {{"device", facts.device},
                                 {"memory_bytes", known(facts.memory_bytes)},
                                 {"context", a.context},
                                 {"quality", a.quality},
                                 {"bandwidth",
                                  {{"gbps", known(facts.bandwidth.gigabytes_per_second)},
                                   {"source", !facts.bandwidth.gigabytes_per_second ? "unknown"
                                              : facts.bandwidth.measured            ? "measured"
                                                                                    : "estimated"}}},
                                 {"measured_blocks", facts.blocks},
                                 {"blocks", facts.layers},
                                 {"left_out", facts.notes},
                                 {"suggestions", nlohmann::ordered_json::array()}};
  for (const model::Suggestion& s : all) {
    const auto text = [](const std::string& word) {
      return word.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(word);
    };
    json["suggestions"].push_back({{"type", text(s.type)},
                                   {"group_size", known(s.group_size)},
                                   {"format", text(s.format)},
                                   {"method", text(s.method)},
                                   {"bits_per_weight", s.bits_per_weight},
                                   {"bytes",
                                    {{"all", s.footprint.all()},
                                     {"weights", s.footprint.weights},
                                     {"cache", s.footprint.cache},
                                     {"activations", s.footprint.activations},
                                     {"source", "computed"}}},
                                   {"kl", s.loss},
                                   {"kl_source", s.loss_measured  ? "measured"
                                                 : s.type.empty() ? "exact"
                                                                  : "estimated"},
                                   {"tokens_per_s", known(s.tokens_per_second)},
                                   {"tokens_per_s_source", s.tokens_per_second ? "estimated" : "unknown"},
                                   {"fits", s.fits},
                                   {"good", s.good},
                                   {"command", text(commandOf(a, s))}});
  }
  return json;
}

int runSuggest(Arguments a) {
  PathCheck paths(a.json.force);
  readsModel(paths, "MODEL", a.model);
  paths.reads("--calib", a.calib);
  readsDevice(paths, a.device);
  const Output output(a.json, paths);
  model::SuggestOptions options;
  options.quality = qualityOf(a.quality);
  if (!a.memory.empty()) options.memory_bytes = parseSize("--memory", a.memory);
  const Network network = readNetwork(a.model);
  constexpr uint32_t kUsualContext = 2048;
  if (a.context == 0) a.context = std::min(kUsualContext, network.config.max_positions);
  if (a.context > network.config.max_positions) {
    throw UsageError("--context " + std::to_string(a.context) + " exceeds the model's " +
                     std::to_string(network.config.max_positions) + " positions (max_position_embeddings)");
  }
  options.context = a.context;
  if (a.blocks == 0) throw UsageError("--blocks must be 1 or more");
  if (a.sequence_length < 2) throw UsageError("--seq-len must be 2 or more");

  // Read before anything is measured.
  std::optional<model::LoadedModel> loaded;
  std::vector<std::vector<uint32_t>> sequences;
  if (!a.calib.empty()) {
    if (a.sequence_length > network.config.max_positions) {
      throw UsageError("--seq-len " + std::to_string(a.sequence_length) + " exceeds the model's " +
                       std::to_string(network.config.max_positions) + " positions (max_position_embeddings)");
    }
    loaded.emplace(a.model);
    sequences = readSequences(a, *loaded);
  }

  Facts facts;
  facts.layers = network.config.layers;
  std::optional<kit::Device> device;
  if (!a.device.profile.empty()) {
    const std::vector<std::string> ids = kit::profileIds();
    if (std::find(ids.begin(), ids.end(), a.device.profile) == ids.end()) {
      throw UsageError("--profile " + a.device.profile + ": there is no such profile; `nibble devices --profiles` " +
                       "lists them");
    }
    facts.device = a.device.profile;
    facts.bandwidth = {model::typicalBandwidth(a.device.profile), false};
    if (!a.calib.empty()) {
      DeviceArguments here = a.device;
      here.profile.clear();
      device.emplace(openDevice(here));
    }
  } else {
    device.emplace(openDevice(a.device));
    facts.device = device->info().name;
    facts.bandwidth = measureBandwidth(*device);
    const uint64_t memory = device->info().memory_bytes;
    if (!options.memory_bytes && !device->isCpu() && memory != 0) options.memory_bytes = memory;
  }
  facts.memory_bytes = options.memory_bytes;
  options.gigabytes_per_second = facts.bandwidth.gigabytes_per_second;

  std::optional<model::SampledLoss> loss;
  if (!a.calib.empty()) {
    loss.emplace(model::TimedDevice(*device), loaded->view(), loaded->config(), std::move(sequences), a.blocks);
    facts.blocks = loss->blocks();
    options.measure = [&](const model::LayerWeights& weights) { return loss->measure(weights); };
  }
  options.note = [&](const std::string& line) { facts.notes.push_back(line); };
  const std::vector<model::Suggestion> all = model::suggest(network.config_json, network.dense, options);
  print(output.text(), a, facts, all);
  if (output.wantsJson()) output.json(toJson(a, facts, all));
  return kExitDone;
}

}  // namespace

Verb makeSuggestVerb(CLI::App& parent) {
  auto a = std::make_shared<Arguments>();
  CLI::App* app = parent.add_subcommand(
      "suggest", "Ways to quantize a model for a device: sizes, losses, speeds, and the command of each, best first.");
  app->footer("Example: nibble suggest model/ --memory 8G --quality medium --calib text.txt");
  app->add_option("MODEL", a->model, "Folder of the model, of which config.json is enough; or a .gguf file")
      ->required();
  app->add_option("--memory", a->memory,
                  "What weights, cache and activations must fit: 8G, ... (default: the device's memory)");
  app->add_option("--quality", a->quality,
                  "high (default), medium or low: up to a mean KL of 0.003, 0.02 or 0.1 the smallest is the best");
  app->add_option("--context", a->context, "Tokens in the cache (default: 2048, or the model's positions if fewer)");
  app->add_option("--calib", a->calib,
                  "Text, .jsonl or .npy of token ids: measures losses on some blocks of the model, on the device");
  app->add_option("--blocks", a->blocks, "How many blocks (default 3)");
  app->add_option("--samples", a->samples, "Sequences of --calib, drawn by --seed; 0 = all (default 4)");
  app->add_option("--seq-len", a->sequence_length, "Tokens of a sequence (default 512)");
  app->add_option("--seed", a->seed, "Which sequences are drawn (default 0)");
  addDeviceOptions(*app, a->device);
  addJsonOptions(*app, a->json);
  return {app, [a] { return runSuggest(*a); }};
}

}  // namespace nib::tool
