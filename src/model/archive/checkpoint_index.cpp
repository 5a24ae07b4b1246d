// model.safetensors.index.json: {"metadata": {...}, "weight_map": {tensor: file}}.
#include "model/archive/checkpoint.h"
#include "model/archive/error.h"
#include "model/archive/json_scanner.h"

#include <algorithm>
#include <map>
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

}  // namespace

// Resolves weight_map entries while scanning, so that memory holds only one bit per tensor instead of the map.
void Checkpoint::openIndex(const fs::path& path) {
  const std::string where = shown(path);
  std::vector<char> text = readWholeFile(path, kMaxHeaderBytes);
  JsonScanner scanner(text, where, "the index");
  const fs::path folder = path.parent_path();

  std::map<std::string, size_t, std::less<>> opened;
  std::vector<std::vector<bool>> named;
  const auto shardOf = [&](std::string_view file) {
    if (const auto found = opened.find(file); found != opened.end()) return found->second;
    checkShardName(scanner, file);
    if (shards_.size() == kMaxShards) scanner.fail("more than " + std::to_string(kMaxShards) + " files");
    const fs::path shard = folder / file;
    std::error_code error;
    if (fs::status(shard, error).type() == fs::file_type::not_found) {
      throw Error(where + ": names the file " + quoteText(file) + ", which does not exist: fetch it too");
    }
    shards_.push_back(openShard(shard));
    named.emplace_back(shards_.back().header.size());
    return opened.emplace(file, shards_.size() - 1).first->second;
  };

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
      const std::string_view file = scanner.string("the name of a file");
      const size_t shard = shardOf(file);
      const std::optional<size_t> i = shards_[shard].header.find(tensor);
      if (!i) scanner.fail("is not in " + quoteText(file) + ", where the index places it");
      if (named[shard][*i]) scanner.fail("is in the index twice");
      named[shard][*i] = true;
    }
    scanner.about(nullptr, {});
  }
  scanner.finish(true);
  if (shards_.empty()) throw Error(where + ": names no tensor: it has no weight_map, or an empty one");

  // finishOpening() runs before the check below: for a tensor that is in two files, its message is the clearer one.
  std::vector<size_t> order;
  for (const auto& [file, shard] : opened) order.push_back(shard);
  std::vector<Shard> sorted;
  for (const size_t shard : order) sorted.push_back(std::move(shards_[shard]));
  shards_ = std::move(sorted);
  finishOpening();
  for (size_t k = 0; k < order.size(); ++k) {
    const std::vector<bool>& marks = named[order[k]];
    const auto missing = std::find(marks.begin(), marks.end(), false);
    if (missing == marks.end()) continue;
    throw Error(where + ": does not name tensor " + quoteText(shards_[k].header.name(size_t(missing - marks.begin()))) +
                " of " + shown(shards_[k].file.path().filename()) + ": index and files are not of one model");
  }
}

}  // namespace nib::model
