// Tiny models of tests/arch/data and the logits that transformers computes for them (make.py).
#ifndef NIB_TESTS_ARCH_GOLDENS_H
#define NIB_TESTS_ARCH_GOLDENS_H

#include "graph_device.h"
#include "model/run/loaded_model.h"
#include "model/run/runner.h"
#include "model_test.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace nib::model::test {

struct Text {
  std::vector<uint32_t> ids;
  std::vector<float> logits;  // [ids, vocabulary]
};

struct Golden {
  std::string name;
  fs::path folder;
  double rotary_share = 1;  // of a head; config.json does not say it
  std::vector<Text> texts;
};

template <class T>
std::vector<T> readTensor(const Checkpoint& file, const std::string& name) {
  const std::optional<size_t> index = file.find(name);
  REQUIRE(index.has_value());
  std::vector<T> values(file.info(*index).bytes / sizeof(T));
  file.read(*index, 0, std::as_writable_bytes(std::span(values)));
  return values;
}

inline Golden readGolden(const fs::path& folder) {
  Golden golden{.name = folder.filename(), .folder = folder, .texts = {}};
  const Checkpoint file(folder / "golden.safetensors");
  for (const auto& [key, value] : file.metadata()) {
    if (key == "partial_rotary_factor") golden.rotary_share = std::stod(value);
  }
  for (const char* text : {"0", "1"}) {
    golden.texts.push_back({readTensor<uint32_t>(file, std::string("ids.") + text),
                            readTensor<float>(file, std::string("logits.") + text)});
  }
  return golden;
}

inline std::vector<Golden> goldens() {
  std::vector<fs::path> folders;
  for (const fs::directory_entry& entry : fs::directory_iterator(NIB_ARCH_DATA)) {
    if (entry.is_directory()) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  std::vector<Golden> list;
  for (const fs::path& folder : folders) list.push_back(readGolden(folder));
  return list;
}

inline ModelConfig configOf(const Golden& golden, const LoadedModel& model) {
  ModelConfig config = model.config();
  if (golden.rotary_share != 1) config.rope.rotary_size = uint32_t(config.head_size * golden.rotary_share);
  return config;
}

// A runner of two sequences of up to `positions` tokens.
inline Runner runnerOf(const LoadedModel& model, const ModelConfig& config, size_t positions) {
  return Runner(TimedDevice(graph::testDevice()), model.view(), config,
                {.max_tokens = uint32_t(2 * positions), .sequences = 2, .positions = uint32_t(positions)});
}

// The logits of rows first..first + count - 1 of the last step.
inline std::vector<float> logitsOf(Runner& runner, size_t first, size_t count) {
  std::vector<uint32_t> rows(count);
  std::iota(rows.begin(), rows.end(), uint32_t(first));
  return runner.logits(rows);
}

inline std::vector<float> runWhole(Runner& runner, std::span<const uint32_t> ids, uint32_t sequence = 0) {
  const Chunk chunk{sequence, 0, ids};
  runner.step({&chunk, 1});
  return logitsOf(runner, 0, ids.size());
}

// The largest difference, relative to the largest logit. Infinite if a value is not finite.
inline double difference(std::span<const float> found, std::span<const float> expected) {
  REQUIRE(found.size() == expected.size());
  double largest = 0, scale = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    const double d = std::abs(double(found[i]) - double(expected[i]));
    largest = std::max(largest, std::isfinite(d) ? d : INFINITY);
    scale = std::max(scale, std::abs(double(expected[i])));
  }
  return largest / scale;
}

}  // namespace nib::model::test
#endif
