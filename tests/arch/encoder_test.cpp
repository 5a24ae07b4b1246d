// Encoders against transformers: hidden states, logits and pooled values of texts alone and beside each other.
#include "goldens.h"
#include "model/archive/npy.h"
#include "model/eval/evaluate.h"
#include "model/eval/images.h"

#include <cstdio>
#include <cstdlib>
#include <functional>

namespace nib::model::test {
namespace {

// As golden_test.cpp's.
constexpr double kBound = 1e-4;

struct EncoderText {
  std::vector<uint32_t> ids;
  std::vector<float> hidden, logits, pooled;  // empty if the model has no such head
  bool images = false;
};

struct EncoderGolden {
  std::string name;
  fs::path folder;
  std::vector<EncoderText> texts;
};

std::vector<EncoderGolden> encoders() {
  std::vector<fs::path> folders;
  for (const fs::directory_entry& entry : fs::directory_iterator(NIB_ENCODER_DATA)) {
    if (entry.is_directory()) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  std::vector<EncoderGolden> list;
  for (const fs::path& folder : folders) {
    EncoderGolden& golden = list.emplace_back(EncoderGolden{folder.filename(), folder, {}});
    const Checkpoint file(folder / "golden.safetensors");
    for (const std::string text : {".0", ".1"}) {
      const auto find = [&](const std::string& name) {
        return file.find(name + text) ? readTensor<float>(file, name + text) : std::vector<float>();
      };
      const bool images = file.find("pixels" + text).has_value();
      golden.texts.push_back({images ? std::vector<uint32_t>() : readTensor<uint32_t>(file, "ids" + text),
                              find("hidden"), find("logits"), find("pooled"), images});
    }
  }
  return list;
}

std::string messageOf(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// Images as .npy, whose patches the network reads.
std::vector<std::vector<float>> patchesOf(const fs::path& folder, const char* text, const ImageConfig& config) {
  const Checkpoint file(folder / "golden.safetensors");
  const std::string name = std::string("pixels") + text;
  const std::vector<float> pixels = readTensor<float>(file, name);
  const TempFolder temporary;
  std::string bytes = npyHeader(file.info(*file.find(name)).shape);
  bytes.append(reinterpret_cast<const char*>(pixels.data()), pixels.size() * sizeof(float));
  writeText(temporary / "images.npy", bytes);
  const Images images(temporary / "images.npy", config);
  std::vector<std::vector<float>> patches;
  for (size_t i = 0; i < images.count(); ++i) patches.push_back(images.patches(i));
  return patches;
}

// The largest difference of images that are run together.
double runImages(Runner& runner, const EncoderText& text, const std::vector<std::vector<float>>& patches) {
  std::vector<Chunk> chunks;
  std::vector<uint32_t> begins;
  for (const std::vector<float>& image : patches) {
    begins.push_back(uint32_t(chunks.size()) * runner.config().max_positions);
    chunks.push_back({uint32_t(chunks.size()), 0, {}, image});
  }
  runner.step(chunks);
  double largest = difference(runner.hidden(), text.hidden);
  if (!text.logits.empty()) largest = std::max(largest, difference(runner.logits(begins), text.logits));
  if (!text.pooled.empty()) largest = std::max(largest, difference(runner.pooled(begins), text.pooled));
  return largest;
}

Runner imageRunner(const LoadedModel& model, const ModelConfig& config) {
  return Runner(TimedDevice(graph::testDevice()), model.view(), config,
                {.max_tokens = 3 * config.max_positions, .sequences = 3, .positions = config.max_positions});
}

// The values of tokens first..first + text.ids.size() - 1 of the last step; the largest difference.
double compare(Runner& runner, const EncoderText& text, size_t first) {
  const size_t count = text.ids.size(), width = runner.config().hidden;
  const std::vector<float> hidden = runner.hidden();
  double largest = difference(std::span(hidden).subspan(first * width, count * width), text.hidden);
  if (!text.logits.empty()) largest = std::max(largest, difference(logitsOf(runner, first, count), text.logits));
  if (!text.pooled.empty()) {
    const uint32_t row = uint32_t(first);
    largest = std::max(largest, difference(runner.pooled({&row, 1}), text.pooled));
  }
  return largest;
}

double runAlone(Runner& runner, const EncoderText& text) {
  const Chunk chunk{0, 0, text.ids};
  runner.step({&chunk, 1});
  return compare(runner, text, 0);
}

TEST_CASE("encoders equal those of transformers: a text alone, and beside another one") {
  const std::vector<EncoderGolden> list = encoders();
  REQUIRE(list.size() >= 13);
  for (const EncoderGolden& golden : list) {
    if (golden.texts[0].images) continue;
    CAPTURE(golden.name);
    const LoadedModel model(golden.folder);
    const ModelConfig& config = model.config();
    CHECK(config.has_head == !golden.texts[0].logits.empty());
    CHECK(config.has_pooler == !golden.texts[0].pooled.empty());
    Runner runner = runnerOf(model, config, golden.texts[0].ids.size());
    double largest = 0;
    for (const EncoderText& text : golden.texts) {
      const double found = runAlone(runner, text);
      CHECK(found <= kBound);
      largest = std::max(largest, found);
    }
    const EncoderText &a = golden.texts[0], &b = golden.texts[1];
    const Chunk both[] = {{1, 0, b.ids}, {0, 0, a.ids}};
    runner.step(both);
    CHECK(compare(runner, b, 0) <= kBound);
    CHECK(compare(runner, a, b.ids.size()) <= kBound);
    std::printf("%-30s largest difference %.1e\n", golden.name.c_str(), largest);
  }
}

// --------------------------------------------------------------------------------------------- planted faults
struct EncoderFault {
  const char* name;
  // Changes a configuration; false if it has nothing of the kind.
  std::function<bool(ModelConfig&)> plant;
};

bool setTo(uint32_t& value, uint32_t other) { return std::exchange(value, other) != other; }

// This shows what the goldens can detect; it does not depend on the device.
TEST_CASE("planted faults of encoders are found") {
  const char* device = std::getenv("NIBBLE_TEST_DEVICE");
  if (device == nullptr || std::string(device) != "cpu") return;
  const EncoderFault faults[] = {
      {"attention to what is before", [](ModelConfig& c) { return std::exchange(c.encoder, false); }},
      {"first position", [](ModelConfig& c) { return c.position_offset != 0 && c.position_offset-- != 0; }},
      {"epsilon",
       [](ModelConfig& c) {
         c.epsilon *= 1.5f;
         return c.epsilon > 1e-3f;
       }},
      {"activation", [](ModelConfig& c) { return setTo(c.activation, NIB_ACTIVATION_SILU); }},
      {"activation of the head",
       [](ModelConfig& c) { return setTo(c.head_activation, NIB_ACTIVATION_RELU) && c.has_head; }},
      {"scale of attention", [](ModelConfig& c) { return (c.attention_scale = 0.4f) != 0; }},
  };
  for (const EncoderFault& fault : faults) {
    CAPTURE(std::string(fault.name));
    uint32_t planted = 0;
    double least = INFINITY;
    for (const EncoderGolden& golden : encoders()) {
      if (golden.texts[0].images) continue;
      CAPTURE(golden.name);
      const LoadedModel model(golden.folder);
      ModelConfig config = model.config();
      if (!fault.plant(config)) continue;
      ++planted;
      double largest = 0;
      for (const EncoderText& text : golden.texts) {
        Runner runner = runnerOf(model, config, text.ids.size());
        largest = std::max(largest, runAlone(runner, text));
      }
      CHECK(largest > kBound);
      least = std::min(least, largest);
    }
    CHECK(planted > 0);
    std::printf("%-30s planted in %u, least difference %.1e\n", fault.name, planted, least);
  }
}

// --------------------------------------------------------------------------------------------- images
TEST_CASE("encoders of images equal those of transformers: some, and one") {
  uint32_t count = 0;
  for (const EncoderGolden& golden : encoders()) {
    if (!golden.texts[0].images) continue;
    CAPTURE(golden.name);
    ++count;
    const LoadedModel model(golden.folder);
    const ModelConfig& config = model.config();
    CHECK(config.has_head == !golden.texts[0].logits.empty());
    CHECK(config.has_pooler == !golden.texts[0].pooled.empty());
    Runner runner = imageRunner(model, config);
    double largest = 0;
    for (size_t i = 0; i < golden.texts.size(); ++i) {
      const auto patches = patchesOf(golden.folder, i == 0 ? ".0" : ".1", *config.image);
      const double found = runImages(runner, golden.texts[i], patches);
      CHECK(found <= kBound);
      largest = std::max(largest, found);
    }
    std::printf("%-30s largest difference %.1e\n", golden.name.c_str(), largest);
    const std::vector<uint32_t> ids = {0, 1};
    const Chunk chunk{0, 0, ids};
    CHECK(messageOf([&] { runner.step({&chunk, 1}); }) == config.family + " models read images, no tokens");
  }
  CHECK(count == 6);
}

TEST_CASE("planted faults of encoders of images are found") {
  const char* device = std::getenv("NIBBLE_TEST_DEVICE");
  if (device == nullptr || std::string(device) != "cpu") return;
  const EncoderFault faults[] = {
      {"attention to what is before", [](ModelConfig& c) { return std::exchange(c.encoder, false); }},
      {"epsilon",
       [](ModelConfig& c) {
         c.epsilon *= 1.5f;
         return c.epsilon > 1e-3f;
       }},
      {"gelu for quick_gelu",
       [](ModelConfig& c) {
         c.activation = NIB_ACTIVATION_GELU;
         return std::exchange(c.quick_gelu, false);
       }},
      {"activation", [](ModelConfig& c) { return !c.quick_gelu && setTo(c.activation, NIB_ACTIVATION_SILU); }},
      {"height for width", [](ModelConfig& c) {
         std::swap(c.image->patch_height, c.image->patch_width);
         std::swap(c.image->height, c.image->width);
         return c.image->height != c.image->width;
       }}};
  for (const EncoderFault& fault : faults) {
    CAPTURE(std::string(fault.name));
    uint32_t planted = 0, found = 0;
    double least = INFINITY;
    for (const EncoderGolden& golden : encoders()) {
      if (!golden.texts[0].images) continue;
      const LoadedModel model(golden.folder);
      ModelConfig config = model.config();
      const ImageConfig image = *config.image;
      if (!fault.plant(config)) continue;
      ++planted;
      double largest = INFINITY;
      try {
        Runner runner = imageRunner(model, config);
        largest = runImages(runner, golden.texts[0], patchesOf(golden.folder, ".0", image));
      } catch (const Error&) {
        // The weights or the images have another shape.
      }
      found += largest > kBound;
      least = std::min(least, largest);
    }
    CHECK(planted > 0);
    CHECK(found == planted);
    std::printf("%-30s found in %u of %u, least difference %.1e\n", fault.name, found, planted, least);
  }
}

// --------------------------------------------------------------------------------------------- masked tokens
// SplitMix64, with code of its own.
uint64_t mixed(uint64_t& state) {
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// 15 % of the tokens that are not special, by the rule of masking.h.
std::vector<uint32_t> chosenTokens(std::span<const uint32_t> ids, uint64_t seed, uint64_t window) {
  std::vector<uint32_t> list;
  for (uint32_t i = 0; i < ids.size(); ++i) {
    if (ids[i] > 4) list.push_back(i);
  }
  const size_t count = std::max(size_t{1}, size_t(std::floor(0.15 * double(list.size()) + 0.5)));
  uint64_t begin = seed, state = mixed(begin) + window;
  for (size_t i = 0; i < count; ++i) std::swap(list[i], list[i + mixed(state) % (list.size() - i)]);
  list.resize(count);
  std::sort(list.begin(), list.end());
  return list;
}

TEST_CASE("the loss of an encoder is that of masked tokens, from logits of the text with masks") {
  const LoadedModel model(fs::path(NIB_ENCODER_DATA) / "bert_plain");
  const ModelConfig& config = model.config();
  constexpr uint32_t kWindow = 20, kWindows = 4, kMask = 4;
  std::vector<uint32_t> ids;
  for (uint32_t i = 0; i < kWindow * kWindows; ++i) ids.push_back(i % kWindow == 0 ? 2 : (7 * i * i + 3 * i) % 61);
  EvalOptions options;
  options.window = kWindow;
  options.masking.emplace();
  options.masking->token = kMask;
  options.masking->seed = 5;
  options.masking->special.assign(5, true);
  Runner runner = runnerOf(model, config, kWindow);
  std::vector<size_t> ends, expected_ends;
  options.observe = [&](const ScoredStep& step) { ends.insert(ends.end(), step.ends.begin(), step.ends.end()); };
  const EvalResult found = evaluate(runner, nullptr, ids, options, {});

  double sum = 0;
  uint64_t count = 0;
  for (uint32_t w = 0; w < kWindows; ++w) {
    std::vector<uint32_t> text(ids.begin() + w * kWindow, ids.begin() + (w + 1) * kWindow);
    const std::vector<uint32_t> chosen = chosenTokens(text, 5, w);
    CHECK(chosen == maskedPositions(text, *options.masking, w));
    // Two windows a step.
    expected_ends.push_back(chosen.size() + (w % 2 == 1 ? expected_ends.back() : 0));
    std::vector<uint32_t> targets;
    for (const uint32_t at : chosen) targets.push_back(std::exchange(text[at], kMask));
    const std::vector<float> logits = runWhole(runner, text);
    for (size_t i = 0; i < chosen.size(); ++i) {
      const float* const row = &logits[size_t(chosen[i]) * config.vocabulary];
      double all = 0;
      for (uint32_t v = 0; v < config.vocabulary; ++v) all += std::exp(double(row[v]));
      sum += std::log(all) - double(row[targets[i]]);
      ++count;
    }
  }
  CHECK(found.nll.count() == count);
  CHECK(found.nll.mean() == doctest::Approx(sum / double(count)).epsilon(1e-5));
  CHECK(ends == expected_ends);
}

TEST_CASE("the number of masked tokens") {
  Masking masking;
  masking.special = {true, false};
  CHECK(maskedPositions(std::vector<uint32_t>{0, 0}, masking, 0).empty());
  CHECK(maskedPositions(std::vector<uint32_t>{0, 1, 0}, masking, 0) == std::vector<uint32_t>{1});
  CHECK(maskedPositions(std::vector<uint32_t>(9, 1), masking, 0).size() == 1);
  CHECK(maskedPositions(std::vector<uint32_t>(10, 1), masking, 0).size() == 2);
  CHECK(maskedPositions(std::vector<uint32_t>(200, 7), masking, 3).size() == 30);
}

TEST_CASE("an encoder refuses heads that it lacks, and sequences in parts") {
  const fs::path data = NIB_ENCODER_DATA;
  const LoadedModel bare(data / "bert_bare"), masked(data / "roberta_plain");
  const std::vector<uint32_t> ids = {1, 2, 3};
  const uint32_t row = 0;
  Runner runner = runnerOf(bare, bare.config(), 3);
  const Chunk chunk{0, 0, ids}, rest{0, 1, ids};
  runner.step({&chunk, 1});
  CHECK(messageOf([&] {
          runner.logits({&row, 1});
        }) == "the model has no head that predicts tokens, cls.predictions.transform.dense");
  Runner other = runnerOf(masked, masked.config(), 4);
  other.step({&chunk, 1});
  CHECK(messageOf([&] { other.pooled({&row, 1}); }) == "the model has no pooler, roberta.pooler.dense");
  CHECK(messageOf([&] { other.step({&rest, 1}); }) == "an encoder reads a sequence in one step");
  // 42 rows of the table, of which the first two are those of padding.
  CHECK(masked.config().max_positions == 40);
  CHECK(messageOf([&] { runnerOf(masked, masked.config(), 41); }) ==
        "a sequence of 41 tokens exceeds the 40 positions that the model has learned");
}

}  // namespace
}  // namespace nib::model::test
