#include "model/quantize/output_setup.h"

namespace nib::model {
namespace {

// Adds what made the model that is converted, so that one that is converted there and back has the same bytes. GGUF
// has the same entries with a dot.
void addOrigin(const Checkpoint& checkpoint, Metadata& metadata) {
  for (const char* name : {"version", "command", "source"}) {
    for (const auto& [key, value] : checkpoint.metadata()) {
      if (key == std::string("nibble_") + name || key == std::string("nibble.") + name) {
        metadata.emplace_back(std::string("nibble_") + name, value);
      }
    }
  }
}

}  // namespace

WriterOptions writerOptions(const QuantizeOptions& options, const Checkpoint& checkpoint) {
  WriterOptions writing;
  writing.out = options.out;
  writing.keep = checkpoint.files();
  writing.keep.push_back(options.in);
  const std::string source = checkpoint.fingerprint().hex();
  writing.identity = std::string("nibble ") + nibVersionString() + " " + options.command + " of " + source;
  writing.force = options.force;
  writing.resume = options.resume;
  writing.max_shard_bytes = options.max_shard_bytes;
  writing.split_bytes = options.split_bytes;
  if (options.importance) {
    const Importance& importance = options.importance->importance;
    writing.importance = ImportanceNote{options.importance->path.filename().string(),
                                        importance.datasets.empty() ? "" : importance.datasets[0],
                                        uint32_t(importance.entries.size()), importance.chunks};
  }
  if (options.mix != nullptr) writing.file_type = options.mix->file_type;
  writing.metadata = {{"format", "pt"}};
  if (options.convert) {
    addOrigin(checkpoint, writing.metadata);
  } else {
    writing.metadata.emplace_back("nibble_version", nibVersionString());
    writing.metadata.emplace_back("nibble_command", options.command);
    writing.metadata.emplace_back("nibble_source", source);
  }
  for (const SideFile& file : checkpoint.sideFiles()) writing.nested_files.push_back(file.name);
  return writing;
}

Surroundings surroundingsOf(const QuantizePlan& plan, const QuantizeOptions& options, const Checkpoint& checkpoint) {
  Surroundings model;
  if (checkpoint.configJson()) {
    const WeightType& type = options.selection.type;
    model.config_json = configWith(*checkpoint.configJson(), plan.quantization_config,
                                   type.quantized() || options.convert ? "" : torchName(type.dense), plan.untied);
  }
  model.side_files = checkpoint.sideFiles();
  return model;
}

}  // namespace nib::model
