#include "model/archive/error.h"
#include "model/archive/json_scanner.h"
#include "model/archive/safetensors_header.h"

#include <algorithm>
#include <numeric>

namespace nib::model {

SafetensorsLayout layOutSafetensors(std::span<const TensorSpec> tensors, const Metadata& metadata,
                                    const std::string& where) {
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (tensors[a].dtype != tensors[b].dtype) return tensors[a].dtype > tensors[b].dtype;
    return tensors[a].name < tensors[b].name;
  });

  std::string json = "{";
  const auto separate = [&] {
    if (json.size() > 1) json += ',';
  };
  if (!metadata.empty()) {
    json += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) {
      if (json.back() != '{') json += ',';
      json += jsonString(key) + ':' + jsonString(value);
    }
    json += '}';
  }
  SafetensorsLayout layout;
  layout.offset.resize(tensors.size());
  layout.bytes.resize(tensors.size());
  uint64_t end = 0;
  for (const size_t i : order) {
    const TensorSpec& tensor = tensors[i];
    const std::optional<uint64_t> bytes = tensorBytes(tensor.dtype, tensor.shape);
    if (tensor.name == "__metadata__") throw Error(where + ": no tensor can be named \"__metadata__\"");
    if (!bytes)
      throw Error(where + ": tensor " + quoteText(tensor.name) +
                  ": its shape and dtype do not fill whole bytes, or too many");
    layout.offset[i] = end;
    layout.bytes[i] = *bytes;
    separate();
    json += jsonString(tensor.name) + ":{\"dtype\":\"" + std::string(dtypeName(tensor.dtype)) + "\",\"shape\":[";
    for (size_t k = 0; k < tensor.shape.size(); ++k) json += (k == 0 ? "" : ",") + std::to_string(tensor.shape[k]);
    json += "],\"data_offsets\":[" + std::to_string(end);
    if (__builtin_add_overflow(end, *bytes, &end)) throw Error(where + ": its tensors are too large for one file");
    json += ',' + std::to_string(end) + "]}";
  }
  json += '}';
  // The padding aligns the data to 8 bytes. With the order above, every tensor is aligned to its element size.
  json.append((8 - json.size() % 8) % 8, ' ');

  const uint64_t json_bytes = json.size();
  if (json_bytes > kMaxHeaderBytes) {
    throw Error(where + ": the header of " + std::to_string(tensors.size()) +
                " tensors would be longer than safetensors allows");
  }
  // The reader checks the names: invalid UTF-8, U+0000, duplicates.
  SafetensorsHeader(std::vector<char>(json.begin(), json.end()), end, where);
  for (size_t i = 0; i < 8; ++i) layout.head.push_back(static_cast<std::byte>(json_bytes >> (8 * i)));
  for (const char c : json) layout.head.push_back(static_cast<std::byte>(c));
  for (uint64_t& offset : layout.offset) offset += layout.head.size();
  if (__builtin_add_overflow(end, uint64_t{layout.head.size()}, &layout.file_bytes) ||
      layout.file_bytes > uint64_t(INT64_MAX)) {
    throw Error(where + ": its tensors are too large for one file");
  }
  return layout;
}

}  // namespace nib::model
