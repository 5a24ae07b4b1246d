#include "encoder_outputs.h"

#include "model_text.h"
#include "progress_line.h"
#include "verb.h"

#include "kit/file.h"
#include "model/archive/error.h"
#include "model/archive/npy.h"
#include "model/tokenizer/inputs.h"

#include <algorithm>
#include <cstdio>
#include <optional>

namespace nib::tool {
namespace {

constexpr const char* kHidden = "hidden";
constexpr const char* kPooled = "pooled";

struct Wanted {
  std::string kind, path;
};

Wanted wantedOf(const std::string& text) {
  const size_t equals = text.find('=');
  Wanted wanted{text.substr(0, equals), equals == std::string::npos ? "" : text.substr(equals + 1)};
  if (wanted.kind != kHidden && wanted.kind != kPooled) {
    throw UsageError("--outputs " + text + ": expected hidden=FILE.npy or pooled=FILE.npy");
  }
  if (!wanted.path.ends_with(".npy")) throw UsageError("--outputs " + text + ": the file's name must end in .npy");
  return wanted;
}

// A file that grows by what each text has.
struct Rows {
  Wanted wanted;
  std::vector<float> values;
};

std::vector<uint64_t> shapeOf(const Rows& rows, const std::vector<std::vector<uint32_t>>& texts, uint64_t hidden) {
  if (rows.wanted.kind == kPooled) return {texts.size(), hidden};
  return {texts.size(), texts.front().size(), hidden};
}

void checkEqualLengths(const std::vector<std::vector<uint32_t>>& texts) {
  size_t least = texts.front().size(), most = least;
  for (const std::vector<uint32_t>& text : texts) {
    least = std::min(least, text.size());
    most = std::max(most, text.size());
  }
  if (least == most) return;
  throw model::Error("--outputs hidden: the texts have " + std::to_string(least) + " to " + std::to_string(most) +
                     " tokens, and an array has rows of one length; give texts of one length, or one at a time");
}

}  // namespace

void addOutputsOption(CLI::App& app, OutputsArguments& arguments) {
  app.add_option(
      "--outputs", arguments.texts,
      "Encoders: instead of a loss, write what MODEL makes of each text: hidden=FILE.npy, the hidden states, "
      "or pooled=FILE.npy, what the pooler makes of the first token's; texts are lines of .jsonl, rows of "
      ".npy, or windows");
}

void writesOutputs(PathCheck& paths, const OutputsArguments& arguments) {
  for (const std::string& text : arguments.texts) paths.writes("--outputs", wantedOf(text).path);
}

int evalOutputs(const Output& output, const kit::Device& device, const OutputsArguments& arguments,
                const DataArguments& data, model::LoadedModel& loaded, model::RunnerOptions options) {
  const model::ModelConfig& config = loaded.config();
  const uint32_t longest = data.window != 0 ? data.window : config.max_positions;
  std::vector<std::vector<uint32_t>> texts =
      model::loadTexts(data.data, isText(data) ? &loaded.tokenizer() : nullptr, longest);
  if (data.windows != 0 && texts.size() > data.windows) texts.resize(data.windows);
  std::vector<Rows> files;
  for (const std::string& text : arguments.texts) files.push_back({wantedOf(text), {}});
  for (const Rows& file : files) {
    if (file.wanted.kind == kHidden) checkEqualLengths(texts);
  }
  for (const std::vector<uint32_t>& text : texts) {
    options.positions = std::max(options.positions, uint32_t(text.size()));
  }
  constexpr uint32_t kStepTokens = 2048;
  options.sequences =
      uint32_t(std::min<size_t>(std::max(1u, kStepTokens / std::max(1u, options.positions)), texts.size()));
  options.max_tokens = options.sequences * options.positions;
  model::Runner runner(model::TimedDevice(device), loaded.view(), config, options);

  ProgressLine line("eval", "texts", 1);
  for (size_t first = 0; first < texts.size(); first += options.sequences) {
    const size_t count = std::min<size_t>(options.sequences, texts.size() - first);
    std::vector<model::Chunk> chunks;
    std::vector<uint32_t> begins;
    uint32_t tokens = 0;
    for (size_t i = 0; i < count; ++i) {
      chunks.push_back({uint32_t(i), 0, texts[first + i]});
      begins.push_back(tokens);
      tokens += uint32_t(texts[first + i].size());
    }
    runner.step(chunks);
    for (Rows& file : files) {
      const std::vector<float> values = file.wanted.kind == kHidden ? runner.hidden() : runner.pooled(begins);
      file.values.insert(file.values.end(), values.begin(), values.end());
    }
    line.show(first + count, texts.size());
  }
  line.clear();
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Rows& file : files) {
    const std::vector<uint64_t> shape = shapeOf(file, texts, config.hidden);
    std::string bytes = model::npyHeader(shape);
    bytes.append(reinterpret_cast<const char*>(file.values.data()), file.values.size() * sizeof(float));
    kit::detail::writeFile(file.wanted.path, std::as_bytes(std::span(bytes)));
    std::fprintf(output.text(), "%s of %zu texts in %s: fp32 %s\n", file.wanted.kind.c_str(), texts.size(),
                 plainName(file.wanted.path).c_str(), shapeText(shape).c_str());
    list.push_back({{"kind", file.wanted.kind}, {"file", file.wanted.path}, {"shape", shape}});
  }
  std::fprintf(output.text(), "%.1f s on %s\n", runner.seconds(), device.info().name.c_str());
  if (output.wantsJson()) {
    output.json(
        {{"device", device.info().name}, {"texts", texts.size()}, {"outputs", list}, {"seconds", runner.seconds()}});
  }
  return kExitDone;
}

}  // namespace nib::tool
