#include "model/archive/checkpoint.h"

#include "model/archive/error.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

namespace nib::model {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxConfigBytes = 4'000'000;
constexpr const char* kIndexName = "model.safetensors.index.json";

bool isPickle(std::string_view name) {
  return (name.starts_with("pytorch_model") && (name.ends_with(".bin") || name.ends_with(".bin.index.json"))) ||
         name.ends_with(".pt") || name.ends_with(".pth") || name.ends_with(".ckpt") || name.ends_with(".pkl");
}

[[noreturn]] void throwPickle(const fs::path& path, const std::string& file) {
  throw Error(
      shown(path) + ": its weights are pickle (" + shown(file) +
      "), and loading pickle can run code that is hidden in it, so nibble does not; convert them where that does no "
      "harm, with transformers: AutoModelForCausalLM.from_pretrained(IN).save_pretrained(OUT, "
      "safe_serialization=True)");
}

// Recognizes other model formats by their first bytes, for a helpful message.
void refuseOtherContainers(const fs::path& path, std::span<const std::byte> start) {
  const std::string_view text(reinterpret_cast<const char*>(start.data()), start.size());
  if (text.starts_with("GGUF")) {
    throw Error(shown(path) + ": is a GGUF file, expected safetensors: fetch the model's safetensors files");
  }
  if (text.starts_with("PK\x03\x04") || (isPickle(path.filename().native()) && text.starts_with('\x80'))) {
    throwPickle(path, path.filename());
  }
  if (path.extension() == ".json")
    throw Error(shown(path) + ": is JSON, expected the model's folder or a .safetensors file");
}

struct FolderNames {
  std::vector<std::string> safetensors;
  std::vector<std::string> pickle;
  std::vector<std::string> gguf;
  std::vector<std::string> quantization;
  bool has_index = false;
};

FolderNames classifyFiles(const fs::path& folder) {
  FolderNames names;
  for (const std::string& name : listFolder(folder)) {
    if (name.ends_with(".safetensors")) names.safetensors.push_back(name);
    if (isPickle(name)) names.pickle.push_back(name);
    if (name.ends_with(".gguf")) names.gguf.push_back(name);
    if (name == kIndexName) names.has_index = true;
    std::error_code ignored;
    if (isQuantizationFile(name) && fs::is_regular_file(folder / name, ignored)) names.quantization.push_back(name);
  }
  return names;
}

}  // namespace

Checkpoint::Checkpoint(const fs::path& path) {
  std::error_code error;
  path_ = path;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) throw Error(shown(path) + ": there is no such file or folder");
  if (status.type() == fs::file_type::directory) {
    openFolder(path);
  } else {
    shards_.push_back(openShard(path));
  }
  if (first_.empty()) finishOpening();
}

void Checkpoint::openFolder(const fs::path& folder) {
  const FolderNames names = classifyFiles(folder);
  const bool has_model = std::binary_search(names.safetensors.begin(), names.safetensors.end(), "model.safetensors");
  if (names.has_index) {
    openIndex(folder / kIndexName);
  } else if (has_model) {
    shards_.push_back(openShard(folder / "model.safetensors"));
  } else if (names.safetensors.size() == 1) {
    shards_.push_back(openShard(folder / names.safetensors[0]));
  } else if (!names.safetensors.empty()) {
    throw Error(shown(folder) + ": contains " + std::to_string(names.safetensors.size()) +
                " safetensors files but no " + kIndexName +
                ", which says in which file each tensor is: fetch it too, or name one of the files");
  } else if (!names.gguf.empty()) {
    throw Error(shown(folder) + ": its weights are a GGUF file (" + shown(names.gguf[0]) +
                "), which nibble does not read: fetch the model's safetensors files");
  } else if (!names.pickle.empty()) {
    throwPickle(folder, names.pickle[0]);
  } else {
    throw Error(shown(folder) + ": contains no model: it needs a safetensors file, or several and " + kIndexName);
  }
  SideFiles side = findSideFiles(folder);
  side_files_ = std::move(side.files);
  for (const std::string& name : side.weights) {
    const bool is_read = std::any_of(shards_.begin(), shards_.end(),
                                     [&](const Shard& shard) { return shard.file.path() == folder / name; });
    if (!is_read && name != kIndexName) {
      notes_.push_back(shown(folder / name) + ": holds weights that are neither read nor copied");
    }
  }
  notes_.insert(notes_.end(), side.notes.begin(), side.notes.end());
  const fs::path config = folder / "config.json";
  std::error_code error;
  if (fs::symlink_status(config, error).type() != fs::file_type::not_found) {
    const std::vector<char> text = readWholeFile(config, kMaxConfigBytes);
    config_json_.emplace(text.begin(), text.end());
  }
  for (const std::string& name : names.quantization) {
    const std::vector<char> text = readWholeFile(folder / name, kMaxConfigBytes);
    quantization_files_.push_back({name, std::string(text.begin(), text.end())});
  }
}

bool isQuantizationFile(std::string_view name) {
  return name == "hf_quant_config.json" || name == "quantize_config.json" || name == "quant_config.json" ||
         name == "quantization_config.json" || name == "quantization_map.json" || name == "quanto_qmap.json" ||
         (name.starts_with("quant_model_description") && name.ends_with(".json"));
}

Checkpoint::Shard Checkpoint::openShard(const fs::path& path) {
  File file = File::openToRead(path);
  const uint64_t file_bytes = file.bytes();
  std::vector<std::byte> start(std::min<uint64_t>(8, file_bytes));
  file.read(0, start);
  refuseOtherContainers(path, start);
  std::vector<char> json(SafetensorsHeader::jsonBytes(start, file_bytes, shown(path)));
  file.read(8, std::as_writable_bytes(std::span(json)));
  Hasher hasher;
  hasher.add(std::string_view(json.data(), json.size()));
  const uint64_t data_at = 8 + json.size();
  return {std::move(file), SafetensorsHeader(std::move(json), file_bytes - data_at, shown(path)), data_at, file_bytes,
          hasher.digest()};
}

void Checkpoint::finishOpening() {
  first_.assign(1, 0);
  for (const Shard& shard : shards_) first_.push_back(first_.back() + shard.header.size());
  if (first_.back() > std::numeric_limits<uint32_t>::max())
    throw Error(shown(shards_[0].file.path()) + ": more tensors than 2^32");
  by_name_.resize(size());
  std::iota(by_name_.begin(), by_name_.end(), 0u);
  std::sort(by_name_.begin(), by_name_.end(), [&](uint32_t a, uint32_t b) { return nameOf(a) < nameOf(b); });
  for (size_t k = 1; k < by_name_.size(); ++k) {
    if (nameOf(by_name_[k]) != nameOf(by_name_[k - 1])) continue;
    const fs::path& one = shards_[locate(by_name_[k - 1]).first].file.path();
    const fs::path& other = shards_[locate(by_name_[k]).first].file.path();
    throw Error(shown(one) + ": tensor " + quoteText(nameOf(by_name_[k])) + " is in " + shown(other.filename()) +
                " too");
  }
}

std::pair<uint32_t, size_t> Checkpoint::locate(size_t i) const {
  if (!kept_.empty()) i = kept_[i];
  const size_t shard = size_t(std::upper_bound(first_.begin(), first_.end(), i) - first_.begin()) - 1;
  return {static_cast<uint32_t>(shard), i - first_[shard]};
}

std::string_view Checkpoint::nameOf(size_t i) const {
  const auto [shard, k] = locate(i);
  return shards_[shard].header.name(k);
}

TensorInfo Checkpoint::info(size_t i) const {
  if (i >= size()) throw Error("tensor " + std::to_string(i) + " of " + std::to_string(size()) + " was asked for");
  const auto [shard, k] = locate(i);
  const SafetensorsHeader& header = shards_[shard].header;
  return {header.name(k),  header.dtype(k), header.shape(k),
          header.bytes(k), shard,           shards_[shard].data_at + header.begin(k)};
}

std::optional<size_t> Checkpoint::find(std::string_view name) const {
  const auto found = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                      [&](uint32_t i, std::string_view wanted) { return nameOf(i) < wanted; });
  if (found == by_name_.end() || nameOf(*found) != name) return std::nullopt;
  return *found;
}

void Checkpoint::read(size_t i, uint64_t offset, std::span<std::byte> out) const {
  const TensorInfo tensor = info(i);
  if (offset > tensor.bytes || out.size() > tensor.bytes - offset) {
    throw Error("tensor " + quoteText(tensor.name) + ": bytes beyond its end were asked for");
  }
  shards_[tensor.file].file.read(tensor.offset + offset, out);
}

std::vector<fs::path> Checkpoint::files() const {
  std::vector<fs::path> paths;
  for (const Shard& shard : shards_) paths.push_back(shard.file.path());
  return paths;
}

Hash128 Checkpoint::fingerprint() const {
  constexpr uint64_t kSamples = 64;
  Hasher hasher;
  hasher.add(uint64_t{shards_.size()});
  std::vector<std::byte> sample;
  for (const Shard& shard : shards_) {
    hasher.add(shard.file_bytes);
    hasher.add(shard.json_hash.high);
    hasher.add(shard.json_hash.low);
    const uint64_t data_bytes = shard.file_bytes - shard.data_at;
    sample.resize(std::min<uint64_t>(4096, data_bytes));
    const uint64_t last = data_bytes - sample.size();
    for (uint64_t k = 0; k < kSamples && !sample.empty(); ++k) {
      shard.file.read(shard.data_at + last / (kSamples - 1) * k + last % (kSamples - 1) * k / (kSamples - 1), sample);
      hasher.add(sample);
    }
  }
  hasher.add(std::string_view(config_json_ ? *config_json_ : std::string()));
  for (const TextFile& file : quantization_files_) hasher.add(std::string_view(file.text));
  return hasher.digest();
}

}  // namespace nib::model
