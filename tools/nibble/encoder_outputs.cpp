#include "encoder_outputs.h"

#include "model_text.h"
#include "progress_line.h"
#include "verb.h"

#include "kit/file.h"
#include "model/archive/error.h"
#include "model/archive/npy.h"
#include "model/eval/images.h"
#include "model/tokenizer/inputs.h"

#include <algorithm>
#include <cstdio>
#include <deque>
#include <optional>

namespace nib::tool {
namespace {

struct Wanted {
  std::string kind, path;
};

Wanted wantedOf(const std::string& text) {
  const size_t equals = text.find('=');
  Wanted wanted{text.substr(0, equals), equals == std::string::npos ? "" : text.substr(equals + 1)};
  static const std::vector<std::string> kKinds = {"hidden", "pooled", "logits", "embedding"};
  if (std::find(kKinds.begin(), kKinds.end(), wanted.kind) == kKinds.end()) {
    throw UsageError("--outputs " + text + ": expected KIND=FILE.npy, with a KIND of " + listed(kKinds));
  }
  if (!wanted.path.ends_with(".npy")) throw UsageError("--outputs " + text + ": the file's name must end in .npy");
  return wanted;
}

// The kinds of outputs that the network has for one sequence.
std::vector<std::string> kindsOf(const model::ModelConfig& config) {
  std::vector<std::string> kinds = {"hidden", "pooled"};
  if (config.block == model::BlockKind::kVit) kinds.push_back("logits");
  if (config.block == model::BlockKind::kClip) kinds.push_back("embedding");
  return kinds;
}

// A file that grows by what each sequence has.
struct Rows {
  Wanted wanted;
  std::vector<uint64_t> shape;
  std::vector<float> values;
};

// The sequences that the model reads: texts or images.
class Inputs {
 public:
  Inputs(const DataArguments& data, model::LoadedModel& loaded) {
    const model::ModelConfig& config = loaded.config();
    if (config.image) {
      if (isText(data)) throw UsageError("--data " + data.data + ": images are a .npy file");
      if (data.window != 0) throw UsageError("--window: images have the size that the model reads");
      count_ = images_.emplace(data.data, *config.image).count();
      shortest_ = longest_ = config.max_positions;
    } else {
      const uint32_t longest = data.window != 0 ? data.window : config.max_positions;
      texts_ = model::loadTexts(data.data, isText(data) ? &loaded.tokenizer() : nullptr, longest);
      count_ = texts_.size();
      shortest_ = longest_ = texts_.front().size();
      for (const std::vector<uint32_t>& text : texts_) {
        shortest_ = std::min(shortest_, text.size());
        longest_ = std::max(longest_, text.size());
      }
    }
    if (data.windows != 0) count_ = std::min<size_t>(count_, data.windows);
  }
  size_t count() const { return count_; }
  size_t shortest() const { return shortest_; }
  size_t longest() const { return longest_; }
  const char* noun() const { return images_ ? "images" : "texts"; }
  // The next of a step; valid until the next call for the first of a step.
  model::Chunk chunk(size_t i, uint32_t place) {
    if (!images_) return {place, 0, texts_[i]};
    if (place == 0) patches_.clear();
    return {place, 0, {}, patches_.emplace_back(images_->patches(i))};
  }
  size_t tokens(size_t i) const { return images_ ? longest_ : texts_[i].size(); }

 private:
  std::vector<std::vector<uint32_t>> texts_;
  std::optional<model::Images> images_;
  std::deque<std::vector<float>> patches_;  // of a step
  size_t count_ = 0, shortest_ = 0, longest_ = 0;
};

std::vector<Rows> filesOf(const OutputsArguments& arguments, const model::ModelConfig& config, const Inputs& inputs) {
  std::vector<Rows> files;
  for (const std::string& text : arguments.texts) {
    const Wanted wanted = wantedOf(text);
    const std::vector<std::string> kinds = kindsOf(config);
    if (std::find(kinds.begin(), kinds.end(), wanted.kind) == kinds.end()) {
      throw UsageError("--outputs " + text + ": " + config.family + " models have " + listed(kinds));
    }
    std::vector<uint64_t> shape = {inputs.count(), config.hidden};
    if (wanted.kind == "hidden") {
      if (inputs.shortest() != inputs.longest()) {
        throw model::Error("--outputs hidden: the texts have " + std::to_string(inputs.shortest()) + " to " +
                           std::to_string(inputs.longest()) +
                           " tokens, and an array has rows of one length; give texts of one length, or one at a time");
      }
      shape.insert(shape.begin() + 1, inputs.longest());
    } else if (wanted.kind != "pooled") {
      shape.back() = config.vocabulary;
    }
    files.push_back({wanted, shape, {}});
  }
  return files;
}

std::vector<float> valuesOf(model::Runner& runner, const std::string& kind, std::span<const uint32_t> begins) {
  if (kind == "hidden") return runner.hidden();
  return kind == "pooled" ? runner.pooled(begins) : runner.logits(begins);
}

}  // namespace

void addOutputsOption(CLI::App& app, OutputsArguments& arguments) {
  app.add_option(
      "--outputs", arguments.texts,
      "Encoders: instead of a loss, write what MODEL makes of each text or image to KIND=FILE.npy, with a KIND "
      "of hidden, pooled, logits or embedding (docs/families.md)");
}

void writesOutputs(PathCheck& paths, const OutputsArguments& arguments) {
  for (const std::string& text : arguments.texts) paths.writes("--outputs", wantedOf(text).path);
}

int evalOutputs(const Output& output, const kit::Device& device, const OutputsArguments& arguments,
                const DataArguments& data, model::LoadedModel& loaded, model::RunnerOptions options) {
  const model::ModelConfig& config = loaded.config();
  Inputs inputs(data, loaded);
  std::vector<Rows> files = filesOf(arguments, config, inputs);
  options.positions = uint32_t(inputs.longest());
  constexpr uint32_t kStepTokens = 2048;
  options.sequences = uint32_t(std::min<size_t>(std::max(1u, kStepTokens / options.positions), inputs.count()));
  options.max_tokens = options.sequences * options.positions;
  model::Runner runner(model::TimedDevice(device), loaded.view(), config, options);

  ProgressLine line("eval", inputs.noun(), 1);
  for (size_t first = 0; first < inputs.count(); first += options.sequences) {
    const size_t count = std::min<size_t>(options.sequences, inputs.count() - first);
    std::vector<model::Chunk> chunks;
    std::vector<uint32_t> begins;
    size_t tokens = 0;
    for (size_t i = 0; i < count; ++i) {
      chunks.push_back(inputs.chunk(first + i, uint32_t(i)));
      begins.push_back(uint32_t(tokens));
      tokens += inputs.tokens(first + i);
    }
    runner.step(chunks);
    for (Rows& file : files) {
      const std::vector<float> values = valuesOf(runner, file.wanted.kind, begins);
      file.values.insert(file.values.end(), values.begin(), values.end());
    }
    line.show(first + count, inputs.count());
  }
  line.clear();
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Rows& file : files) {
    std::string bytes = model::npyHeader(file.shape);
    bytes.append(reinterpret_cast<const char*>(file.values.data()), file.values.size() * sizeof(float));
    kit::detail::writeFile(file.wanted.path, std::as_bytes(std::span(bytes)));
    std::fprintf(output.text(), "%s of %zu %s in %s: fp32 %s\n", file.wanted.kind.c_str(), inputs.count(),
                 inputs.noun(), plainName(file.wanted.path).c_str(), shapeText(file.shape).c_str());
    list.push_back({{"kind", file.wanted.kind}, {"file", file.wanted.path}, {"shape", file.shape}});
  }
  std::fprintf(output.text(), "%.1f s on %s\n", runner.seconds(), device.info().name.c_str());
  if (output.wantsJson()) {
    output.json({{"device", device.info().name},
                 {inputs.noun(), inputs.count()},
                 {"outputs", list},
                 {"seconds", runner.seconds()}});
  }
  return kExitDone;
}

}  // namespace nib::tool
