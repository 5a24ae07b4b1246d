#include "mixed_options.h"

#include "model_text.h"
#include "options.h"

#include "model/archive/error.h"

#include <algorithm>
#include <set>

namespace nib::tool {
namespace {

constexpr size_t kMostTypes = 16;

const char* usualTypes(const std::string& format) {
  if (format == "gguf") return "q3_k,q4_k,q5_k,q6_k,q8_0";
  if (format.starts_with("gptq")) return "int2,int3,int4,int8";
  return "int2,int4,int8";
}

void checkOptions(const MixedArguments& a, const WeightArguments& weights, const std::string& format) {
  if (!a.budget && a.size.empty()) throw UsageError("--types goes with --budget or --size");
  if (a.budget && !a.size.empty()) throw UsageError("--budget and --size exclude each other");
  const std::string option = a.option();
  if (a.budget && !(*a.budget > 0 && *a.budget <= 32)) {
    throw UsageError("--budget must be bits per weight, more than 0 and up to 32");
  }
  if (!weights.type.empty() || weights.bits != 0) {
    throw UsageError(option + " chooses among --types: leave out " + (weights.bits != 0 ? "--bits" : "--type"));
  }
  if (weights.activations != "none") throw UsageError(option + " goes with --activations none");
  if (format == "dense" || format == "safetensors") {
    throw UsageError(option + ": --format " + format +
                     " stores values, whose size does not depend on the type: "
                     "choose another");
  }
  chosen("--sensitivity", {a.sensitivity}, {"one", "full"});
}

}  // namespace

void addMixedOptions(CLI::App& app, MixedArguments& a) {
  app.add_option("--budget", a.budget,
                 "Bits per weight, scales included: chooses a type for each layer among --types so that the model\n"
                 "loses the least on the --calib data within them");
  app.add_option("--size", a.size, "The same within a size of the output's tensors: 3.4M, 4G, ...");
  app.add_option(
      "--types", a.types,
      "Types to choose among, TYPE[:G],...; a layer of F16 or BF16 stays as it is (default: int2,int4,int8;\n"
      "also int3 for --format gptq; q3_k,q4_k,q5_k,q6_k,q8_0 for gguf)");
  app.add_option("--sensitivity", a.sensitivity,
                 "one (default): the loss of each layer is measured at one type and estimated for the others;\n"
                 "full: it is measured at every type");
  app.add_flag("--separate", a.separate,
               "Each layer gets a type of its own, also those that vLLM and SGLang fuse (q, k, v; gate, up), which\n"
               "then cannot load the model; llama.cpp and transformers can. Always so for --format gguf");
  app.add_option("--kl-samples", a.kl_samples,
                 "How many of the --samples losses are measured on; 0 = all (default 16)");
}

std::vector<model::SizedType> mixedTypes(const MixedArguments& a, WeightArguments& weights, const std::string& format) {
  checkOptions(a, weights, format);
  const std::string list = a.types.empty() ? usualTypes(format) : a.types;
  std::vector<model::SizedType> types;
  std::set<std::string> names;
  for (size_t at = 0; at <= list.size();) {
    const size_t end = std::min(list.find(',', at), list.size());
    try {
      types.push_back(model::parseSizedType(list.substr(at, end - at), "--types"));
    } catch (const model::Error& error) {
      throw UsageError(error.what());
    }
    if (!names.insert(types.back().name()).second)
      throw UsageError("--types: " + types.back().name() + " is there twice");
    at = end + 1;
  }
  if (types.size() < 2) throw UsageError("--types " + list + ": name at least two types");
  if (types.size() > kMostTypes) throw UsageError("--types: name at most " + std::to_string(kMostTypes) + " types");
  const auto quantized = std::find_if(types.begin(), types.end(), [](const auto& t) { return t.type.quantized(); });
  if (quantized == types.end()) throw UsageError("--types " + list + ": name a quantized type");
  weights.type = quantized->type.name();
  weights.types_chosen = true;
  return types;
}

model::MixedOptions mixedOptions(const MixedArguments& a, const std::string& format,
                                 std::vector<model::SizedType> types, std::vector<std::vector<uint32_t>> sequences) {
  model::MixedOptions options;
  options.types = std::move(types);
  options.bits = a.budget.value_or(0);
  if (!a.size.empty()) options.size_bytes = parseSize("--size", a.size);
  options.measure_all = chosen("--sensitivity", {a.sensitivity}, {"one", "full"})[0] == "full";
  options.separate = a.separate || format == "gguf";
  options.sequences = std::move(sequences);
  options.measured_sequences = size_t(a.kl_samples);
  return options;
}

std::string commandOf(const MixedArguments& a, const model::MixedOptions& options) {
  std::string command = options.size_bytes ? " --size " + std::to_string(*options.size_bytes)
                                           : " --budget " + numberText("%.9g", options.bits);
  std::string names;
  for (const model::SizedType& type : options.types) names += (names.empty() ? "" : ",") + type.name();
  command += " --types " + names + " --sensitivity " + (options.measure_all ? "full" : "one");
  if (options.separate) command += " --separate";
  return command + " --kl-samples " + std::to_string(a.kl_samples);
}

}  // namespace nib::tool
