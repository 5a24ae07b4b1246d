// nibble compare: errors of one model against another.
#include "model_paths.h"
#include "model_text.h"
#include "options.h"
#include "verb.h"

#include "model/compare.h"

#include <cstdio>

namespace nib::tool {
namespace {

struct Arguments {
  DeviceArguments device;
  JsonArguments json;
  std::string a, b;
};

nlohmann::ordered_json toJson(const std::string& device, const model::ModelComparison& comparison) {
  nlohmann::ordered_json json = {{"device", device}, {"tensors", nlohmann::ordered_json::array()}};
  for (const model::TensorComparison& t : comparison.tensors) {
    nlohmann::ordered_json row = {{"name", t.name}, {"shape", t.shape}, {"type", {t.reference_type, t.candidate_type}}};
    addErrors(row, t.note.empty(), t.errors);
    row["nonfinite"] = t.errors.nonfinite_count;
    if (!t.note.empty()) row["note"] = t.note;
    json["tensors"].push_back(std::move(row));
  }
  json["only_in_a"] = comparison.only_in_reference;
  json["only_in_b"] = comparison.only_in_candidate;
  return json;
}

int runCompare(const Arguments& arguments) {
  PathCheck paths(arguments.json.force);
  readsModel(paths, "A", arguments.a);
  readsModel(paths, "B", arguments.b);
  readsDevice(paths, arguments.device);
  const Output output(arguments.json, paths);
  const kit::Device device = openDevice(arguments.device);
  const model::ModelComparison comparison = model::compareModels(device, arguments.a, arguments.b);
  Table table({"tensor", "A", "B", "MSE", "SQNR dB", "cosine", "max error", "note"},
              {false, false, false, true, true, true, true, false});
  size_t equal = 0;
  for (const model::TensorComparison& t : comparison.tensors) {
    const bool known = t.note.empty();
    if (known && t.errors.max_error == 0 && t.errors.nonfinite_count == 0) {
      ++equal;
      continue;
    }
    table.add({plainName(t.name), t.reference_type, t.candidate_type, known ? numberText("%.3g", t.errors.mse) : "-",
               known ? numberText("%.2f", t.errors.sqnr_db) : "-", known ? numberText("%.6f", t.errors.cosine) : "-",
               known ? numberText("%.3g", t.errors.max_error) : "-",
               t.errors.nonfinite_count != 0 ? std::to_string(t.errors.nonfinite_count) + " NaN or infinite" : t.note});
  }
  table.print(output.text());
  std::fprintf(output.text(), "%zu tensors in both, %zu of them equal; %zu only in A, %zu only in B\n",
               comparison.tensors.size(), equal, comparison.only_in_reference.size(),
               comparison.only_in_candidate.size());
  if (output.wantsJson()) output.json(toJson(device.info().name, comparison));
  return kExitDone;
}

}  // namespace

Verb makeCompareVerb(CLI::App& parent) {
  auto a = std::make_shared<Arguments>();
  CLI::App* app = parent.add_subcommand("compare",
                                        "Print the errors of model B against A, tensor by tensor; "
                                        "either may be quantized.");
  app->footer("Example: nibble compare model/ model-int4/");
  app->add_option("A", a->a, "The reference: folder of a model, or a .safetensors or .gguf file")->required();
  app->add_option("B", a->b, "The candidate")->required();
  addDeviceOptions(*app, a->device);
  addJsonOptions(*app, a->json);
  return {app, [a] { return runCompare(*a); }};
}

}  // namespace nib::tool
