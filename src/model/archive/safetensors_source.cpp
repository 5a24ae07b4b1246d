#include "model/archive/safetensors_source.h"

#include "model/archive/error.h"

#include <algorithm>
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
  if (text.starts_with("PK\x03\x04") || (isPickle(path.filename().native()) && text.starts_with('\x80'))) {
    throwPickle(path, path.filename());
  }
  if (path.extension() == ".json")
    throw Error(shown(path) + ": is JSON, expected the model's folder, a .safetensors file or a .gguf file");
}

struct FolderNames {
  std::vector<std::string> safetensors;
  std::vector<std::string> pickle;
  std::vector<std::string> quantization;
  bool has_index = false;
};

FolderNames classifyFiles(const fs::path& folder) {
  FolderNames names;
  for (const std::string& name : listFolder(folder)) {
    if (name.ends_with(".safetensors")) names.safetensors.push_back(name);
    if (isPickle(name)) names.pickle.push_back(name);
    if (name == kIndexName) names.has_index = true;
    std::error_code ignored;
    if (isQuantizationFile(name) && fs::is_regular_file(folder / name, ignored)) names.quantization.push_back(name);
  }
  return names;
}

}  // namespace

SafetensorsSource::SafetensorsSource(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    openFolder(path);
  } else {
    shards_.push_back(openShard(path));
  }
  if (first_.empty()) finishOpening();
}

void SafetensorsSource::openFolder(const fs::path& folder) {
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
  } else if (!names.pickle.empty()) {
    throwPickle(folder, names.pickle[0]);
  } else {
    throw Error(shown(folder) + ": contains no model: it needs a safetensors file, or several and " + kIndexName +
                ", or a GGUF file");
  }
  SideFiles side = findSideFiles(folder);
  surroundings_.side_files = std::move(side.files);
  for (const std::string& name : side.weights) {
    const bool is_read = std::any_of(shards_.begin(), shards_.end(),
                                     [&](const Shard& shard) { return shard.file.path() == folder / name; });
    if (!is_read && name != kIndexName) {
      surroundings_.notes.push_back(shown(folder / name) + ": holds weights that are neither read nor copied");
    }
  }
  surroundings_.notes.insert(surroundings_.notes.end(), side.notes.begin(), side.notes.end());
  const fs::path config = folder / "config.json";
  std::error_code error;
  if (fs::symlink_status(config, error).type() != fs::file_type::not_found) {
    const std::vector<char> text = readWholeFile(config, kMaxConfigBytes);
    surroundings_.config_json.emplace(text.begin(), text.end());
  }
  for (const std::string& name : names.quantization) {
    const std::vector<char> text = readWholeFile(folder / name, kMaxConfigBytes);
    surroundings_.quantization_files.push_back({name, std::string(text.begin(), text.end())});
  }
}

bool isQuantizationFile(std::string_view name) {
  return name == "hf_quant_config.json" || name == "quantize_config.json" || name == "quant_config.json" ||
         name == "quantization_config.json" || name == "quantization_map.json" || name == "quanto_qmap.json" ||
         (name.starts_with("quant_model_description") && name.ends_with(".json"));
}

SafetensorsSource::Shard SafetensorsSource::openShard(const fs::path& path) {
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

void SafetensorsSource::finishOpening() {
  first_.assign(1, 0);
  for (const Shard& shard : shards_) first_.push_back(first_.back() + shard.header.size());
  indexNames();
}

std::pair<uint32_t, size_t> SafetensorsSource::locate(size_t i) const {
  if (!kept_.empty()) i = kept_[i];
  const size_t shard = size_t(std::upper_bound(first_.begin(), first_.end(), i) - first_.begin()) - 1;
  return {static_cast<uint32_t>(shard), i - first_[shard]};
}

std::string_view SafetensorsSource::name(size_t i) const {
  const auto [shard, k] = locate(i);
  return shards_[shard].header.name(k);
}

TensorInfo SafetensorsSource::info(size_t i) const {
  const auto [shard, k] = locate(i);
  const SafetensorsHeader& header = shards_[shard].header;
  return {header.name(k),  header.dtype(k), header.shape(k),
          header.bytes(k), shard,           shards_[shard].data_at + header.begin(k)};
}

void SafetensorsSource::read(size_t i, uint64_t offset, std::span<std::byte> out) const {
  const auto [shard, k] = locate(i);
  shards_[shard].file.read(shards_[shard].data_at + shards_[shard].header.begin(k) + offset, out);
}

std::vector<fs::path> SafetensorsSource::files() const {
  std::vector<fs::path> paths;
  for (const Shard& shard : shards_) paths.push_back(shard.file.path());
  return paths;
}

void SafetensorsSource::fingerprint(Hasher& hasher) const {
  hasher.add(uint64_t{shards_.size()});
  for (const Shard& shard : shards_) {
    hasher.add(shard.file_bytes);
    hasher.add(shard.json_hash.high);
    hasher.add(shard.json_hash.low);
    addSamples(hasher, shard.data_at, shard.file_bytes - shard.data_at,
               [&](uint64_t at, std::span<std::byte> sample) { shard.file.read(at, sample); });
  }
}

const SourceKind kSafetensorsSource = {
    "safetensors", [](const fs::path&, std::string_view) { return true; },
    [](const fs::path& path) -> std::unique_ptr<TensorSource> { return std::make_unique<SafetensorsSource>(path); }};

}  // namespace nib::model
