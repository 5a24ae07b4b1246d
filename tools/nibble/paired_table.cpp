#include "paired_table.h"

#include "model_text.h"
#include "options.h"

namespace nib::tool {
namespace {

std::string probabilityText(double p) { return p < 0.0001 ? "< 0.0001" : numberText("%.4f", p); }

nlohmann::ordered_json nameOf(model::Better better) {
  if (better == model::Better::kUnknown) return nullptr;
  return better == model::Better::kA ? "A" : "B";
}

std::string sentenceOf(const PairedQuantity& q) {
  switch (model::betterOf(q.test, q.lower)) {
    case model::Better::kA: return "A is better";
    case model::Better::kB: return "B is better";
    default: return "the data do not tell";
  }
}

}  // namespace

double meanOf(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / double(values.size());
}

void printPaired(std::FILE* file, const std::vector<PairedQuantity>& quantities) {
  Table table({"", "A", "B", "B - A", "SE", "95 % interval", "p (t)", "p (bootstrap)", ""},
              {false, true, true, true, true, true, true, true, false});
  for (const PairedQuantity& q : quantities) {
    const model::MeanTest& t = q.test;
    table.add({q.what, numberText("%.6f", q.a), numberText("%.6f", q.b), numberText("%+.6f", t.mean),
               numberText("%.6f", t.error), numberText("%+.6f", t.low) + " to " + numberText("%+.6f", t.high),
               probabilityText(t.p_t), probabilityText(t.p_bootstrap), sentenceOf(q)});
  }
  table.print(file);
}

void addPaired(nlohmann::ordered_json& json, const std::vector<PairedQuantity>& quantities) {
  for (const PairedQuantity& q : quantities) {
    const model::MeanTest& t = q.test;
    json[q.key] = {{"a", q.a},
                   {"b", q.b},
                   {"difference", t.mean},
                   {"se", t.error},
                   {"low_95", t.low},
                   {"high_95", t.high},
                   {"p_t", t.p_t},
                   {"p_bootstrap", t.p_bootstrap},
                   {"better", nameOf(model::betterOf(t, q.lower))}};
  }
}

}  // namespace nib::tool
