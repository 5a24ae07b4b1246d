#include "model/archive/npy.h"

#include "model/archive/error.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

namespace nib::model {
namespace {

constexpr uint64_t kMaxNpyHeaderBytes = 1u << 16;
constexpr size_t kMaxDimensions = 8;

// The header: a Python dictionary literal, {'descr': '<f4', 'fortran_order': False, 'shape': (2048, 704), }, with keys
// in any order.
class Literal {
 public:
  Literal(std::string_view text, const std::filesystem::path& path) : text_(text), path_(path) {}

  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(shown(path_) + ": its .npy header " + problem);
  }

  // The text from the value of a key to the end of the header.
  std::string_view valueOf(std::string_view key) const {
    for (const char quote : {'\'', '"'}) {
      const std::string quoted = quote + std::string(key) + quote;
      const size_t at = text_.find(quoted);
      if (at == std::string_view::npos) continue;
      size_t from = at + quoted.size();
      while (from < text_.size() && (text_[from] == ' ' || text_[from] == ':')) ++from;
      return text_.substr(from);
    }
    fail("has no " + std::string(key));
  }

  std::vector<uint64_t> shape() const {
    std::string_view rest = valueOf("shape");
    const size_t end = rest.find(')');
    if (rest.empty() || rest[0] != '(' || end == std::string_view::npos) fail("has a shape that is not a tuple");
    rest = rest.substr(1, end - 1);
    std::vector<uint64_t> shape;
    while (true) {
      while (!rest.empty() && (rest[0] == ' ' || rest[0] == ',')) rest.remove_prefix(1);
      if (rest.empty()) return shape;
      uint64_t size = 0;
      const auto [stop, error] = std::from_chars(rest.data(), rest.data() + rest.size(), size);
      if (error != std::errc() || shape.size() == kMaxDimensions) {
        fail("has a shape that is not a tuple of at most " + std::to_string(kMaxDimensions) + " sizes");
      }
      shape.push_back(size);
      rest.remove_prefix(size_t(stop - rest.data()));
    }
  }

 private:
  std::string_view text_;
  const std::filesystem::path& path_;
};

struct NpyType {
  std::string_view name;
  Dtype dtype;
  NpyUse use;
};
constexpr std::array<NpyType, 6> kTypes = {{{"<f4", Dtype::kF32, NpyUse::kActivations},
                                            {"<f2", Dtype::kF16, NpyUse::kActivations},
                                            {"<u2", Dtype::kU16, NpyUse::kTokenIds},
                                            {"<u4", Dtype::kU32, NpyUse::kTokenIds},
                                            {"<i4", Dtype::kI32, NpyUse::kTokenIds},
                                            {"<i8", Dtype::kI64, NpyUse::kTokenIds}}};

// quoted: a type in quotes, "'<f4'".
std::optional<Dtype> dtypeOf(std::string_view quoted, NpyUse use) {
  if (quoted.size() != 5 || quoted[0] != quoted[4] || (quoted[0] != '\'' && quoted[0] != '"')) return std::nullopt;
  for (const NpyType& type : kTypes) {
    if (type.use == use && type.name == quoted.substr(1, 3)) return type.dtype;
  }
  return std::nullopt;
}

}  // namespace

NpyFile::NpyFile(const std::filesystem::path& path, NpyUse use) : file_(File::openToRead(path)) {
  const uint64_t file_bytes = file_.bytes();
  std::array<std::byte, 12> start{};
  if (file_bytes < start.size()) throw Error(shown(path) + ": is not an .npy file: too short");
  file_.read(0, start);
  const auto byte = [&](size_t i) { return std::to_integer<uint32_t>(start[i]); };
  constexpr std::string_view kMagic = "\x93NUMPY";
  for (size_t i = 0; i < kMagic.size(); ++i) {
    if (byte(i) != static_cast<unsigned char>(kMagic[i])) throw Error(shown(path) + ": is not an .npy file");
  }
  const uint32_t version = byte(6);
  if (version < 1 || version > 3) {
    throw Error(shown(path) + ": .npy version " + std::to_string(version) + ", expected 1, 2 or 3");
  }
  const bool short_size = version == 1;
  uint64_t header_bytes = byte(8) | byte(9) << 8;
  if (!short_size) header_bytes |= uint64_t(byte(10)) << 16 | uint64_t(byte(11)) << 24;
  const uint64_t header_at = short_size ? 10 : 12;
  if (header_bytes > kMaxNpyHeaderBytes || header_bytes > file_bytes - header_at) {
    throw Error(shown(path) + ": its .npy header is longer than the file or than 64 KiB");
  }
  std::string text(size_t(header_bytes), '\0');
  file_.read(header_at, std::as_writable_bytes(std::span(text)));
  const Literal literal(text, path);
  const std::string_view type = literal.valueOf("descr").substr(0, 5);
  const std::optional<Dtype> dtype = dtypeOf(type, use);
  if (!dtype) {
    literal.fail("says " + quoteText(type, 20) +
                 (use == NpyUse::kActivations
                      ? "; activations are '<f4' or '<f2' (little-endian fp32, fp16)"
                      : "; token ids are '<u2', '<u4', '<i4' or '<i8' (little-endian uint16, uint32, int32, int64)"));
  }
  dtype_ = *dtype;
  if (!literal.valueOf("fortran_order").starts_with("False")) {
    literal.fail("says Fortran order; save numpy.ascontiguousarray of it");
  }
  shape_ = literal.shape();
  const std::optional<uint64_t> bytes = tensorBytes(dtype_, shape_);
  data_at_ = header_at + header_bytes;
  if (!bytes || *bytes != file_bytes - data_at_) {
    literal.fail("does not match the " + std::to_string(file_bytes - data_at_) + " bytes of data after it");
  }
  bytes_ = *bytes;
}

void NpyFile::read(uint64_t offset, std::span<std::byte> out) const {
  if (offset > bytes_ || out.size() > bytes_ - offset) throw Error(shown(file_.path()) + ": read beyond its data");
  file_.read(data_at_ + offset, out);
}

}  // namespace nib::model
