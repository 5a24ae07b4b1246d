#include "weight_options.h"

#include <nibble/formats.h>

#include "options.h"

#include "model/archive/error.h"
#include "model/calibrate/static_inputs.h"

namespace nib::tool {
namespace {

using model::Activations;
using model::Granularity;

model::WeightType typeOf(const WeightArguments& a, const std::string& usual_type) {
  std::string name = a.type;
  if (a.bits != 0) {
    if (!name.empty()) throw UsageError("--bits and --type exclude each other");
    if (a.bits != 2 && a.bits != 3 && a.bits != 4 && a.bits != 8) throw UsageError("--bits must be 2, 3, 4 or 8");
    name = "int" + std::to_string(a.bits);
  }
  if (name.empty()) name = usual_type;
  const auto type = model::findWeightType(name);
  if (!type) throw UsageError("--type " + name + ": expected one of " + model::weightTypeNames());
  return *type;
}

Activations activationsOf(const std::string& name) {
  if (name == "none") return Activations::kNone;
  if (name == "int8-token") return Activations::kInt8Token;
  if (name == "int4-token") return Activations::kInt4Token;
  if (name == "fp8-token") return Activations::kFp8Token;
  if (name == "int8-static") return Activations::kInt8Static;
  if (name == "fp8-static") return Activations::kFp8Static;
  throw UsageError("--activations " + name +
                   ": expected none, int8-token, int4-token, int8-static, fp8-token or "
                   "fp8-static");
}

void setGroups(const WeightArguments& a, model::SelectionOptions& selection) {
  if (a.granularity == "tensor") {
    selection.granularity = Granularity::kTensor;
  } else if (a.granularity == "channel") {
    selection.granularity = Granularity::kChannel;
  } else if (a.granularity == "group") {
    selection.granularity = Granularity::kGroup;
  } else if (!a.granularity.empty()) {
    throw UsageError("--granularity " + a.granularity + ": expected tensor, channel or group");
  }
  if (a.group_size == 0) return;
  if (selection.granularity && *selection.granularity != Granularity::kGroup) {
    throw UsageError("--group-size goes with --granularity group");
  }
  if (a.group_size != -1 && (a.group_size < 16 || a.group_size > 256 || a.group_size % 16 != 0)) {
    throw UsageError("--group-size must be a multiple of 16 from 16 to 256, or -1");
  }
  selection.granularity = Granularity::kGroup;
  selection.group_size = a.group_size;
}

}  // namespace

void addWeightOptions(CLI::App& app, WeightArguments& a, const std::string& type_help) {
  app.add_option("--type", a.type, type_help);
  app.add_option("--bits", a.bits, "2, 3, 4 or 8: the integer type of that width");
  app.add_option("--granularity", a.granularity,
                 "tensor, channel or group: which weights share a scale (default: group; 8-bit types: channel)");
  app.add_option("--group-size", a.group_size, "16 to 256 (default 128; nf4 and fp4: 64), or -1: one group per row");
  app.add_flag("--sym", a.sym, "Symmetric codes (default)");
  app.add_flag("--asym", a.asym, "Codes with zero points");
  app.add_option("--scale", a.scale, "full: absmax/(qmax+1/2) (default), narrow: absmax/qmax");
  app.add_option(
      "--activations", a.activations,
      "none (default), int8-token, int4-token, int8-static, fp8-token, fp8-static: how the loader quantizes\n"
      "activations; int4-token (absmax/7 per token) is for eval, no container states it");
  app.add_option("--calib", a.calib,
                 a.takes_data ? "Data to learn from: text, .jsonl or .npy of token ids; or CALIB.json of nibble\n"
                                "calibrate, the ranges of static activations. Twice for both"
                              : "CALIB.json of nibble calibrate: the ranges of static activations, by module")
      ->allow_extra_args(false);
  app.add_flag("--no-double-quant", a.no_double_quant, "nf4 and fp4: fp32 block scales");
  app.add_option("--include", a.include,
                 "Also quantize tensors with a match of this regular expression (PCRE2) in their name; \"re:...\"\n"
                 "matches from its start")
      ->allow_extra_args(false);
  app.add_option("--exclude", a.exclude, "Neither quantize nor cast such tensors")->allow_extra_args(false);
  app.add_option("--rule", a.rules, "RE=TYPE[:G]: another type for matching tensors; the last matching rule applies")
      ->allow_extra_args(false);
  app.add_flag("--allow-unmatched", a.allow_unmatched, "Patterns that match nothing are no error");
}

std::string rangesFile(const WeightArguments& a) {
  std::string found;
  for (const std::string& name : a.calib) {
    if (a.takes_data && !name.ends_with(".json")) continue;
    if (!found.empty()) throw UsageError("--calib " + name + ": there is another, " + found);
    found = name;
  }
  return found;
}

std::string dataFile(const WeightArguments& a) {
  std::string found;
  for (const std::string& name : a.calib) {
    if (!a.takes_data || name.ends_with(".json")) continue;
    if (!found.empty()) throw UsageError("--calib " + name + ": there is another, " + found);
    found = name;
  }
  return found;
}

model::SelectionOptions selectionOf(const WeightArguments& a, const std::string& usual_type) {
  model::SelectionOptions selection;
  selection.type = typeOf(a, usual_type);
  setGroups(a, selection);
  if (a.sym && a.asym) throw UsageError("--sym and --asym exclude each other");
  selection.asymmetric = a.asym;
  if (a.scale != "full" && a.scale != "narrow") throw UsageError("--scale " + a.scale + ": expected full or narrow");
  selection.narrow = a.scale == "narrow";
  if (selection.narrow && a.asym) throw UsageError("--scale narrow is a symmetric range, --asym excludes it");
  selection.activations = activationsOf(a.activations);
  const std::string ranges = rangesFile(a);
  const bool is_static = model::isStatic(selection.activations);
  if (!is_static && !ranges.empty()) throw UsageError("--calib goes with --activations int8-static or fp8-static");
  if (is_static && ranges.empty() && dataFile(a).empty()) {
    throw UsageError("--activations " + a.activations + " needs --calib CALIB.json (nibble calibrate)" +
                     (a.takes_data ? ", or --calib DATA" : ""));
  }
  if (!ranges.empty()) {
    selection.inputs = model::staticInputs(
        ranges, selection.activations == Activations::kFp8Static ? NIB_FORMAT_FP8 : NIB_FORMAT_INT8);
  }
  selection.double_quant = !a.no_double_quant;
  selection.allow_unmatched = a.allow_unmatched;
  try {
    for (const std::string& text : a.include) selection.include.emplace_back("--include", text);
    for (const std::string& text : a.exclude) selection.exclude.emplace_back("--exclude", text);
    for (const std::string& text : a.rules) selection.rules.push_back(model::parseRule(text));
  } catch (const model::Error& error) {
    throw UsageError(error.what());
  }
  return selection;
}

std::string commandOf(const WeightArguments& a, const model::SelectionOptions& selection) {
  std::string command = a.types_chosen ? "" : " --type " + selection.type.name();
  if (!a.granularity.empty()) command += " --granularity " + a.granularity;
  if (a.group_size != 0) command += " --group-size " + std::to_string(a.group_size);
  command += a.asym ? " --asym" : " --sym";
  command += " --scale " + a.scale + " --activations " + a.activations;
  // The calibrated ranges change the bytes; the path of their file does not.
  if (!rangesFile(a).empty()) command += " --calib " + model::inputsHash(selection.inputs);
  if (a.no_double_quant) command += " --no-double-quant";
  for (const std::string& text : a.include) command += " --include " + text;
  for (const std::string& text : a.exclude) command += " --exclude " + text;
  for (const std::string& text : a.rules) command += " --rule " + text;
  return command;
}

}  // namespace nib::tool
