#include "quantize_report.h"

#include "mixed_report.h"
#include "model_text.h"
#include "options.h"

namespace nib::tool {
namespace {

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

}  // namespace

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

void printReport(std::FILE* file, const model::QuantizeReport& report, const std::string& scale_search) {
  printNotes(file, report.notes);
  printTransforms(file, report.transforms);
  printTable(file, report);
  if (report.mixed) printMixed(file, *report.mixed);
  printTotal(file, report.quantized, scale_search);
  printDense(file, report.dense);
  printInput(file, report);
  printLost(file, lostOf(report));
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

}  // namespace nib::tool
