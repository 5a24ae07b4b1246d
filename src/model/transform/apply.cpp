#include "model/transform/apply.h"

#include "model/archive/error.h"
#include "model/archive/resume_folder.h"
#include "model/run/network_view.h"
#include "model/transform/edited_source.h"

#include <exception>
#include <string>

namespace nib::model {
namespace {

// Activations that do not fit in memory.
bool owns(const std::string& name) { return name == "activations"; }

// A folder that lasts as long as the object.
class WorkFolder {
 public:
  explicit WorkFolder(const std::filesystem::path& path) : files_(path, "activations", owns, false) {}
  ~WorkFolder() {
    try {
      files_.remove();
    } catch (const std::exception&) {
      // The next run removes it.
    }
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;

 private:
  ResumeFolder files_;
};

}  // namespace

TransformedModel::TransformedModel(const TimedDevice& device, const Checkpoint& base, const TransformRun& run)
    : base_(base) {
  if (run.choices.empty()) return;
  const std::string first = "--transform " + run.choices[0].text();
  if (!base.configJson()) throw Error(first + " needs the model's folder with config.json");
  const WorkFolder folder(run.folder);
  for (const TransformChoice& choice : run.choices) {
    const Checkpoint& current = checkpoint();
    const ModelView view(current);
    for (const ModelView::Tensor& tensor : view.tensors()) {
      if (tensor.weight == nullptr) continue;
      throw Error(first + ": " + quoteText(tensor.name) +
                  " is quantized: make the model dense with `nibble quantize IN " +
                  "-o OUT --format safetensors --type F16` first");
    }
    const ModelConfig config = networkConfig(current);
    refuseTransposed(config, "--transform " + choice.text());
    refuseEncoder(config, "--transform " + choice.text(), "whose layers no transform knows yet");
    const std::map<std::string, WeightSpec> weights = run.weights(view);
    TransformInput input{device, view, config, run.sequences, {}};
    input.weight = [&](const std::string& module) -> std::optional<WeightSpec> {
      const auto found = weights.find(module);
      return found != weights.end() ? std::optional(found->second) : std::nullopt;
    };
    input.activations = run.activations;
    input.awq_modules = run.awq_modules;
    input.seed = run.seed;
    input.memory_bytes = run.memory_bytes;
    input.folder = run.folder;
    input.progress = run.progress;
    TransformReport& report = reports_.emplace_back();
    report.name = choice.text();
    Edits edits = kindOf(choice).make(input, choice.setting, report);
    stages_.emplace_back(base.path(), editedSource(current, std::move(edits)));
  }
}

}  // namespace nib::model
