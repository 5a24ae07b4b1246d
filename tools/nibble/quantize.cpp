// nibble quantize: reads a model and writes a quantized one.
#include "mixed_options.h"
#include "mixed_report.h"
#include "model_paths.h"
#include "model_text.h"
#include "options.h"
#include "progress_line.h"
#include "verb.h"
#include "weight_options.h"

#include <nibble/formats.h>

#include "model/archive/error.h"
#include "model/archive/gguf/formats.h"
#include "model/archive/hash.h"
#include "model/calibrate/recording.h"
#include "model/quantize/pipeline.h"
#include "model/run/loaded_model.h"
#include "model/tokenizer/inputs.h"

#include <algorithm>
#include <cstdio>

namespace nib::tool {
namespace {

struct Arguments {
  DeviceArguments device;
  JsonArguments json;  // --force replaces OUT too
  std::string in, out;
  std::string method = "rtn";
  std::string scale_search = "absmax";
  std::string format;   // "" = by the name of OUT
  std::string imatrix;  // "" = none
  std::vector<std::string> transforms;
  std::string range;  // "" = minmax
  std::string awq_objective = "layer";
  WeightArguments weights;
  std::string max_shard_size;  // "" = 5G
  std::string split_max_size;  // "" = one file
  std::string memory = "640M";
  bool resume = false;
  bool verbose = false;
  bool no_errors = false;
  // --method gptq
  std::string act_order = "static";
  double damp = 0.01;
  uint32_t block_size = 0;
  bool parity = false, no_sequential = false;
  uint64_t samples = 128, sequence_length = 512, seed = 0;
  MixedArguments mixed;
};

model::GptqOptions gptqOptions(const Arguments& a) {
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
void addCalibration(const Arguments& a, const std::string& purpose, model::QuantizeOptions& options) {
  const std::string data = dataFile(a.weights);
  if (data.empty()) throw UsageError(purpose + " needs --calib DATA: text, .jsonl, or .npy of token ids");
  if (a.sequence_length < 2) throw UsageError("--seq-len must be 2 or more");
  model::LoadedModel loaded(a.in);
  if (a.sequence_length > loaded.config().max_positions) {
    throw UsageError("--seq-len " + std::to_string(a.sequence_length) + " exceeds the model's " +
                     std::to_string(loaded.config().max_positions) + " positions (max_position_embeddings)");
  }
  const model::TokenInput input = model::loadTokens(data, data.ends_with(".npy") ? nullptr : &loaded.tokenizer());
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

void addGptq(const Arguments& a, model::QuantizeOptions& options) {
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
void checkTransformed(const Arguments& a, const model::QuantizeOptions& options) {
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

void addTransforms(const Arguments& a, model::QuantizeOptions& options) {
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
std::string dataUser(const Arguments& a, const model::QuantizeOptions& options) {
  if (a.method == "gptq") return "--method gptq";
  if (a.scale_search == "output") return "--scale-search output";
  for (const model::TransformChoice& choice : options.transforms) {
    if (model::kindOf(choice).needs_data) return "--transform " + choice.text();
  }
  if (a.mixed.asked()) return a.mixed.option();
  return options.input_range ? "--activations " + a.weights.activations : "";
}

// Ranges of static activations come from a file, or from data.
void addInputRange(const Arguments& a, model::QuantizeOptions& options) {
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

void addImportance(const Arguments& a, model::QuantizeOptions& options) {
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
std::string formatOf(const Arguments& a) {
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

model::QuantizeOptions optionsOf(const Arguments& a) {
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

double bitsPerWeight(const model::QuantizedTotal& total) {
  return 8.0 * double(total.bytes_out) / double(total.elements);
}

nlohmann::ordered_json quantizedJson(const model::QuantizedTotal& total) {
  if (total.tensors == 0) return nullptr;
  return {{"tensors", total.tensors},
          {"weights", total.elements},
          {"bits_per_weight", bitsPerWeight(total)},
          {"sqnr_db", total.compared ? finiteNumber(total.sqnr_db) : nullptr}};
}

// Tensors that did not fit their type.
struct Lost {
  uint64_t saturated_scales = 0, lost_groups = 0, overflowed = 0, vanished = 0, nonfinite = 0, f32_scales = 0,
           beyond_type = 0;
  std::string first_overflow, first_vanished, first_nonfinite, first_lost;  // tensors
};

Lost lostOf(const model::QuantizeReport& report) {
  Lost lost;
  const auto add = [](uint64_t count, const std::string& name, uint64_t& sum, std::string& first) {
    if (count != 0 && sum == 0) first = plainName(name);
    sum += count;
  };
  for (const model::TensorReport& t : report.tensors) {
    lost.saturated_scales += t.saturated;
    lost.f32_scales += t.wide_scales ? 1 : 0;
    lost.beyond_type += t.beyond_type ? 1 : 0;
    add(t.lost_groups, t.name, lost.lost_groups, lost.first_lost);
    add(t.overflowed, t.name, lost.overflowed, lost.first_overflow);
    add(t.vanished, t.name, lost.vanished, lost.first_vanished);
    add(t.nonfinite, t.name, lost.nonfinite, lost.first_nonfinite);
  }
  return lost;
}

nlohmann::ordered_json toJson(const Lost& lost) {
  return {{"overflowed", lost.overflowed},
          {"vanished", lost.vanished},
          {"nonfinite", lost.nonfinite},
          {"lost_groups", lost.lost_groups},
          {"saturated_scales", lost.saturated_scales},
          {"tensors_with_f32_scales", lost.f32_scales},
          {"tensors_beyond_type", lost.beyond_type}};
}

void printLost(std::FILE* file, const Lost& lost) {
  const auto line = [&](uint64_t count, const std::string& text) {
    if (count != 0) std::fprintf(file, "%llu %s\n", (unsigned long long)count, text.c_str());
  };
  line(lost.beyond_type, "tensors stay as they are, because the type cannot hold their values or scales");
  line(lost.overflowed,
       "values became infinite, the first in " + lost.first_overflow + ": choose a --type that holds them");
  line(lost.nonfinite, "values are NaN or infinite, the first in " + lost.first_nonfinite);
  line(lost.vanished, "values other than zero became zero in a cast, the first in " + lost.first_vanished);
  line(lost.f32_scales, "weights have scales of F32, because F16 cannot hold them");
  line(lost.lost_groups, "groups became zero, because their scale did, the first in " + lost.first_lost);
  line(lost.saturated_scales, "scales are beyond their type and were limited");
}

nlohmann::ordered_json denseJson(const model::DenseShare& share) {
  if (share.all == 0) return nullptr;
  nlohmann::ordered_json json = {{"weights", share.dense},
                                 {"all", share.all},
                                 {"share", double(share.dense) / double(share.all)},
                                 {"largest", nlohmann::ordered_json::array()}};
  for (const model::DenseGroup& group : share.largest) {
    json["largest"].push_back(
        {{"name", group.name},
         {"weights", group.weights},
         {"include", group.pattern.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(group.pattern)},
         {"why", group.why}});
  }
  return json;
}

nlohmann::ordered_json transformsJson(const std::vector<model::TransformReport>& transforms) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  const auto numberOf = [](const std::optional<double>& value) {
    return value ? finiteNumber(*value) : nlohmann::ordered_json(nullptr);
  };
  for (const model::TransformReport& transform : transforms) {
    nlohmann::ordered_json groups = nlohmann::ordered_json::array();
    for (const model::TransformStep& step : transform.steps) {
      groups.push_back({{"layer", step.layer},
                        {"before", step.before},
                        {"modules", step.modules},
                        {"setting", step.setting},
                        {"value", numberOf(step.value)},
                        {"plain_loss", numberOf(step.plain_loss)},
                        {"loss", numberOf(step.loss)}});
    }
    json.push_back({{"name", transform.name}, {"groups", groups}});
  }
  return json;
}

nlohmann::ordered_json toJson(const model::QuantizeReport& report, const std::string& scale_search) {
  nlohmann::ordered_json json = {{"device", report.device},
                                 {"seconds", report.seconds},
                                 {"bytes_in", report.bytes_in},
                                 {"bytes_out", report.bytes_out},
                                 {"scale_search", scale_search},
                                 {"quantized", quantizedJson(report.quantized)},
                                 {"mixed", report.mixed ? mixedJson(*report.mixed) : nullptr},
                                 {"lost", toJson(lostOf(report))},
                                 {"dropped_scales", report.dropped_scales},
                                 {"bare_fp8", report.bare_fp8},
                                 {"dense", denseJson(report.dense)},
                                 {"notes", report.notes},
                                 {"transforms", transformsJson(report.transforms)},
                                 {"stages", nlohmann::ordered_json::object()},
                                 {"tensors", nlohmann::ordered_json::array()}};
  for (size_t i = 0; i < model::kStageCount; ++i)
    json["stages"][model::stageName(model::Stage(i))] = report.stage_seconds[i];
  for (const model::TensorReport& t : report.tensors) {
    nlohmann::ordered_json tensor = {
        {"name", t.name},
        {"shape", t.shape},
        {"type", t.type},
        {"group_size", t.group_size != 0 ? nlohmann::ordered_json(t.group_size) : nlohmann::ordered_json(nullptr)},
        {"bits_per_weight", t.bits_per_weight},
        {"bytes_in", t.bytes_in},
        {"bytes_out", t.bytes_out}};
    addErrors(tensor, t.compared, t.errors);
    if (t.kept_from_before) tensor["resumed"] = true;
    if (t.saturated != 0) tensor["saturated_scales"] = t.saturated;
    if (t.lost_groups != 0) tensor["lost_groups"] = t.lost_groups;
    if (t.overflowed != 0) tensor["overflowed"] = t.overflowed;
    if (t.vanished != 0) tensor["vanished"] = t.vanished;
    if (t.nonfinite != 0) tensor["nonfinite"] = t.nonfinite;
    if (t.wide_scales) tensor["f32_scales"] = true;
    if (t.beyond_type) tensor["beyond_type"] = true;
    if (!t.note.empty()) tensor["note"] = t.note;
    if (t.gptq) {
      const model::GptqLayerReport& g = *t.gptq;
      tensor["gptq"] = {{"loss", finiteNumber(g.loss)},
                        {"nearest_loss", finiteNumber(g.nearest_loss)},
                        {"damp", g.damp},
                        {"tokens", g.tokens},
                        {"dead_columns", g.dead},
                        {"rounded_to_nearest", g.nearest}};
      if (!g.note.empty()) tensor["gptq"]["note"] = g.note;
    }
    json["tensors"].push_back(tensor);
  }
  return json;
}

void printTable(std::FILE* file, const model::QuantizeReport& report) {
  Table table({"tensor", "shape", "type", "group", "bits/weight", "SQNR dB", "max error", "note"},
              {false, true, false, true, true, true, true, false});
  uint64_t kept = 0;
  for (const model::TensorReport& t : report.tensors) {
    if (!t.changed && t.note.empty()) {
      ++kept;
      continue;
    }
    std::string note = t.kept_from_before ? "from the run before" : t.note;
    if (t.gptq && t.gptq->nearest) note += (note.empty() ? "" : "; ") + ("rounded to nearest: " + t.gptq->note);
    if (t.gptq && !t.gptq->nearest) {
      note += (note.empty() ? "" : "; ") + numberText("loss %.3g", t.gptq->loss) +
              numberText(", to nearest %.3g", t.gptq->nearest_loss);
    }
    const auto addCount = [&](uint64_t count, const char* what) {
      if (count != 0) note += (note.empty() ? "" : "; ") + std::to_string(count) + what;
    };
    addCount(t.overflowed, " became infinite");
    addCount(t.vanished, " became zero");
    addCount(t.nonfinite, " NaN or infinite");
    addCount(t.lost_groups, " groups became zero");
    addCount(t.saturated, " scales saturated");
    table.add({plainName(t.name), shapeText(t.shape), t.type, t.group_size != 0 ? std::to_string(t.group_size) : "-",
               numberText("%.3f", t.bits_per_weight), t.compared ? numberText("%.2f", t.errors.sqnr_db) : "-",
               t.compared ? numberText("%.3g", t.errors.max_error) : "-", note});
  }
  table.print(file);
  std::fprintf(file, "%zu tensors, %llu of them unchanged; %.1f MB -> %.1f MB in %.2f s on %s\n", report.tensors.size(),
               (unsigned long long)kept, double(report.bytes_in) / 1e6, double(report.bytes_out) / 1e6, report.seconds,
               report.device.c_str());
}

void printTransforms(std::FILE* file, const std::vector<model::TransformReport>& transforms) {
  for (const model::TransformReport& transform : transforms) {
    Table table({transform.name, "before", "choice", "loss without", "loss"}, {false, false, false, true, true});
    for (const model::TransformStep& step : transform.steps) {
      if (!step.loss && !step.value) continue;
      std::string modules;
      for (const std::string& module : step.modules) {
        modules += (modules.empty() ? "" : ", ") + module.substr(module.rfind('.') + 1);
      }
      table.add({"layer " + std::to_string(step.layer) + ": " + modules, step.before.substr(step.before.rfind('.') + 1),
                 step.setting + (step.value ? numberText(" %.2f", *step.value) : ""),
                 step.plain_loss ? numberText("%.4g", *step.plain_loss) : "-",
                 step.loss ? numberText("%.4g", *step.loss) : "-"});
    }
    table.print(file);
  }
}

void printInput(std::FILE* file, const model::QuantizeReport& report) {
  if (report.bare_fp8 != 0)
    std::fprintf(file, "%zu FP8 tensors have no scale: their codes were read as values\n", report.bare_fp8);
  if (report.dropped_scales == 0) return;
  std::fprintf(file, "%zu scales of activations were left out: they belong to the input's quantization\n",
               report.dropped_scales);
}

void printTotal(std::FILE* file, const model::QuantizedTotal& total, const std::string& scale_search) {
  if (total.tensors == 0) return;
  const std::string errors = total.compared ? ", SQNR " + numberText("%.2f", total.sqnr_db) + " dB" : "";
  const char* const scales = scale_search == "mse"      ? ", scales of the least squared error"
                             : scale_search == "output" ? ", scales of the least error of outputs"
                                                        : "";
  std::fprintf(file, "%zu quantized to %.3f bits per weight%s%s\n", total.tensors, bitsPerWeight(total), scales,
               errors.c_str());
}

void printNotes(std::FILE* file, const std::vector<std::string>& notes) {
  for (const std::string& note : notes) std::fprintf(file, "note: %s\n", note.c_str());
}

// The share of the weights that stay dense, and what would quantize the largest of them.
void printDense(std::FILE* file, const model::DenseShare& share) {
  if (share.dense == 0) return;
  const auto percent = [&](uint64_t weights) {
    return numberText("%.1f %%", 100.0 * double(weights) / double(share.all));
  };
  std::string text;
  for (const model::DenseGroup& group : share.largest) {
    // A name that is safe to print makes a pattern that is.
    const bool can = !group.pattern.empty() && plainName(group.name) == group.name;
    text += (text.empty() ? ": " : ", ") + plainName(group.name) + " " + percent(group.weights) + " (" +
            (can ? "--include '" + group.pattern + "'" : group.why) + ")";
  }
  std::fprintf(file, "%s of the weights stay dense%s\n", percent(share.dense).c_str(), text.c_str());
}

// Prints how long each stage was busy, and the ratio of the total time to the slowest stage.
void printStages(const model::QuantizeReport& report) {
  std::string text;
  size_t slowest = 0;
  for (size_t i = 0; i < model::kStageCount; ++i) {
    if (report.stage_seconds[i] > report.stage_seconds[slowest]) slowest = i;
    text +=
        std::string(i ? ", " : "") + model::stageName(model::Stage(i)) + numberText(" %.2f s", report.stage_seconds[i]);
  }
  std::fprintf(stderr, "%s busy; %u tensors at a time in pieces of %.0f MB; the whole took %.2f of the slowest, %s\n",
               text.c_str(), report.lanes, double(report.slab_bytes) / 1e6,
               report.stage_seconds[slowest] > 0 ? report.seconds / report.stage_seconds[slowest] : 1.0,
               model::stageName(model::Stage(slowest)));
}

void printBlockTimes(const model::BlockTimes& times) {
  std::string text;
  for (size_t p = 0; p < model::kBlockPhases; ++p) {
    const auto phase = model::BlockPhase(p);
    text += std::string(p ? ", " : "") + model::phaseName(phase) + numberText(" %.2f s", times.seconds(phase));
  }
  std::fprintf(stderr, "gptq: %s\n", text.c_str());
}

int runQuantize(const Arguments& arguments) {
  PathCheck paths(arguments.json.force);
  readsModel(paths, "IN", arguments.in);
  readsWeightOptions(paths, arguments.weights);
  if (!arguments.imatrix.empty()) paths.reads("--imatrix", arguments.imatrix);
  readsDevice(paths, arguments.device);
  paths.writesFolder("-o", arguments.out);
  const Output output(arguments.json, paths);
  model::QuantizeOptions options = optionsOf(arguments);
  const kit::Device device = openDevice(arguments.device);
  ProgressLine line("quantize", "MB", 1e6);
  options.progress = [&line](const model::Progress& p) { line.show(p.done_bytes, p.total_bytes); };
  ProgressLine calibration("quantize", "tokens", 1);
  if (!options.calibration.sequences.empty()) {
    options.calibration.progress = [&calibration](uint64_t done, uint64_t all) {
      calibration.show(done, all);
      if (done == all) calibration.clear();
    };
  }
  ProgressLine measurement("quantize", "tokens", 1);
  if (options.mixed) {
    options.mixed->progress = [&measurement](uint64_t done, uint64_t all) {
      measurement.show(done, all);
      if (done == all) measurement.clear();
    };
  }
  const model::QuantizeReport report = model::quantizeModel(device, options);
  line.clear();
  printNotes(output.text(), report.notes);
  printTransforms(output.text(), report.transforms);
  printTable(output.text(), report);
  if (report.mixed) printMixed(output.text(), *report.mixed);
  printTotal(output.text(), report.quantized, arguments.scale_search);
  printDense(output.text(), report.dense);
  printInput(output.text(), report);
  printLost(output.text(), lostOf(report));
  if (arguments.verbose) printStages(report);
  if (arguments.verbose && options.gptq) printBlockTimes(report.gptq_times);
  if (output.wantsJson()) output.json(toJson(report, arguments.scale_search));
  return kExitDone;
}

}  // namespace

Verb makeQuantizeVerb(CLI::App& parent) {
  auto a = std::make_shared<Arguments>();
  CLI::App* app = parent.add_subcommand(
      "quantize",
      "Quantize or cast a model (Hugging Face folder, .safetensors or .gguf file), dense or quantized already.");
  app->footer("Example: nibble quantize model/ -o model-int4/ --type int4 --group-size 64");
  app->add_option("IN", a->in, "Folder of the model, or a .safetensors or .gguf file")->required();
  app->add_option("-o,--output", a->out, "Folder to write, or a .gguf file; appears whole or not at all")->required();
  app->add_option("--method", a->method,
                  "rtn: round to nearest (default); gptq: round column by column, and correct the remaining columns\n"
                  "by activations of the --calib data (arXiv 2210.17323)");
  app->add_option("--scale-search", a->scale_search,
                  "absmax: scales from the largest magnitude of a group (default); mse: of 80 smaller ranges, the one\n"
                  "of the least squared error; output: of 28, the one of the least error of the layer's outputs for\n"
                  "--calib DATA, as AWQ clips (arXiv 2306.00978)");
  app->add_option("--transform", a->transforms,
                  "Change the model first, without changing its results; may be given several times, in order: awq\n"
                  "(arXiv 2306.00978), smooth[:ALPHA|:auto] (arXiv 2211.10438), rotate[:random] (arXiv 2404.00456),\n"
                  "equalize (arXiv 1906.04721), hadamard (in front of down, while the model\n"
                  "runs: in nibble alone), split[:PERCENT] (arXiv 1901.09504), clip[:PERCENTILE], which does change\n"
                  "them, bias (arXiv 1906.04721); awq, smooth and bias read --calib DATA")
      ->allow_extra_args(false);
  app->add_option(
      "--awq-objective", a->awq_objective,
      "layer: awq compares the outputs of the layers that it scales (default); module: of the attention or\n"
      "feed-forward module that they are in, on 2048 tokens, as AutoAWQ does");
  app->add_option("--range", a->range,
                  "Ranges of static activations from --calib DATA: minmax (default), ema, percentile:P, mse,\n"
                  "entropy-ort, entropy-trt, as nibble calibrate has them");
  app->add_option(
      "--imatrix", a->imatrix,
      "Importance of columns for the types of --format gguf: a file of nibble calibrate --importance or of\n"
      "llama-imatrix");
  app->add_option("--act-order", a->act_order,
                  "Order of columns for gptq: static (default: by falling input energy, with the groups' own scales),\n"
                  "desc (the same, but groups are of columns that follow each other in that order; --format gptq),\n"
                  "gar (whole groups), none");
  app->add_option("--damp", a->damp, "Damping for gptq, a fraction of the mean diagonal (default 0.01)");
  app->add_option("--samples", a->samples, "Sequences of --calib DATA, drawn by --seed; 0 = all (default 128)");
  app->add_option("--seq-len", a->sequence_length, "Tokens of a sequence (default 512)");
  app->add_option("--seed", a->seed, "Which sequences are drawn, and the signs of rotations (default 0)");
  app->add_option("--block-size", a->block_size, "Columns that gptq quantizes at a time, up to 128");
  app->add_flag("--parity", a->parity, "Scales of gptq's groups as the published code finds them (--act-order none)");
  app->add_flag("--no-true-sequential", a->no_sequential, "All layers of a block from the same forward pass");
  addMixedOptions(*app, a->mixed);
  app->add_option(
      "--format", a->format,
      "compressed-tensors (default); gptq and gptq_v2: int2, int3, int4, int8; awq: int4 (--asym); bnb: nf4, fp4,\n"
      "int8; gguf (default if OUT ends with .gguf): q8_0, q4_0, ..., one\n"
      "file for llama.cpp; safetensors: F32, F16, BF16; dense: any type, stored as the\n"
      "values of its codes, to measure it with any program");
  a->weights.takes_data = true;
  addWeightOptions(*app, a->weights, "int4 (default), int8, nf4, fp4, fp8, mxfp4, F32, F16, BF16, ...");
  app->add_option("--max-shard-size", a->max_shard_size, "5G (default), 200M, ...");
  app->add_option(
      "--split-max-size", a->split_max_size,
      "2G, 500M, ...: GGUF in parts of this size at most, model-00001-of-00003.gguf, ... in the folder OUT");
  app->add_option(
      "--memory", a->memory,
      "Approximate size of all buffers, 640M (default), 8G, ...; more allows larger pieces of tensors, and\n"
      "more activations of gptq in memory instead of a file beside OUT");
  app->add_flag("--no-errors", a->no_errors, "Do not compare quantized weights with the originals, which is faster");
  app->add_flag("-v,--verbose", a->verbose, "Print how long each stage was busy");
  app->add_flag("--resume", a->resume, "Continue an interrupted run");
  addDeviceOptions(*app, a->device);
  addJsonOptions(*app, a->json);
  return {app, [a] { return runQuantize(*a); }};
}

}  // namespace nib::tool
