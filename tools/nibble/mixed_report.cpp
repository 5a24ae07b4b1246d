#include "mixed_report.h"

#include "model_text.h"
#include "options.h"

namespace nib::tool {
namespace {

using Source = model::MixedReport::Source;

const char* sourceName(Source source) {
  switch (source) {
    case Source::kMeasured: return "measured";
    case Source::kEstimated: return "estimated";
    case Source::kDense: return "dense";
    case Source::kUnknown: break;
  }
  return "unknown";
}

// "model.layers.0.self_attn.q_proj", k_proj, v_proj: modules of one parent are named in full once.
std::string modulesText(const std::vector<std::string>& modules) {
  std::string text = plainName(modules.front());
  const std::string parent = modules.front().substr(0, modules.front().rfind('.') + 1);
  for (size_t i = 1; i < modules.size(); ++i) {
    const bool same = !parent.empty() && modules[i].starts_with(parent);
    text += ", " + plainName(same ? modules[i].substr(parent.size()) : modules[i]);
  }
  return text;
}

}  // namespace

nlohmann::ordered_json mixedJson(const model::MixedReport& report) {
  nlohmann::ordered_json json = {
      {"bits_per_weight", report.bits()}, {"bytes", report.bytes},   {"budget_bytes", report.budget_bytes},
      {"weights", report.elements},       {"kl", report.divergence}, {"kl_tokens", report.tokens},
      {"unit_bytes", report.unit_bytes},  {"exact", report.exact},   {"units", nlohmann::ordered_json::array()}};
  for (const model::MixedReport::Unit& unit : report.units) {
    nlohmann::ordered_json one = {{"layers", unit.modules},
                                  {"type", unit.options[unit.chosen].type},
                                  {"bytes", unit.options[unit.chosen].bytes},
                                  {"fixed", unit.fixed},
                                  {"types", nlohmann::ordered_json::array()}};
    for (const model::MixedReport::Option& option : unit.options) {
      nlohmann::ordered_json type = {{"type", option.type},
                                     {"bits_per_weight", option.bits},
                                     {"bytes", option.bytes},
                                     {"kl", nullptr},
                                     {"source", sourceName(option.source)}};
      if (option.source != Source::kUnknown) type["kl"] = option.divergence;
      if (option.source == Source::kMeasured) type["kl_se"] = option.error;
      one["types"].push_back(type);
    }
    json["units"].push_back(one);
  }
  return json;
}

void printMixed(std::FILE* file, const model::MixedReport& report) {
  Table table({"layers that choose together", "chosen", "bits/weight", "bytes", "KL", "KL of all types"},
              {false, false, true, true, true, false});
  for (const model::MixedReport::Unit& unit : report.units) {
    const model::MixedReport::Option& chosen = unit.options[unit.chosen];
    std::string all;
    for (const model::MixedReport::Option& option : unit.options) {
      if (option.source == Source::kUnknown) continue;
      all += (all.empty() ? "" : ", ") + option.type + (option.source == Source::kEstimated ? " ~" : " ") +
             numberText("%.2g", option.divergence);
    }
    const bool known = chosen.source != Source::kUnknown;
    table.add({modulesText(unit.modules), chosen.type, numberText("%.3f", chosen.bits), std::to_string(chosen.bytes),
               known ? numberText("%.2g", chosen.divergence) : "-", unit.fixed ? "fixed by --rule" : all});
  }
  table.print(file);
  std::fprintf(file,
               "%.3f bits per weight in %llu of %llu bytes; the sum of the layers' KL is %.5f, on %llu tokens; ~ is "
               "estimated\n",
               report.bits(), (unsigned long long)report.bytes, (unsigned long long)report.budget_bytes,
               report.divergence, (unsigned long long)report.tokens);
  if (!report.exact) {
    std::fprintf(file, "the choice is the best in sizes rounded up to units of %llu bytes\n",
                 (unsigned long long)report.unit_bytes);
  }
}

}  // namespace nib::tool
