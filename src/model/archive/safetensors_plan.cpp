#include "model/archive/model_writer.h"

#include "model/archive/error.h"
#include "model/archive/json_scanner.h"
#include "model/archive/safetensors_header.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <utility>

namespace nib::model {
namespace {

uint64_t bytesOf(const OutputTensor& tensor) {
  const std::optional<uint64_t> bytes = tensorBytes(tensor.dtype, tensor.shape);
  if (!bytes)
    throw Error("tensor " + quoteText(tensor.name) + ": its shape and dtype do not fill whole bytes, or too many");
  return *bytes;
}

}  // namespace

std::vector<std::vector<size_t>> planShards(std::span<const OutputTensor> tensors, uint64_t max_shard_bytes) {
  struct Group {
    std::vector<size_t> members;
    uint64_t bytes = 0;
  };
  std::vector<Group> groups;
  std::map<uint64_t, size_t> known;
  for (size_t t = 0; t < tensors.size(); ++t) {
    size_t g = groups.size();
    if (tensors[t].group) g = known.emplace(*tensors[t].group, g).first->second;
    if (g == groups.size()) groups.emplace_back();
    groups[g].members.push_back(t);
    if (__builtin_add_overflow(groups[g].bytes, bytesOf(tensors[t]), &groups[g].bytes)) {
      throw Error("tensor " + quoteText(tensors[t].name) + ": its group is too large for one file");
    }
  }
  std::vector<std::vector<size_t>> shards(1);
  uint64_t filled = 0;
  for (const Group& group : groups) {
    if (!shards.back().empty() && (filled > max_shard_bytes || group.bytes > max_shard_bytes - filled)) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().insert(shards.back().end(), group.members.begin(), group.members.end());
    filled += group.bytes;
  }
  return shards;
}

std::string shardName(size_t shard, size_t count) {
  if (count == 1) return "model.safetensors";
  char name[80];
  std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", shard + 1, count);
  return name;
}

OutputPlan planSafetensors(const WriterOptions& options, std::span<const OutputTensor> tensors) {
  OutputPlan plan;
  plan.items.resize(tensors.size());
  const std::vector<std::vector<size_t>> shards = planShards(tensors, options.max_shard_bytes);
  Metadata metadata = options.metadata;
  std::string nested;
  for (const std::string& name : options.nested_files) {
    if (name.find('/') != name.npos) nested += (nested.empty() ? "" : "\n") + name;
  }
  if (!nested.empty()) metadata.emplace_back(kNestedFilesKey, nested);
  std::map<std::string_view, size_t> shard_of;
  for (size_t s = 0; s < shards.size(); ++s) {
    const std::string name = shardName(s, shards.size());
    std::vector<TensorSpec> members;
    for (const size_t t : shards[s]) {
      members.push_back(tensors[t]);
      if (!shard_of.emplace(tensors[t].name, s).second)
        throw Error("tensor " + quoteText(tensors[t].name) + ": occurs twice in the output: use distinct names");
    }
    SafetensorsLayout layout = layOutSafetensors(members, metadata, name);
    for (size_t k = 0; k < members.size(); ++k) {
      plan.items[shards[s][k]] = {members[k].name, static_cast<uint32_t>(s), layout.offset[k], layout.bytes[k]};
      plan.total_bytes += layout.bytes[k];
    }
    plan.files.push_back({name, layout.file_bytes, std::move(layout.head)});
  }
  if (shards.size() == 1) return plan;
  // The same text as json.dumps(indent=2, sort_keys=True), which transformers uses.
  std::string index =
      "{\n  \"metadata\": {\n    \"total_size\": " + std::to_string(plan.total_bytes) + "\n  },\n  \"weight_map\": {";
  for (const auto& [name, s] : shard_of) {
    index += (index.back() == '{' ? "\n    " : ",\n    ") + jsonString(name) + ": " +
             jsonString(shardName(s, shards.size()));
  }
  plan.texts.push_back({"model.safetensors.index.json", index + "\n  }\n}\n"});
  return plan;
}

}  // namespace nib::model
