#include "model/archive/gguf/layout.h"

#include "model/archive/error.h"

#include <bit>
#include <set>

namespace nib::model {
namespace {

template <class T>
void append(std::string& bytes, T value) {
  for (size_t i = 0; i < sizeof value; ++i) bytes += char(value >> (8 * i) & 0xff);
}

void appendText(std::string& bytes, std::string_view text) {
  append(bytes, uint64_t{text.size()});
  bytes += text;
}

uint64_t padded(uint64_t bytes) { return (bytes + kGgufAlignment - 1) / kGgufAlignment * kGgufAlignment; }

}  // namespace

void GgufMetadata::begin(std::string_view key, GgufValue type) {
  ++count_;
  appendText(bytes_, key);
  append(bytes_, uint32_t(type));
}

void GgufMetadata::beginArray(std::string_view key, GgufValue type, uint64_t count) {
  begin(key, GgufValue::kArray);
  append(bytes_, uint32_t(type));
  append(bytes_, count);
}

void GgufMetadata::add(std::string_view key, uint16_t value) {
  begin(key, GgufValue::kU16);
  append(bytes_, value);
}

void GgufMetadata::add(std::string_view key, int32_t value) {
  begin(key, GgufValue::kI32);
  append(bytes_, uint32_t(value));
}

void GgufMetadata::add(std::string_view key, uint32_t value) {
  begin(key, GgufValue::kU32);
  append(bytes_, value);
}

void GgufMetadata::add(std::string_view key, float value) {
  begin(key, GgufValue::kF32);
  append(bytes_, std::bit_cast<uint32_t>(value));
}

void GgufMetadata::add(std::string_view key, bool value) {
  begin(key, GgufValue::kBool);
  append(bytes_, uint8_t(value ? 1 : 0));
}

void GgufMetadata::add(std::string_view key, std::string_view value) {
  begin(key, GgufValue::kString);
  appendText(bytes_, value);
}

void GgufMetadata::add(std::string_view key, std::span<const std::string> values) {
  beginArray(key, GgufValue::kString, values.size());
  for (const std::string& value : values) appendText(bytes_, value);
}

void GgufMetadata::add(std::string_view key, std::span<const float> values) {
  beginArray(key, GgufValue::kF32, values.size());
  for (const float value : values) append(bytes_, std::bit_cast<uint32_t>(value));
}

void GgufMetadata::add(std::string_view key, std::span<const int32_t> values) {
  beginArray(key, GgufValue::kI32, values.size());
  for (const int32_t value : values) append(bytes_, uint32_t(value));
}

GgufLayout layOutGguf(const GgufMetadata& metadata, std::span<const GgufTensor> tensors, const std::string& where) {
  std::string head = "GGUF";
  append(head, kGgufVersion);
  append(head, uint64_t{tensors.size()});
  append(head, metadata.count());
  head += metadata.bytes();
  GgufLayout layout;
  uint64_t at = 0;
  std::set<std::string_view> names;
  for (const GgufTensor& tensor : tensors) {
    if (tensor.name.size() > kMaxGgufName) {
      throw Error(where + ": tensor " + quoteText(tensor.name) + ": its name is longer than the 63 bytes of GGUF");
    }
    if (!names.insert(tensor.name).second) throw Error(where + ": tensor " + quoteText(tensor.name) + ": occurs twice");
    appendText(head, tensor.name);
    append(head, uint32_t(tensor.dims.size()));
    for (const uint64_t size : tensor.dims) append(head, size);
    append(head, tensor.type->id);
    append(head, at);
    layout.offset.push_back(at);
    if (tensor.bytes > uint64_t(INT64_MAX) - kGgufAlignment || __builtin_add_overflow(at, padded(tensor.bytes), &at)) {
      throw Error(where + ": its tensors are too large for one file");
    }
  }
  head.resize(size_t(padded(head.size())), '\0');
  for (const char c : head) layout.head.push_back(std::byte(c));
  for (uint64_t& offset : layout.offset) offset += head.size();
  if (__builtin_add_overflow(at, uint64_t{head.size()}, &layout.file_bytes) ||
      layout.file_bytes > uint64_t(INT64_MAX)) {
    throw Error(where + ": its tensors are too large for one file");
  }
  return layout;
}

}  // namespace nib::model
