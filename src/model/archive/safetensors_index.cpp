// model.safetensors.index.json: {"metadata": {...}, "weight_map": {tensor: file}}.
#include "model/archive/error.h"
#include "model/archive/json_scanner.h"
#include "model/archive/safetensors_source.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace nib::model {
namespace {

namespace fs = std::filesystem;

// Every shard stays open, so this bounds the number of file descriptors.
constexpr size_t kMaxShards = 10'000;

// File names in the index are untrusted and must not point outside the folder.
void checkShardName(JsonScanner& scanner, std::string_view file) {
  if (file.empty() || file == "." || file.find('/') != file.npos || file.find('\\') != file.npos ||
      file.find("..") != file.npos) {
    scanner.fail("the file name " + quoteText(file) + " is not the name of a file in the folder of the index");
  }
}

// Calls entry(scanner, tensor, file) for each entry of weight_map.
template <class Entry>
void scanIndex(std::vector<char>& text, const std::string& where, const Entry& entry) {
  JsonScanner scanner(text, where, "the index");
  bool has_map = false, has_metadata = false;
  std::string_view key;
  for (bool first = true; scanner.nextKey(first, key);) {
    if (key != "weight_map") {
      if (key == "metadata" && std::exchange(has_metadata, true)) scanner.fail("a second metadata");
      scanner.skipValue();
      continue;
    }
    if (std::exchange(has_map, true)) scanner.fail("a second weight_map");
    std::string_view tensor;
    for (bool first_tensor = true; scanner.nextKey(first_tensor, tensor);) {
      scanner.about("tensor", tensor);
      entry(scanner, tensor, scanner.string("the name of a file"));
    }
    scanner.about(nullptr, {});
  }
  scanner.finish(true);
}

}  // namespace

// Resolves weight_map entries while scanning, so that memory holds only one bit per tensor instead of the map.
void SafetensorsSource::openIndex(const fs::path& path) {
  const std::string where = shown(path);
  const fs::path folder = path.parent_path();
  std::vector<char> text = readWholeFile(path, kMaxHeaderBytes);

  // First the files. An index may name files of an earlier split into shards.
  std::map<std::string, size_t, std::less<>> opened;
  std::optional<std::string> absent;
  scanIndex(text, where, [&](JsonScanner& scanner, std::string_view, std::string_view file) {
    if (opened.find(file) != opened.end() || absent == file) return;
    checkShardName(scanner, file);
    if (opened.size() == kMaxShards) scanner.fail("more than " + std::to_string(kMaxShards) + " files");
    std::error_code error;
    if (fs::status(folder / file, error).type() == fs::file_type::not_found) {
      if (!absent) absent = std::string(file);
      return;
    }
    opened.emplace(file, 0);
  });
  if (opened.empty() && !absent) {
    throw Error(where + ": names no tensor: it has no weight_map, or an empty one");
  }
  if (absent) {
    openStale(path, *absent);
    return;
  }
  for (auto& [file, shard] : opened) {
    shard = shards_.size();
    shards_.push_back(openShard(folder / file));
  }

  // Then the tensors.
  std::vector<std::vector<bool>> named;
  for (const Shard& shard : shards_) named.emplace_back(shard.header.size());
  text = readWholeFile(path, kMaxHeaderBytes);  // scanning has overwritten it
  scanIndex(text, where, [&](JsonScanner& scanner, std::string_view tensor, std::string_view file) {
    const auto place = opened.find(file);
    if (place == opened.end()) scanner.fail("has changed since it was opened");
    const std::optional<size_t> i = shards_[place->second].header.find(tensor);
    if (!i) scanner.fail("is not in " + quoteText(file) + ", where the index places it");
    if (named[place->second][*i]) scanner.fail("is in the index twice");
    named[place->second][*i] = true;
  });
  dropUnnamed(where, named);
}

// The index names a file that is not there. If all of its tensors are in the files that are, those are the model.
void SafetensorsSource::openStale(const fs::path& path, const std::string& absent) {
  const std::string where = shown(path);
  const fs::path folder = path.parent_path();
  const auto refuse = [&](const std::string& why) -> Error {
    return Error(where + ": names the file " + quoteText(absent) + ", which does not exist: fetch it too" + why);
  };
  size_t files = 0;
  for (const std::string& name : listFolder(folder)) {
    if (!name.ends_with(".safetensors")) continue;
    if (++files > kMaxShards) throw Error(where + ": more than " + std::to_string(kMaxShards) + " files");
    shards_.push_back(openShard(folder / name));
  }
  if (shards_.empty()) throw refuse("");
  try {
    finishOpening();
  } catch (const Error& error) {
    throw refuse(std::string(" (") + error.what() + ")");
  }
  std::vector<char> text = readWholeFile(path, kMaxHeaderBytes);
  scanIndex(text, where, [&](JsonScanner&, std::string_view tensor, std::string_view) {
    if (!find(tensor)) throw refuse(", tensor " + quoteText(tensor) + " is in no other file");
  });
  surroundings_.notes.push_back(where + ": names files that do not exist (" + quoteText(absent) +
                                "); the files that do hold all of its tensors, and are read");
}

// named: for each shard the tensors that the index places there. Others are left out if the index places a tensor of
// that name elsewhere, and belong to the model if it does not know them.
void SafetensorsSource::dropUnnamed(const std::string& where, const std::vector<std::vector<bool>>& named) {
  std::set<std::string_view> placed;
  bool all = true;
  for (const std::vector<bool>& marks : named) all = all && std::find(marks.begin(), marks.end(), false) == marks.end();
  if (all) return finishOpening();
  for (size_t s = 0; s < named.size(); ++s) {
    for (size_t i = 0; i < named[s].size(); ++i) {
      if (named[s][i]) placed.insert(shards_[s].header.name(i));
    }
  }
  std::vector<uint32_t> kept;
  size_t extra = 0, overlaid = 0;
  std::string first_extra, first_overlaid;
  uint32_t number = 0;
  for (size_t s = 0; s < named.size(); ++s) {
    const std::string file = shown(shards_[s].file.path().filename());
    for (size_t i = 0; i < named[s].size(); ++i, ++number) {
      const std::string_view name = shards_[s].header.name(i);
      const bool is_overlaid = !named[s][i] && placed.count(name) != 0;
      if (!is_overlaid) kept.push_back(number);
      if (is_overlaid && overlaid++ == 0) first_overlaid = quoteText(name) + " of " + file;
      if (!is_overlaid && !named[s][i] && extra++ == 0) first_extra = quoteText(name) + " of " + file;
    }
  }
  const auto others = [](size_t count) {
    return count > 1 ? " and " + std::to_string(count - 1) + " more" : std::string();
  };
  if (overlaid != 0) {
    surroundings_.notes.push_back(where + ": places other tensors instead of " + first_overlaid + others(overlaid) +
                                  ", which are left out");
    kept_ = std::move(kept);
  }
  if (extra != 0) {
    surroundings_.notes.push_back(where + ": does not name " + first_extra + others(extra) +
                                  ", which are kept all the same");
  }
  finishOpening();
}

}  // namespace nib::model
