#include "model/archive/gguf/header.h"

#include "model/archive/error.h"
#include "model/archive/utf8.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>
#include <set>

namespace nib::model {
namespace {

constexpr uint64_t kMaxKey = 65535;
constexpr uint64_t kMaxShown = 200;
// Far above every model, and little memory.
constexpr uint64_t kMaxValues = 1u << 16, kMaxTensors = 1u << 18, kMaxTexts = 1u << 24;
constexpr uint64_t kLeastValue = 8 + 1 + 4 + 1, kLeastTensor = 8 + 1 + 4 + 8 + 4 + 8;

// 0 = not a type of fixed size.
uint32_t sizeOf(GgufValue type) {
  switch (type) {
    case GgufValue::kU8:
    case GgufValue::kI8:
    case GgufValue::kBool: return 1;
    case GgufValue::kU16:
    case GgufValue::kI16: return 2;
    case GgufValue::kU32:
    case GgufValue::kI32:
    case GgufValue::kF32: return 4;
    case GgufValue::kU64:
    case GgufValue::kI64:
    case GgufValue::kF64: return 8;
    default: return 0;
  }
}

}  // namespace

void GgufHeader::fail(const std::string& problem) const { throw Error(where_ + ": " + problem); }

// Makes sure that the next `count` bytes are in memory.
void GgufHeader::need(uint64_t count) {
  if (count > file_bytes_ - at_) fail("ends within its header, at byte " + std::to_string(file_bytes_));
  if (count > kMaxGgufHeader - at_) {
    fail("its header is longer than " + std::to_string(kMaxGgufHeader / 1'000'000) + " MB");
  }
  const size_t have = bytes_.size(), wanted = at_ + size_t(count);
  if (wanted <= have) return;
  const uint64_t most = std::min(file_bytes_, kMaxGgufHeader);
  bytes_.resize(size_t(std::min<uint64_t>(most, std::max<uint64_t>(wanted, std::max<uint64_t>(2 * have, 65536)))));
  (*read_)(have, std::as_writable_bytes(std::span(bytes_.data() + have, bytes_.size() - have)));
}

template <class T>
T GgufHeader::take() {
  need(sizeof(T));
  T value;
  std::memcpy(&value, &bytes_[at_], sizeof value);
  at_ += sizeof value;
  return value;
}

std::string_view GgufHeader::takeText(const char* what, uint64_t most) {
  const uint64_t size = take<uint64_t>();
  if (size > most)
    fail(std::string(what) + " has " + std::to_string(size) + " bytes, more than " + std::to_string(most));
  need(size);
  const std::string_view text(bytes_.data() + at_, size_t(size));
  at_ += size_t(size);
  return text;
}

// Checks a value and goes to its end. name: for messages.
void GgufHeader::skipValue(Value& value, const std::string& name) {
  value.type = GgufValue(take<uint32_t>());
  value.element = value.type;
  value.count = 1;
  if (value.type == GgufValue::kArray) {
    value.element = GgufValue(take<uint32_t>());
    value.count = take<uint64_t>();
    if (value.element == GgufValue::kArray) fail(name + ": is an array of arrays, which nibble does not read");
  }
  value.at = at_;
  const uint32_t size = sizeOf(value.element);
  if (size == 0 && value.element != GgufValue::kString) {
    fail(name + ": has the unknown type " + std::to_string(uint32_t(value.element)));
  }
  // Each element has 1 byte at least, a text 8.
  if (value.count > (file_bytes_ - at_) / (size != 0 ? size : 8)) {
    fail(name + ": has " + std::to_string(value.count) + " elements, more than the file holds");
  }
  if (size != 0) {
    need(value.count * size);
    if (value.element == GgufValue::kBool) {
      for (uint64_t i = 0; i < value.count; ++i) {
        if (uint8_t(bytes_[at_ + size_t(i)]) > 1) fail(name + ": is a bool that is neither 0 nor 1");
      }
    }
    at_ += size_t(value.count) * size;
  } else {
    for (uint64_t i = 0; i < value.count; ++i) takeText(name.c_str(), file_bytes_ - at_);
  }
  value.end = at_;
}

void GgufHeader::readValues(uint64_t count) {
  if (count > kMaxValues || count > (file_bytes_ - at_) / kLeastValue)
    fail("has " + std::to_string(count) + " values, more than it can hold");
  std::vector<std::pair<size_t, size_t>> keys;  // bytes_ may move while it grows
  for (uint64_t i = 0; i < count; ++i) {
    const std::string_view key = takeText("a key", kMaxKey);
    if (key.empty() || findInvalidUtf8(key) != key.npos) fail("has a key that is empty or not text");
    keys.emplace_back(size_t(key.data() - bytes_.data()), key.size());
    const std::string name = quoteText(key);
    skipValue(values_.emplace_back(), name);
  }
  for (size_t i = 0; i < values_.size(); ++i) {
    values_[i].key = std::string_view(bytes_).substr(keys[i].first, keys[i].second);
  }
}

uint64_t GgufHeader::alignment() const {
  const std::optional<uint64_t> stated = whole("general.alignment");
  if (!stated) return kGgufAlignment;
  if (*stated == 0 || !std::has_single_bit(*stated) || *stated > (1u << 20)) {
    fail("\"general.alignment\" is " + std::to_string(*stated) + ", no power of two up to 1048576");
  }
  return *stated;
}

void GgufHeader::readTensors(uint64_t count) {
  if (count > kMaxTensors || count > (file_bytes_ - at_) / kLeastTensor) {
    fail("has " + std::to_string(count) + " tensors, more than it can hold");
  }
  std::set<std::string> names;
  for (uint64_t i = 0; i < count; ++i) {
    Tensor tensor;
    tensor.name = std::string(takeText("the name of a tensor", kMaxGgufName));
    const std::string name = "tensor " + quoteText(tensor.name);
    if (tensor.name.empty() || findInvalidUtf8(tensor.name) != std::string::npos) fail(name + ": its name is not text");
    if (!names.insert(tensor.name).second) fail(name + ": occurs twice");
    const uint32_t rank = take<uint32_t>();
    if (rank < 1 || rank > 4) fail(name + ": has " + std::to_string(rank) + " dimensions, not 1 to 4");
    uint64_t elements = 1;
    for (uint32_t k = 0; k < rank; ++k) {
      tensor.dims.push_back(take<uint64_t>());
      if (tensor.dims[k] == 0) fail(name + ": has a dimension of 0");
      if (__builtin_mul_overflow(elements, tensor.dims[k], &elements) || elements > uint64_t(INT64_MAX)) {
        fail(name + ": has more elements than fit 64 bits");
      }
    }
    const uint32_t type = take<uint32_t>();
    tensor.type = findGgmlType(type);
    if (tensor.type == nullptr) fail(name + ": has the unknown type " + std::to_string(type));
    if (tensor.dims[0] % tensor.type->block != 0) {
      fail(name + ": has rows of " + std::to_string(tensor.dims[0]) + " elements, and blocks of " + tensor.type->name +
           " have " + std::to_string(tensor.type->block));
    }
    if (__builtin_mul_overflow(elements / tensor.type->block, uint64_t(tensor.type->bytes), &tensor.bytes)) {
      fail(name + ": is too large");
    }
    tensor.offset = take<uint64_t>();
    tensors_.push_back(std::move(tensor));
  }
}

GgufHeader::GgufHeader(const Read& read, uint64_t file_bytes, std::string where)
    : read_(&read), file_bytes_(file_bytes), where_(std::move(where)) {
  const uint32_t magic = take<uint32_t>(), version = take<uint32_t>();
  if (magic != 0x46554747u) fail("does not begin with GGUF");
  if (version == 1) fail("is GGUF of version 1, which nibble does not read; convert it with llama.cpp");
  if ((version & 0xffff) == 0) fail("is a GGUF file of a machine with another byte order, which nibble does not read");
  if (version != 2 && version != kGgufVersion) fail("is GGUF of the unknown version " + std::to_string(version));
  const uint64_t tensor_count = take<uint64_t>(), value_count = take<uint64_t>();
  readValues(value_count);
  in_file_.resize(values_.size());
  std::vector<size_t> order(values_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values_[a].key < values_[b].key; });
  std::vector<Value> sorted;
  for (size_t i = 0; i < order.size(); ++i) {
    in_file_[order[i]] = i;
    sorted.push_back(values_[order[i]]);
    if (i != 0 && sorted[i].key == sorted[i - 1].key) fail(quoteText(sorted[i].key) + ": occurs twice");
  }
  values_ = std::move(sorted);
  // Reading on may move the bytes that keys point to.
  std::vector<size_t> starts;
  for (const Value& value : values_) starts.push_back(size_t(value.key.data() - bytes_.data()));
  readTensors(tensor_count);
  bytes_.resize(at_);
  bytes_.shrink_to_fit();
  for (size_t i = 0; i < values_.size(); ++i) {
    values_[i].key = std::string_view(bytes_).substr(starts[i], values_[i].key.size());
  }

  const uint64_t align = alignment();
  const auto padded = [&](uint64_t bytes) { return (bytes + align - 1) / align * align; };
  data_at_ = padded(at_);
  if (data_at_ > file_bytes_ && !tensors_.empty()) fail("ends before its first tensor");
  uint64_t at = 0;
  for (Tensor& tensor : tensors_) {
    const std::string name = "tensor " + quoteText(tensor.name);
    if (tensor.offset != at) {
      fail(name + ": begins at " + std::to_string(tensor.offset) + " of the data, and the tensors before it end at " +
           std::to_string(at));
    }
    if (tensor.bytes > file_bytes_ - data_at_ || at > file_bytes_ - data_at_ - tensor.bytes) {
      fail(name + ": ends behind the file; fetch the whole file");
    }
    at += padded(tensor.bytes);
    tensor.offset += data_at_;
  }
  read_ = nullptr;
}

const GgufHeader::Value* GgufHeader::find(std::string_view key) const {
  const auto found = std::lower_bound(values_.begin(), values_.end(), key,
                                      [](const Value& value, std::string_view wanted) { return value.key < wanted; });
  return found != values_.end() && found->key == key ? &*found : nullptr;
}

std::string GgufHeader::quoted(const Value& value) const { return quoteText(value.key); }

const GgufHeader::Value& GgufHeader::want(const Value* value, bool holds, const char* what) const {
  if (!holds) fail(quoted(*value) + ": is not " + what);
  return *value;
}

double GgufHeader::numberAt(GgufValue type, size_t at) const {
  const auto get = [&](auto value) {
    std::memcpy(&value, &bytes_[at], sizeof value);
    return value;
  };
  switch (type) {
    case GgufValue::kU8: return get(uint8_t{});
    case GgufValue::kI8: return get(int8_t{});
    case GgufValue::kU16: return get(uint16_t{});
    case GgufValue::kI16: return get(int16_t{});
    case GgufValue::kU32: return get(uint32_t{});
    case GgufValue::kI32: return get(int32_t{});
    case GgufValue::kF32: return double(get(float{}));
    case GgufValue::kU64: return double(get(uint64_t{}));
    case GgufValue::kI64: return double(get(int64_t{}));
    case GgufValue::kF64: return get(double{});
    default: return uint8_t(bytes_[at]);
  }
}

std::optional<std::string_view> GgufHeader::text(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return std::nullopt;
  want(value, value->type == GgufValue::kString, "a text");
  return std::string_view(bytes_).substr(value->at + 8, value->end - value->at - 8);
}

std::optional<uint64_t> GgufHeader::whole(std::string_view key) const {
  const std::optional<double> value = number(key);
  if (!value) return std::nullopt;
  if (!(*value >= 0) || *value != std::floor(*value) || *value > 9e15) {
    fail(quoteText(key) + ": is not a whole number that can be");
  }
  return uint64_t(*value);
}

std::optional<double> GgufHeader::number(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return std::nullopt;
  const bool is_number = sizeOf(value->type) != 0 && value->type != GgufValue::kBool;
  want(value, is_number, "a number");
  const double result = numberAt(value->type, value->at);
  want(value, std::isfinite(result), "a finite number");
  return result;
}

std::optional<bool> GgufHeader::flag(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return std::nullopt;
  want(value, value->type == GgufValue::kBool, "true or false");
  return bytes_[value->at] != 0;
}

std::optional<std::vector<std::string_view>> GgufHeader::texts(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return std::nullopt;
  want(value, value->type == GgufValue::kArray && value->element == GgufValue::kString, "a list of texts");
  want(value, value->count <= kMaxTexts, "a list of at most 16777216 texts");
  std::vector<std::string_view> list;
  for (size_t at = value->at; at < value->end;) {
    uint64_t size = 0;
    std::memcpy(&size, &bytes_[at], sizeof size);
    list.push_back(std::string_view(bytes_).substr(at + 8, size_t(size)));
    at += 8 + size_t(size);
  }
  return list;
}

std::optional<std::vector<double>> GgufHeader::numbers(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return std::nullopt;
  const bool is_list =
      value->type == GgufValue::kArray && sizeOf(value->element) != 0 && value->element != GgufValue::kBool;
  want(value, is_list, "a list of numbers");
  want(value, value->count <= kMaxTexts, "a list of at most 16777216 numbers");
  std::vector<double> list;
  for (size_t at = value->at; at < value->end; at += sizeOf(value->element)) {
    list.push_back(numberAt(value->element, at));
  }
  return list;
}

std::string GgufHeader::valueText(const Value& value) const {
  if (value.type == GgufValue::kArray) return "[" + std::to_string(value.count) + " values]";
  if (value.type == GgufValue::kBool) return bytes_[value.at] != 0 ? "true" : "false";
  if (value.type == GgufValue::kString) {
    std::string_view text = std::string_view(bytes_).substr(value.at + 8, value.end - value.at - 8);
    if (findInvalidUtf8(text) != text.npos) return "(no text)";
    if (text.size() <= kMaxShown) return std::string(text);
    text = text.substr(0, kMaxShown);
    while (!text.empty() && findInvalidUtf8(text) != text.npos) text.remove_suffix(1);
    return std::string(text) + "...";
  }
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", numberAt(value.type, value.at));
  return text;
}

std::vector<std::pair<std::string, std::string>> GgufHeader::shown() const {
  std::vector<std::pair<std::string, std::string>> list;
  for (const size_t i : in_file_) list.emplace_back(std::string(values_[i].key), valueText(values_[i]));
  return list;
}

Hash128 GgufHeader::hash() const {
  Hasher hasher;
  hasher.add(std::string_view(bytes_));
  return hasher.digest();
}

}  // namespace nib::model
