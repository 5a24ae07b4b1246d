#include "model/calibrate/recording.h"

#include "model/archive/checkpoint.h"
#include "model/archive/error.h"
#include "model/archive/npy.h"
#include "model/quantize/weight_type.h"

#include <algorithm>
#include <memory>
#include <numeric>

namespace nib::model {
namespace {

namespace fs = std::filesystem;

void setShape(Recording& recording, const std::vector<uint64_t>& shape, const fs::path& path) {
  if (shape.size() < 2) {
    throw Error(shown(path) + ": " + quoteText(recording.name) + " has " + std::to_string(shape.size()) +
                " dimensions; activations are [tokens, channels]");
  }
  const uint64_t channels = shape.back();
  if (channels == 0 || channels > UINT32_MAX / 8) {
    throw Error(shown(path) + ": " + quoteText(recording.name) + " has " + std::to_string(channels) + " channels");
  }
  recording.channels = uint32_t(channels);
  recording.tokens = std::accumulate(shape.begin(), shape.end() - 1, uint64_t(1), std::multiplies<>());
}

void addNpy(std::vector<Recording>& list, const fs::path& path) {
  const auto file = std::make_shared<NpyFile>(path);
  Recording recording;
  recording.name = path.stem().string();
  recording.dtype = file->dtype();
  setShape(recording, file->shape(), path);
  recording.read = [file](uint64_t offset, std::span<std::byte> out) { file->read(offset, out); };
  list.push_back(std::move(recording));
}

void addSafetensors(std::vector<Recording>& list, const fs::path& path) {
  const auto file = std::make_shared<Checkpoint>(path);
  for (size_t i = 0; i < file->size(); ++i) {
    const TensorInfo info = file->info(i);
    if (!nibTypeOf(info.dtype) || info.shape.size() < 2) continue;
    Recording recording;
    recording.name = std::string(info.name);
    recording.dtype = info.dtype;
    setShape(recording, info.shape, path);
    recording.read = [file, i](uint64_t offset, std::span<std::byte> out) { file->read(i, offset, out); };
    list.push_back(std::move(recording));
  }
}

// Returns false if the file has neither extension.
bool addFile(std::vector<Recording>& list, const fs::path& path) {
  const std::string ending = path.extension().string();
  if (ending == ".npy") addNpy(list, path);
  if (ending == ".safetensors") addSafetensors(list, path);
  return ending == ".npy" || ending == ".safetensors";
}

// splitmix64 (Steele, Lea, Flood 2014).
uint64_t nextRandom(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

}  // namespace

std::vector<Recording> openRecordings(const fs::path& path) {
  std::vector<Recording> list;
  std::error_code error;
  if (fs::is_directory(path, error)) {
    for (const std::string& name : listFolder(path)) addFile(list, path / name);
  } else if (!addFile(list, path)) {
    throw Error(shown(path) + ": activations are .npy or .safetensors files, or a folder of them");
  }
  if (list.empty())
    throw Error(shown(path) + ": holds no activations: .npy files, or .safetensors tensors [tokens, channels]");
  std::sort(list.begin(), list.end(), [](const Recording& a, const Recording& b) { return a.name < b.name; });
  for (size_t i = 1; i < list.size(); ++i) {
    if (list[i].name == list[i - 1].name)
      throw Error(shown(path) + ": two recordings are named " + quoteText(list[i].name));
  }
  return list;
}

std::vector<Sequence> chooseSequences(uint64_t tokens, uint64_t length, uint64_t samples, uint64_t seed) {
  const uint64_t count = tokens / length + (tokens % length != 0 ? 1 : 0);
  std::vector<uint64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), uint64_t(0));
  if (samples != 0 && samples < count) {
    // The first `samples` steps of a Fisher-Yates shuffle.
    uint64_t state = seed;
    for (uint64_t i = 0; i < samples; ++i) {
      const uint64_t r = nextRandom(state) % (count - i);
      std::swap(order[size_t(i)], order[size_t(i + r)]);
    }
    order.resize(size_t(samples));
    std::sort(order.begin(), order.end());
  }
  std::vector<Sequence> sequences;
  for (const uint64_t i : order) sequences.push_back({i * length, std::min(length, tokens - i * length)});
  return sequences;
}

}  // namespace nib::model
