// nibble compare: errors of one model against another.
#include "compare_layers.h"
#include "compare_paired.h"
#include "model_paths.h"
#include "model_text.h"
#include "multiple_choice.h"
#include "options.h"
#include "verb.h"

#include "model/compare.h"

#include <cstdio>

namespace nib::tool {
namespace {

struct Arguments {
  DeviceArguments device;
  JsonArguments json;
  DataArguments data;
  std::string a, b, against;
  bool paired = false;
  LayerArguments layers;
  QuestionArguments choices;
};

// Refuses options that have no effect.
void checkDataOptions(const Arguments& a) {
  if (!a.choices.file.empty()) {
    if (!a.paired) throw UsageError("--choices goes with --ab, which compares answers");
    if (!a.data.data.empty()) throw UsageError("--choices and --data are two commands: give one of them");
    if (!a.against.empty()) throw UsageError("--against goes with --data");
  } else if (a.choices.adds_bos) {
    throw UsageError("--add-bos goes with --choices");
  }
  if (a.data.data.empty()) {
    if (a.paired && a.choices.file.empty())
      throw UsageError("--ab needs --data, the text that both models are run on, or --choices");
    if (a.data.window != 0 || a.data.windows != 0) throw UsageError("--window and --windows go with --data");
    if (a.layers.sensitivity) throw UsageError("--sensitivity needs --data, the text that the model is run on");
    if (!a.layers.html.empty()) throw UsageError("--html needs --data: it draws the layers' errors");
  }
  if (a.paired && a.layers.sensitivity) throw UsageError("--sensitivity and --ab are two commands: give one of them");
  if (a.paired && !a.layers.html.empty()) throw UsageError("--html draws the layers' errors, not --ab");
  if (!a.paired && !a.against.empty()) throw UsageError("--against goes with --ab, which compares predictions");
}

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
  checkDataOptions(arguments);
  PathCheck paths(arguments.json.force);
  readsModel(paths, "A", arguments.a);
  readsModel(paths, "B", arguments.b);
  readsModel(paths, "--against", arguments.against);
  if (!arguments.data.data.empty()) paths.reads("--data", arguments.data.data);
  if (!arguments.choices.file.empty()) paths.reads("--choices", arguments.choices.file);
  readsDevice(paths, arguments.device);
  if (!arguments.layers.html.empty()) paths.writes("--html=", arguments.layers.html);
  const Output output(arguments.json, paths);
  if (!arguments.choices.file.empty()) {
    return compareChoices(output, arguments.device, arguments.choices, arguments.a, arguments.b);
  }
  if (arguments.paired) {
    return comparePaired(output, arguments.device, arguments.data, arguments.a, arguments.b, arguments.against);
  }
  if (!arguments.data.data.empty()) {
    return compareLayers(output, arguments.device, arguments.data, arguments.layers, arguments.a, arguments.b);
  }
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
                                        "either may be quantized. With --data: of the layers' outputs; "
                                        "and --ab: which predicts a text better.");
  app->footer("Example: nibble compare model/ model-int4/");
  app->add_option("A", a->a, "The reference: folder of a model, or a .safetensors or .gguf file")->required();
  app->add_option("B", a->b, "The candidate")->required();
  app->add_flag("--ab", a->paired,
                "Run both on --data: paired differences of nll and top-1 accuracy, and whether they may be chance");
  app->add_option(
      "--data", a->data.data,
      "UTF-8 text, .jsonl with a \"text\" per line, or .npy of token ids: errors of the layers' outputs on it");
  app->add_flag("--sensitivity", a->layers.sensitivity,
                "With --data: also what each layer costs alone, A with only this layer's weights of B (A is dense)");
  app->add_option("--html", a->layers.html, "With --data: write the layers with bars as an HTML page");
  app->add_option("--against", a->against, "A reference model: compares mean KL(reference || A) and of B as well");
  addQuestionOptions(*app, a->choices);
  addWindowOptions(*app, a->data);
  addDeviceOptions(*app, a->device);
  addJsonOptions(*app, a->json);
  return {app, [a] { return runCompare(*a); }};
}

}  // namespace nib::tool
