#include "model/archive/gguf/importance.h"

#include "model/archive/error.h"
#include "model/archive/gguf/header.h"
#include "model/archive/posix_file.h"
#include "model/archive/utf8.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

namespace nib::model {
namespace {

constexpr std::string_view kSquares = ".in_sum2", kCounts = ".counts";
constexpr const char *kDatasets = "imatrix.datasets", *kChunks = "imatrix.chunk_count",
                     *kChunkSize = "imatrix.chunk_size";

void checkNumbers(const std::string& where, const std::string& name, const std::vector<float>& values) {
  for (const float value : values) {
    if (value >= 0 && std::isfinite(value)) continue;
    throw Error(where + ": the importance of " + quoteText(name) +
                " holds a number that is negative or not finite: collect it again");
  }
}

std::vector<float> readFloats(const File& file, uint64_t offset, uint64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  file.read(offset, std::as_writable_bytes(std::span(values)));
  return values;
}

uint32_t countOf(const GgufHeader& header, const char* key) {
  const uint64_t count = header.whole(key).value_or(0);
  if (count > UINT32_MAX) header.fail(std::string("\"") + key + "\": is too large");
  return uint32_t(count);
}

Importance readGguf(const File& file, const std::string& where) {
  const GgufHeader header([&](uint64_t offset, std::span<std::byte> out) { file.read(offset, out); }, file.bytes(),
                          where);
  if (header.text("general.type").value_or("") != "imatrix") {
    header.fail("is a GGUF file, but not of the type imatrix: it has no importance");
  }
  Importance importance;
  importance.chunks = countOf(header, kChunks);
  importance.chunk_size = countOf(header, kChunkSize);
  for (const std::string_view text : header.texts(kDatasets).value_or(std::vector<std::string_view>())) {
    importance.datasets.emplace_back(text);
  }
  std::map<std::string, const GgufHeader::Tensor*> tensors;
  for (const GgufHeader::Tensor& tensor : header.tensors()) tensors[tensor.name] = &tensor;
  for (const auto& [name, squares] : tensors) {
    if (!name.ends_with(kSquares)) continue;
    const std::string weight = name.substr(0, name.size() - kSquares.size());
    const auto counts = tensors.find(weight + std::string(kCounts));
    if (counts == tensors.end()) header.fail("has " + quoteText(name) + " without its " + std::string(kCounts));
    for (const GgufHeader::Tensor* tensor : {squares, counts->second}) {
      if (tensor->type->dense != Dtype::kF32) header.fail("tensor " + quoteText(tensor->name) + ": is no F32");
    }
    ImportanceEntry entry{readFloats(file, squares->offset, squares->bytes / 4),
                          readFloats(file, counts->second->offset, counts->second->bytes / 4)};
    if (entry.squares.size() != squares->dims[0] * entry.counts.size()) {
      header.fail("tensor " + quoteText(name) + ": has " + std::to_string(entry.squares.size()) + " numbers, and " +
                  quoteText(counts->first) + " counts for " + std::to_string(entry.counts.size()) + " matrices");
    }
    checkNumbers(where, weight, entry.squares);
    checkNumbers(where, weight, entry.counts);
    importance.entries.emplace(weight, std::move(entry));
  }
  return importance;
}

// The older kind, little-endian: a count of entries, then of each its name, the number of calls, the number of values
// and the values, which are means times calls. Calls and a data set may follow.
class Legacy {
 public:
  Legacy(const File& file, const std::string& where) : file_(file), where_(where), bytes_(file.bytes()) {}

  Importance read() {
    Importance importance;
    const int32_t count = number("the number of entries");
    // An entry has 13 bytes at least.
    if (count < 1 || uint64_t(count) > (bytes_ - at_) / 13) {
      throw Error(where_ + ": is neither a GGUF file nor an imatrix of the older kind");
    }
    for (int32_t i = 0; i < count; ++i) {
      const std::string name = text();
      const int32_t calls = number("the number of calls"), values = number("the number of values");
      if (values < 1 || calls < 0 || uint64_t(values) > (bytes_ - at_) / sizeof(float)) {
        throw Error(where_ + ": " + quoteText(name) + " has " + std::to_string(values) + " values of " +
                    std::to_string(calls) + " calls, which the file does not hold: it was cut short or is damaged");
      }
      ImportanceEntry entry{readFloats(file_, at_, uint64_t(values)), {calls > 0 ? float(calls) : 1.0f}};
      at_ += uint64_t(values) * sizeof(float);
      checkNumbers(where_, name, entry.squares);
      if (!importance.entries.emplace(name, std::move(entry)).second) {
        throw Error(where_ + ": " + quoteText(name) + " occurs twice");
      }
    }
    if (at_ == bytes_) return importance;
    importance.chunks = uint32_t(std::max(number("the number of chunks"), 0));
    importance.datasets.push_back(text());
    if (at_ != bytes_) throw Error(where_ + ": goes on behind its end: it is damaged");
    return importance;
  }

 private:
  void need(uint64_t count, const char* what) const {
    if (count > bytes_ - at_) throw Error(where_ + ": ends within " + what + ": it was cut short");
  }

  int32_t number(const char* what) {
    need(sizeof(int32_t), what);
    int32_t value = 0;
    file_.read(at_, std::as_writable_bytes(std::span(&value, 1)));
    at_ += sizeof value;
    return value;
  }

  std::string text() {
    const int32_t size = number("the length of a name");
    constexpr int32_t kLongest = 4096;
    if (size < 1 || size > kLongest) throw Error(where_ + ": has a name of " + std::to_string(size) + " bytes");
    need(uint64_t(size), "a name");
    std::string name(size_t(size), '\0');
    file_.read(at_, std::as_writable_bytes(std::span(name.data(), name.size())));
    at_ += uint64_t(size);
    if (findInvalidUtf8(name) != name.npos) throw Error(where_ + ": has a name that is not text");
    return name;
  }

  const File& file_;
  const std::string& where_;
  uint64_t bytes_, at_ = 0;
};

}  // namespace

std::vector<float> ImportanceEntry::means(uint64_t expert, uint64_t experts) const {
  const size_t columns = squares.size() / size_t(experts);
  const float count = counts.size() == 1 ? counts[0] : counts[size_t(expert)];
  std::vector<float> values(columns, 1.0f);
  if (count <= 0) return values;
  for (size_t i = 0; i < columns; ++i) values[i] = squares[size_t(expert) * columns + i] / count;
  return values;
}

Importance readImportance(const std::filesystem::path& path) {
  const File file = File::openToRead(path);
  const std::string where = shown(path);
  char magic[4] = {};
  if (file.bytes() < sizeof magic) throw Error(where + ": is too short for an imatrix");
  file.read(0, std::as_writable_bytes(std::span(magic)));
  Importance importance =
      std::string_view(magic, sizeof magic) == "GGUF" ? readGguf(file, where) : Legacy(file, where).read();
  if (importance.entries.empty()) throw Error(where + ": holds the importance of no weight");
  return importance;
}

std::vector<std::byte> importanceBytes(const Importance& importance, const std::string& where) {
  GgufMetadata metadata;
  metadata.add("general.type", "imatrix");
  metadata.add(kDatasets, std::span<const std::string>(importance.datasets));
  metadata.add(kChunks, importance.chunks);
  metadata.add(kChunkSize, importance.chunk_size);
  std::vector<GgufTensor> tensors;
  std::vector<const std::vector<float>*> contents;
  const auto add = [&](const std::string& name, const std::vector<float>& values, uint64_t matrices) {
    std::vector<uint64_t> dims = {values.size() / matrices};
    if (matrices > 1) dims.push_back(matrices);
    tensors.push_back({name, findGgmlType(Dtype::kF32), std::move(dims), values.size() * sizeof(float)});
    contents.push_back(&values);
  };
  for (const auto& [name, entry] : importance.entries) {
    add(name + std::string(kSquares), entry.squares, entry.counts.size());
    add(name + std::string(kCounts), entry.counts, entry.counts.size());
  }
  GgufLayout layout = layOutGguf(metadata, tensors, where);
  std::vector<std::byte> bytes = std::move(layout.head);
  bytes.resize(size_t(layout.file_bytes));
  for (size_t i = 0; i < contents.size(); ++i) {
    std::memcpy(&bytes[size_t(layout.offset[i])], contents[i]->data(), contents[i]->size() * sizeof(float));
  }
  return bytes;
}

}  // namespace nib::model
