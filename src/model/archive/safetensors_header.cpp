#include "model/archive/safetensors_header.h"

#include "model/archive/error.h"
#include "model/archive/json_scanner.h"

#include <algorithm>
#include <numeric>

namespace nib::model {
namespace {

// The length of the shortest possible entry, `"":{"dtype":"F4","shape":[],"data_offsets":[0,0]},`.
constexpr size_t kMinEntryBytes = 50;

std::string tensorText(std::string_view name) { return "tensor " + quoteText(name); }

}  // namespace

uint64_t SafetensorsHeader::jsonBytes(std::span<const std::byte> start, uint64_t file_bytes, const std::string& where) {
  if (start.size() < 8 || file_bytes < 8) {
    throw Error(where + ": has " + std::to_string(file_bytes) +
                " bytes, a safetensors file begins with 8: it was cut short, fetch it again");
  }
  uint64_t size = 0;
  for (size_t i = 8; i-- > 0;) size = size << 8 | std::to_integer<uint64_t>(start[i]);
  if (size > kMaxHeaderBytes) {
    throw Error(where + ": the header would have " + std::to_string(size) + " bytes, safetensors allows " +
                std::to_string(kMaxHeaderBytes) + ": not a safetensors file, or a damaged one");
  }
  if (size > file_bytes - 8) {
    throw Error(where + ": the header has " + std::to_string(size) + " bytes, but the file ends after " +
                std::to_string(file_bytes) + ": it was cut short, fetch it again");
  }
  return size;
}

SafetensorsHeader SafetensorsHeader::parse(std::span<const std::byte> file, const std::string& where) {
  const uint64_t size = jsonBytes(file.first(std::min<size_t>(8, file.size())), file.size(), where);
  const char* json = reinterpret_cast<const char*>(file.data()) + 8;
  return SafetensorsHeader(std::vector<char>(json, json + size), file.size() - 8 - size, where);
}

SafetensorsHeader::SafetensorsHeader(std::vector<char> json, uint64_t data_bytes, const std::string& where)
    : json_(std::move(json)) {
  JsonScanner scanner(json_, where, "the header");
  if (json_.empty() || json_[0] != '{') scanner.fail("a header begins with '{'");
  // Reserve once: while a vector grows it holds up to three times its elements, which the memory bound does not allow.
  entries_.reserve(
      std::min<size_t>(size_t(std::count(json_.begin(), json_.end(), '{')), json_.size() / kMinEntryBytes + 1));
  bool has_metadata = false;
  std::string_view key;
  for (bool first = true; scanner.nextKey(first, key);) {
    if (key == "__metadata__") {
      if (has_metadata) scanner.fail("a second __metadata__");
      has_metadata = true;
      readMetadata(scanner);
      continue;
    }
    Entry entry;
    entry.name_at = offsetOf(key);
    entry.name_size = static_cast<uint32_t>(key.size());
    readEntry(scanner, entry);
    entries_.push_back(entry);
  }
  scanner.finish(false);
  checkData(data_bytes, where);
  indexNames(where);
}

void SafetensorsHeader::readEntry(JsonScanner& scanner, Entry& entry) {
  scanner.about("tensor", view(entry.name_at, entry.name_size));
  bool has_dtype = false, has_shape = false, has_offsets = false;
  const auto once = [&](bool& has, const char* key) {
    if (has) scanner.fail(std::string("a second ") + key);
    has = true;
  };
  std::string_view key;
  for (bool first = true; scanner.nextKey(first, key);) {
    if (key == "dtype") {
      once(has_dtype, "dtype");
      const std::string_view name = scanner.string("its dtype");
      const std::optional<Dtype> dtype = findDtype(name);
      if (!dtype) scanner.fail("the unknown dtype " + quoteText(name, 40));
      entry.dtype = *dtype;
    } else if (key == "shape") {
      once(has_shape, "shape");
      scanner.peek();
      entry.shape_at = static_cast<uint32_t>(scanner.position() + 1);
      for (bool first_size = true; scanner.nextElement(first_size); ++entry.rank) {
        if (entry.rank == kMaxRank) scanner.fail("more than " + std::to_string(kMaxRank) + " dimensions");
        scanner.number("a size in its shape");
      }
    } else if (key == "data_offsets") {
      once(has_offsets, "data_offsets");
      uint64_t ends[2] = {};
      uint32_t count = 0;
      for (bool first_end = true; scanner.nextElement(first_end); ++count) {
        if (count == 2) scanner.fail("more than two data_offsets");
        ends[count] = scanner.number("a data offset");
      }
      if (count != 2) scanner.fail("one of its two data_offsets is missing");
      entry.begin = ends[0];
      entry.end = ends[1];
    } else {
      scanner.fail("the unknown key " + quoteText(key, 40));
    }
  }
  if (!has_dtype) scanner.fail("no dtype");
  if (!has_shape) scanner.fail("no shape");
  if (!has_offsets) scanner.fail("no data_offsets");
  scanner.about(nullptr, {});
}

void SafetensorsHeader::readMetadata(JsonScanner& scanner) {
  std::string_view key;
  for (bool first = true; scanner.nextKey(first, key);) {
    if (metadata_.size() == kMaxMetadata) {
      scanner.fail("__metadata__ has more than " + std::to_string(kMaxMetadata) + " entries");
    }
    if (scanner.peek() != '"') scanner.fail("__metadata__ " + quoteText(key) + " is not a string");
    const std::string_view value = scanner.string("a value of __metadata__");
    metadata_.push_back(
        {offsetOf(key), static_cast<uint32_t>(key.size()), offsetOf(value), static_cast<uint32_t>(value.size())});
  }
  std::vector<std::string_view> keys;
  for (const MetadataEntry& entry : metadata_) keys.push_back(view(entry.key_at, entry.key_size));
  std::sort(keys.begin(), keys.end());
  const auto duplicate = std::adjacent_find(keys.begin(), keys.end());
  if (duplicate != keys.end()) scanner.fail("__metadata__ has " + quoteText(*duplicate) + " twice");
}

void SafetensorsHeader::checkData(uint64_t data_bytes, const std::string& where) {
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  uint64_t end = 0;
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    const auto fail = [&](const std::string& problem) {
      throw Error(where + ": " + tensorText(name(i)) + ": " + problem);
    };
    if (entry.end < entry.begin) {
      fail("its data ends at " + std::to_string(entry.end) + ", before it begins at " + std::to_string(entry.begin));
    }
    if (entry.begin != end) {
      fail("its data begins at " + std::to_string(entry.begin) + ", but what is before it ends at " +
           std::to_string(end) + (entry.begin > end ? ": a hole" : ": an overlap"));
    }
    end = entry.end;
    const std::optional<uint64_t> bytes = tensorBytes(entry.dtype, shape(i));
    if (!bytes) fail("its shape and dtype overflow 64 bits, or do not fill whole bytes");
    if (*bytes != entry.end - entry.begin) {
      fail("its shape and dtype need " + std::to_string(*bytes) + " bytes, its data_offsets hold " +
           std::to_string(entry.end - entry.begin));
    }
  }
  if (end != data_bytes) {
    throw Error(where + ": its tensors need " + std::to_string(end) + " bytes of data, the file has " +
                std::to_string(data_bytes) +
                (end > data_bytes ? ": it was cut short, fetch it again" : ": bytes that belong to no tensor"));
  }
}

void SafetensorsHeader::indexNames(const std::string& where) {
  by_name_.resize(entries_.size());
  std::iota(by_name_.begin(), by_name_.end(), 0u);
  std::sort(by_name_.begin(), by_name_.end(), [&](uint32_t a, uint32_t b) { return name(a) < name(b); });
  for (size_t i = 1; i < by_name_.size(); ++i) {
    if (name(by_name_[i]) == name(by_name_[i - 1]))
      throw Error(where + ": " + tensorText(name(by_name_[i])) + " occurs twice: names must be unique");
  }
}

std::vector<uint64_t> SafetensorsHeader::shape(size_t i) const {
  const Entry& entry = entries_[i];
  std::vector<uint64_t> shape(entry.rank);
  const char* c = json_.data() + entry.shape_at;
  // The scanner has validated this text: digits, commas, spaces, and a bracket at the end.
  for (uint64_t& size : shape) {
    while (*c < '0' || *c > '9') ++c;
    for (; *c >= '0' && *c <= '9'; ++c) size = size * 10 + static_cast<uint64_t>(*c - '0');
  }
  return shape;
}

std::optional<size_t> SafetensorsHeader::find(std::string_view wanted) const {
  const auto found = std::lower_bound(by_name_.begin(), by_name_.end(), wanted,
                                      [&](uint32_t i, std::string_view text) { return name(i) < text; });
  if (found == by_name_.end() || name(*found) != wanted) return std::nullopt;
  return *found;
}

Metadata SafetensorsHeader::metadata() const {
  Metadata metadata;
  for (const MetadataEntry& entry : metadata_) {
    metadata.emplace_back(view(entry.key_at, entry.key_size), view(entry.value_at, entry.value_size));
  }
  return metadata;
}

}  // namespace nib::model
