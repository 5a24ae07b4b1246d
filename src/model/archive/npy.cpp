#include "model/archive/npy.h"

#include "model/archive/error.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

namespace nib::model {
namespace {

constexpr size_t kMaxDimensions = 8;

// The header: a Python dictionary literal, {'descr': '<f4', 'fortran_order': False, 'shape': (2048, 704), }, with the
// three keys in any order and no others, then spaces and a line end. As strict as Python's own reader, because a header
// that Python refuses may mean another array than a lenient reader finds.
class Dictionary {
 public:
  Dictionary(std::string_view text, const std::string& where) : text_(text), where_(where) {
    expect('{');
    while (!take('}')) {
      readMember();
      if (take(',')) continue;
      expect('}');
      break;
    }
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    if (at_ != text_.size()) fail("has text after its dictionary");
    if (!has_type_) fail("has no descr");
    if (!has_order_) fail("has no fortran_order");
    if (!has_shape_) fail("has no shape");
  }

  [[noreturn]] void fail(const std::string& problem) const { throw Error(where_ + ": its .npy header " + problem); }

  std::string_view type() const { return type_; }
  bool fortran() const { return fortran_; }
  const std::vector<uint64_t>& shape() const { return shape_; }

 private:
  char peek() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (at_ == text_.size() || peek() != c || at_ == text_.size()) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail(std::string("is no dictionary of descr, fortran_order and shape: '") + c + "' is missing");
  }

  std::string_view string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') fail("is no dictionary of descr, fortran_order and shape: expected a string");
    const size_t begin = ++at_;
    const size_t end = text_.find(quote, begin);
    if (end == std::string_view::npos) fail("ends within a string");
    const std::string_view text = text_.substr(begin, end - begin);
    if (text.find('\\') != std::string_view::npos) fail("has an escape in a string");
    at_ = end + 1;
    return text;
  }

  void once(bool& has, std::string_view key) const {
    if (has) fail("has " + std::string(key) + " twice");
    has = true;
  }

  void readMember() {
    const std::string_view key = string();
    expect(':');
    if (key == "descr") {
      once(has_type_, key);
      if (peek() == '[') fail("says an array of records; save one field of it");
      type_ = string();
    } else if (key == "fortran_order") {
      once(has_order_, key);
      fortran_ = word("True");
      if (!fortran_ && !word("False")) fail("has a fortran_order that is neither True nor False");
    } else if (key == "shape") {
      once(has_shape_, key);
      readShape();
    } else {
      fail("has the unknown key " + quoteText(key, 40));
    }
  }

  bool word(std::string_view wanted) {
    peek();
    if (!text_.substr(at_).starts_with(wanted)) return false;
    at_ += wanted.size();
    return true;
  }

  // "()", "(5,)", "(2, 3)", "(2, 3,)".
  void readShape() {
    const auto refuse = [&] { fail("has a shape that is not a tuple of at most 8 sizes"); };
    if (!take('(')) refuse();
    bool comma = true;
    while (!take(')')) {
      peek();
      uint64_t size = 0;
      const char* const begin = text_.data() + at_;
      const auto [stop, error] = std::from_chars(begin, text_.data() + text_.size(), size);
      const bool leading_zero = stop - begin > 1 && *begin == '0';
      if (!comma || error != std::errc() || leading_zero || shape_.size() == kMaxDimensions) refuse();
      shape_.push_back(size);
      at_ += size_t(stop - begin);
      comma = take(',');
    }
    // "(5)" is a number in Python.
    if (shape_.size() == 1 && !comma) refuse();
  }

  std::string_view text_;
  const std::string& where_;
  size_t at_ = 0;
  std::string_view type_;
  bool fortran_ = false;
  std::vector<uint64_t> shape_;
  bool has_type_ = false, has_order_ = false, has_shape_ = false;
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

std::optional<Dtype> dtypeOf(std::string_view name, NpyUse use) {
  for (const NpyType& type : kTypes) {
    if (type.use == use && type.name == name) return type.dtype;
  }
  return std::nullopt;
}

}  // namespace

NpyHeader readNpyHeader(std::span<const std::byte> start, uint64_t file_bytes, const std::string& where, NpyUse use) {
  if (start.size() < 12) throw Error(where + ": is not an .npy file: too short");
  const auto byte = [&](size_t i) { return std::to_integer<uint32_t>(start[i]); };
  const std::string_view text(reinterpret_cast<const char*>(start.data()), start.size());
  if (!text.starts_with("\x93NUMPY")) throw Error(where + ": is not an .npy file");
  const uint32_t version = byte(6);
  if (version < 1 || version > 3 || byte(7) != 0) {
    throw Error(where + ": .npy version " + std::to_string(version) +
                (byte(7) != 0 ? "." + std::to_string(byte(7)) : "") + ", expected 1, 2 or 3");
  }
  const bool short_size = version == 1;
  uint64_t header_bytes = byte(8) | byte(9) << 8;
  if (!short_size) header_bytes |= uint64_t(byte(10)) << 16 | uint64_t(byte(11)) << 24;
  const uint64_t header_at = short_size ? 10 : 12;
  if (header_bytes > text.size() - header_at || header_bytes > file_bytes - header_at) {
    throw Error(where + ": its .npy header is longer than the file or than 64 KiB");
  }
  const Dictionary dictionary(text.substr(header_at, header_bytes), where);
  NpyHeader header;
  const std::optional<Dtype> dtype = dtypeOf(dictionary.type(), use);
  if (!dtype) {
    dictionary.fail(
        "says " + quoteText(dictionary.type(), 20) +
        (use == NpyUse::kActivations
             ? "; activations are '<f4' or '<f2' (little-endian fp32, fp16)"
             : "; token ids are '<u2', '<u4', '<i4' or '<i8' (little-endian uint16, uint32, int32, int64)"));
  }
  if (dictionary.fortran()) dictionary.fail("says Fortran order; save numpy.ascontiguousarray of it");
  header.dtype = *dtype;
  header.shape = dictionary.shape();
  header.data_at = header_at + header_bytes;
  const std::optional<uint64_t> bytes = tensorBytes(header.dtype, header.shape);
  if (!bytes || *bytes != file_bytes - header.data_at) {
    dictionary.fail("does not match the " + std::to_string(file_bytes - header.data_at) + " bytes of data after it");
  }
  header.bytes = *bytes;
  return header;
}

NpyFile::NpyFile(const std::filesystem::path& path, NpyUse use) : file_(File::openToRead(path)) {
  const uint64_t file_bytes = file_.bytes();
  std::vector<std::byte> start(size_t(std::min(kMaxNpyHeaderBytes, file_bytes)));
  file_.read(0, start);
  header_ = readNpyHeader(start, file_bytes, shown(path), use);
}

void NpyFile::read(uint64_t offset, std::span<std::byte> out) const {
  if (offset > bytes() || out.size() > bytes() - offset) throw Error(shown(file_.path()) + ": read beyond its data");
  file_.read(header_.data_at + offset, out);
}

std::string npyHeader(std::span<const uint64_t> shape) {
  std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  for (const uint64_t side : shape) text += std::to_string(side) + ",";
  text += "), }";
  // Magic, version 1.0, the length of what follows; data begins at a multiple of 64 bytes.
  constexpr size_t kStart = 10;
  text.resize((kStart + text.size() + 1 + 63) / 64 * 64 - kStart - 1, ' ');
  text += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += char(text.size() & 0xff);
  header += char(text.size() >> 8);
  return header + text;
}

}  // namespace nib::model
