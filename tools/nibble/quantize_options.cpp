#include "quantize_options.h"

#include "data_windows.h"
#include "model_paths.h"
#include "model_text.h"

#include <nibble/formats.h>

#include "model/archive/error.h"
#include "model/archive/gguf/formats.h"
#include "model/archive/hash.h"
#include "model/calibrate/recording.h"
#include "model/run/loaded_model.h"

#include <algorithm>

namespace nib::tool {
namespace {

model::GptqOptions gptqOptions(const QuantizeArguments& a) {
  model::GptqOptions options;
  const std::string order = chosen("--act-order", {a.act_order}, {"static", "desc", "gar", "none"})[0];
  options.order = order == "none"   ? model::ColumnOrder::kNone
                  : order == "desc" ? model::ColumnOrder::kFalling
                  : order == "gar"  ? model::ColumnOrder::kGroups
                                    : model::ColumnOrder::kStatic;
  if (!(a.damp >= 0 && a.damp <= 1)) throw UsageError("--damp must be from 0 to 1");
  options.damp = a.damp;
  options.block = a.block_size;
  if (a.block_size % 8 != 0 || a.block_size > 128) throw UsageError("--block-size must be a multiple of 8 up to 128");
  options.parity = a.parity;
  options.sequential = !a.no_sequential;
  return options;
}

// Reads the calibration data for `purpose`, "--method gptq".
void addCalibration(const QuantizeArguments& a, const std::string& purpose, model::QuantizeOptions& options) {
  const std::string data = dataFile(a.weights);
  if (data.empty()) throw UsageError(purpose + " needs --calib DATA: text, .jsonl, or .npy of token ids");
  if (a.sequence_length < 2) throw UsageError("--seq-len must be 2 or more");
  model::LoadedModel loaded(a.in);
  if (a.sequence_length > loaded.config().max_positions) {
    throw UsageError("--seq-len " + std::to_string(a.sequence_length) + " exceeds the model's " +
                     std::to_string(loaded.config().max_positions) + " positions (max_position_embeddings)");
  }
  const model::TokenInput input = loadData(data, loaded, a.sequence_length);
  const uint64_t length = input.row_tokens != 0 ? std::min(input.row_tokens, a.sequence_length) : a.sequence_length;
  std::vector<std::vector<uint32_t>>& sequences = options.calibration.sequences;
  uint64_t tokens = 0;
  for (const model::Sequence& s : model::chooseSequences(input.ids.size(), length, a.samples, a.seed)) {
    const auto begin = input.ids.begin() + std::ptrdiff_t(s.first);
    sequences.emplace_back(begin, begin + std::ptrdiff_t(s.count));
    tokens += s.count;
  }
  if (tokens == 0) throw UsageError("--calib " + data + ": there are no tokens");
  model::Hasher hasher;
  for (const std::vector<uint32_t>& ids : sequences) hasher.add(std::as_bytes(std::span(ids)));
  options.command += " --calib " + hasher.digest().hex();
}

// Rounding to nearest with scales by the error of outputs.
void addOutputSearch(model::QuantizeOptions& options) {
  if (!options.selection.type.quantized()) throw UsageError("--scale-search output needs a quantized --type");
  options.gptq.emplace();
  options.gptq->nearest = options.gptq->search_outputs = true;
  options.gptq->order = model::ColumnOrder::kNone;
}

void addGptq(const QuantizeArguments& a, model::QuantizeOptions& options) {
  if (!options.selection.type.quantized()) throw UsageError("--method gptq needs a quantized --type");
  if (a.scale_search == "output" && (a.act_order == "none" || a.act_order == "desc")) {
    throw UsageError("--scale-search output finds scales before columns are rounded: --act-order static or gar");
  }
  if (a.parity && options.selection.search_scales) {
    throw UsageError(
        "--parity finds scales from the largest magnitudes, as the published code does: leave out "
        "--scale-search mse");
  }
  options.gptq = gptqOptions(a);
  options.gptq->search_outputs = a.scale_search == "output";
  options.command += " --act-order " + a.act_order + " --damp " + numberText("%.9g", a.damp) + " --block-size " +
                     std::to_string(a.parity ? a.block_size : 0) + (a.parity ? " --parity" : "") +
                     (a.no_sequential ? " --no-true-sequential" : "");
}

// The options whose data belong to the model as it was.
void checkTransformed(const QuantizeArguments& a, const model::QuantizeOptions& options) {
  const std::string mend =
      ", which a transform changes: write the transformed model first (--format safetensors "
      "--type F32 --transform ...), and ";
  if (model::isStatic(options.selection.activations) && !rangesFile(a.weights).empty()) {
    throw UsageError("--transform: the ranges of --calib CALIB.json are of the model's activations" + mend +
                     "calibrate and quantize that one; or give the data itself, --calib DATA");
  }
  if (!a.imatrix.empty()) {
    throw UsageError("--transform: --imatrix is of the model's activations" + mend +
                     "collect its importance and quantize that one");
  }
}

void addTransforms(const QuantizeArguments& a, model::QuantizeOptions& options) {
  try {
    for (const std::string& text : a.transforms) options.transforms.push_back(model::parseTransform(text));
  } catch (const model::Error& error) {
    throw UsageError(error.what());
  }
  const auto isAwq = [](const model::TransformChoice& choice) { return choice.name == "awq"; };
  if (a.awq_objective != "layer" && std::none_of(options.transforms.begin(), options.transforms.end(), isAwq)) {
    throw UsageError("--awq-objective goes with --transform awq");
  }
  if (options.transforms.empty()) return;
  checkTransformed(a, options);
  options.seed = a.seed;
  options.awq_modules = chosen("--awq-objective", {a.awq_objective}, {"layer", "module"})[0] == "module";
  if (options.awq_modules) options.command += " --awq-objective module";
  for (const model::TransformChoice& choice : options.transforms) options.command += " --transform " + choice.text();
  options.command += " --seed " + std::to_string(a.seed);
}

// The option that needs calibration data; "" = none does.
std::string dataUser(const QuantizeArguments& a, const model::QuantizeOptions& options) {
  if (a.method == "gptq") return "--method gptq";
  if (a.scale_search == "output") return "--scale-search output";
  for (const model::TransformChoice& choice : options.transforms) {
    if (model::kindOf(choice).needs_data) return "--transform " + choice.text();
  }
  if (a.mixed.asked()) return a.mixed.option();
  return options.input_range ? "--activations " + a.weights.activations : "";
}

// Ranges of static activations come from a file, or from data.
void addInputRange(const QuantizeArguments& a, model::QuantizeOptions& options) {
  const bool from_data = model::isStatic(options.selection.activations) && rangesFile(a.weights).empty();
  if (!from_data) {
    if (!a.range.empty()) throw UsageError("--range goes with static --activations and --calib DATA");
    return;
  }
  const std::string name = a.range.empty() ? "minmax" : a.range;
  options.input_range = model::findRangeChoice(name);
  if (!options.input_range) {
    throw UsageError("--range " + name + ": expected minmax, ema, percentile:P, mse, entropy-ort or entropy-trt");
  }
  options.command += " --range " + options.input_range->name();
}

void addImportance(const QuantizeArguments& a, model::QuantizeOptions& options) {
  if (options.container != &model::gguf()) throw UsageError("--imatrix goes with --format gguf");
  if (a.method == "gptq") throw UsageError("--imatrix goes with --method rtn: gptq weighs columns by itself");
  options.importance = model::ImportanceFile{a.imatrix, model::readImportance(a.imatrix)};
  model::Hasher hasher;
  for (const auto& [name, entry] : options.importance->importance.entries) {
    hasher.add(std::string_view(name));
    hasher.add(std::as_bytes(std::span(entry.squares)));
    hasher.add(std::as_bytes(std::span(entry.counts)));
  }
  options.command += " --imatrix " + hasher.digest().hex();
}

// The name of the container: --format, or what the name of OUT says.
std::string formatOf(const QuantizeArguments& a) {
  const bool is_file = a.out.ends_with(".gguf");
  if (a.format.empty()) return is_file ? "gguf" : "compressed-tensors";
  if (is_file && a.format != "gguf") {
    throw UsageError("-o " + a.out + ": is the name of a GGUF file, and --format " + a.format +
                     " writes a folder: name a folder, or leave out --format");
  }
  return a.format;
}

std::string usualType(const std::string& format) {
  return format == "bnb" ? "nf4" : format == "gguf" ? "q8_0" : format == "safetensors" ? "F16" : "int4";
}

// --type may name a mix of llama-quantize, whose most frequent type takes its place then.
void chooseType(WeightArguments& weights, const std::string& format, model::QuantizeOptions& options) {
  if (format == "gguf" && weights.type.empty() && weights.bits == 0) weights.type = usualType(format);
  const model::GgufMix* const mix = model::findGgufMix(weights.type);
  if (mix == nullptr) return;
  const uint32_t base = model::formatOfGgml(mix->base);
  if (format != "gguf") {
    if (model::findWeightType(weights.type)) return;
    throw UsageError("--type " + weights.type + " is a mix of types for llama.cpp, which only --format gguf has");
  }
  if (base == 0) throw UsageError("--type " + weights.type + ": this build of nibble does not have its type");
  options.mix = mix;
  weights.type = nibFormatById(base)->name;
}

}  // namespace

model::QuantizeOptions optionsOf(const QuantizeArguments& a) {
  model::QuantizeOptions options;
  options.in = a.in;
  options.out = a.out;
  const std::string format = formatOf(a);
  options.container = model::findContainer(format);
  if (options.container == nullptr) {
    std::string names;
    for (const std::string& name : model::containerNames()) names += (names.empty() ? "" : ", ") + name;
    throw UsageError("--format " + format + ": expected one of " + names);
  }
  if (a.method != "rtn" && a.method != "gptq") throw UsageError("--method " + a.method + ": expected rtn or gptq");
  WeightArguments weights = a.weights;
  std::vector<model::SizedType> types;
  if (a.mixed.asked()) {
    types = mixedTypes(a.mixed, weights, format);
  } else {
    chooseType(weights, format, options);
  }
  // AWQ's own files have zero points.
  if (format == "awq" && !weights.sym && weights.scale == "full") weights.asym = true;
  options.selection = selectionOf(weights, usualType(format));
  options.selection.search_scales =
      chosen("--scale-search", {a.scale_search}, {"absmax", "mse", "output"})[0] != "absmax";
  const std::string shard_size = a.max_shard_size.empty() ? "5G" : a.max_shard_size;
  if (format == "gguf" && !a.max_shard_size.empty()) {
    throw UsageError("--max-shard-size is for folders of safetensors; --split-max-size divides GGUF");
  }
  if (!a.split_max_size.empty()) {
    if (format != "gguf") throw UsageError("--split-max-size goes with --format gguf");
    if (a.out.ends_with(".gguf")) {
      throw UsageError("-o " + a.out +
                       ": --split-max-size writes a folder of parts: name a folder, with --format gguf");
    }
    options.split_bytes = parseSize("--split-max-size", a.split_max_size);
  }
  options.max_shard_bytes = parseSize("--max-shard-size", shard_size);
  options.memory_bytes = parseSize("--memory", a.memory);
  if (options.memory_bytes < model::kLeastMemory) {
    throw UsageError("--memory " + a.memory + ": must be at least " + std::to_string(model::kLeastMemory / 1'000'000) +
                     "M");
  }
  options.force = a.json.force;
  options.resume = a.resume;
  options.errors = !a.no_errors;

  // All options that can change the output bytes, and no others.
  std::string& command = options.command;
  command = "quantize --method " + a.method + " --format " + format + commandOf(weights, options.selection);
  if (options.mix != nullptr) command += std::string(" --mix ") + options.mix->name;
  if (options.selection.search_scales) command += " --scale-search " + a.scale_search;
  command += " --max-shard-size " + shard_size;
  if (options.split_bytes) command += " --split-max-size " + std::to_string(*options.split_bytes);
  if (!a.imatrix.empty()) addImportance(a, options);
  addTransforms(a, options);
  addInputRange(a, options);
  const std::string user = dataUser(a, options);
  if (!user.empty()) {
    addCalibration(a, user, options);
  } else if (!dataFile(a.weights).empty()) {
    throw UsageError("--calib " + dataFile(a.weights) +
                     ": is calibration data, which --method gptq, --scale-search output, --transform awq or smooth, "
                     "--budget, --size and static activations read");
  }
  const auto isBias = [](const model::TransformChoice& choice) { return choice.name == "bias"; };
  if (a.method == "gptq" && std::any_of(options.transforms.begin(), options.transforms.end(), isBias)) {
    throw UsageError("--transform bias corrects what --method rtn does; gptq keeps means by itself");
  }
  if (a.method == "gptq") addGptq(a, options);
  if (a.method != "gptq" && a.scale_search == "output") addOutputSearch(options);
  if (a.mixed.asked()) {
    options.mixed = mixedOptions(a.mixed, format, std::move(types), options.calibration.sequences);
    command += commandOf(a.mixed, *options.mixed);
  }
  for (char& c : command) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return options;
}

void addQuantizeOptions(CLI::App& app, QuantizeArguments& a) {
  app.add_option("IN", a.in, "Folder of the model, or a .safetensors or .gguf file")->required();
  app.add_option("-o,--output", a.out, "Folder to write, or a .gguf file; appears whole or not at all")->required();
  app.add_option("--method", a.method,
                 "rtn: round to nearest (default); gptq: round column by column, and correct the remaining columns\n"
                 "by activations of the --calib data (arXiv 2210.17323)");
  app.add_option("--scale-search", a.scale_search,
                 "absmax: scales from the largest magnitude of a group (default); mse: of 80 smaller ranges, the one\n"
                 "of the least squared error; output: of 28, the one of the least error of the layer's outputs for\n"
                 "--calib DATA, as AWQ clips (arXiv 2306.00978)");
  app.add_option("--transform", a.transforms,
                 "Change the model first, without changing its results; may be given several times, in order: awq\n"
                 "(arXiv 2306.00978), smooth[:ALPHA|:auto] (arXiv 2211.10438), rotate[:random] (arXiv 2404.00456),\n"
                 "equalize (arXiv 1906.04721), hadamard (in front of down, while the model\n"
                 "runs: in nibble alone), split[:PERCENT] (arXiv 1901.09504), clip[:PERCENTILE], which does change\n"
                 "them, bias (arXiv 1906.04721); awq, smooth and bias read --calib DATA")
      ->allow_extra_args(false);
  app.add_option("--awq-objective", a.awq_objective,
                 "layer: awq compares the outputs of the layers that it scales (default); module: of the attention or\n"
                 "feed-forward module that they are in, on 2048 tokens, as AutoAWQ does");
  app.add_option("--range", a.range,
                 "Ranges of static activations from --calib DATA: minmax (default), ema, percentile:P, mse,\n"
                 "entropy-ort, entropy-trt, as nibble calibrate has them");
  app.add_option("--imatrix", a.imatrix,
                 "Importance of columns for the types of --format gguf: a file of nibble calibrate --importance or of\n"
                 "llama-imatrix");
  app.add_option("--act-order", a.act_order,
                 "Order of columns for gptq: static (default: by falling input energy, with the groups' own scales),\n"
                 "desc (the same, but groups are of columns that follow each other in that order; --format gptq),\n"
                 "gar (whole groups), none");
  app.add_option("--damp", a.damp, "Damping for gptq, a fraction of the mean diagonal (default 0.01)");
  app.add_option("--samples", a.samples, "Sequences of --calib DATA, drawn by --seed; 0 = all (default 128)");
  app.add_option("--seq-len", a.sequence_length, "Tokens of a sequence (default 512)");
  app.add_option("--seed", a.seed, "Which sequences are drawn, and the signs of rotations (default 0)");
  app.add_option("--block-size", a.block_size, "Columns that gptq quantizes at a time, up to 128");
  app.add_flag("--parity", a.parity, "Scales of gptq's groups as the published code finds them (--act-order none)");
  app.add_flag("--no-true-sequential", a.no_sequential, "All layers of a block from the same forward pass");
  addMixedOptions(app, a.mixed);
  app.add_option(
      "--format", a.format,
      "compressed-tensors (default); gptq and gptq_v2: int2, int3, int4, int8; awq: int4 (--asym); bnb: nf4, fp4,\n"
      "int8; gguf (default if OUT ends with .gguf): q8_0, q4_0, ..., one\n"
      "file for llama.cpp; safetensors: F32, F16, BF16; dense: any type, stored as the\n"
      "values of its codes, to measure it with any program");
  a.weights.takes_data = true;
  addWeightOptions(app, a.weights, "int4 (default), int8, nf4, fp4, fp8, mxfp4, F32, F16, BF16, ...");
  app.add_option("--max-shard-size", a.max_shard_size, "5G (default), 200M, ...");
  app.add_option("--split-max-size", a.split_max_size,
                 "2G, 500M, ...: GGUF in parts of this size at most, model-00001-of-00003.gguf, ... in the folder OUT");
  app.add_option("--memory", a.memory,
                 "Approximate size of all buffers, 640M (default), 8G, ...; more allows larger pieces of tensors, and\n"
                 "more activations of gptq in memory instead of a file beside OUT");
  app.add_flag("--no-errors", a.no_errors, "Do not compare quantized weights with the originals, which is faster");
  app.add_flag("-v,--verbose", a.verbose, "Print how long each stage was busy");
  app.add_flag("--resume", a.resume, "Continue an interrupted run");
  addDeviceOptions(app, a.device);
  addJsonOptions(app, a.json);
}

}  // namespace nib::tool
