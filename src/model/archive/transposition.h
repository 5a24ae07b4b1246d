// Parts of weights that lie along the outputs, as in GPTQ's and AWQ's files: the tensor has lines, and each line holds
// the same number of bits of every row of the weight.
#ifndef NIB_MODEL_ARCHIVE_TRANSPOSITION_H
#define NIB_MODEL_ARCHIVE_TRANSPOSITION_H

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace nib::model {

class Transposition {
 public:
  enum class Kind {
    kNone,      // the part lies along rows
    kElements,  // elements of 2 or 4 bytes: scales, or words of codes
    kFields,    // a byte of each row becomes a field of a dense stream: zero points
    kAwqCodes,  // words of 8 codes of 4 bits along rows become words along outputs, in AWQ's order
    kAwqFields  // a byte of each row becomes a field of 4 bits in AWQ's order
  };
  Transposition() = default;
  static Transposition elements(uint64_t lines, uint32_t bytes) { return {Kind::kElements, lines, bytes * 8}; }
  // flip: exclusive-ored with the bytes of rows; less: what is subtracted from them afterwards.
  static Transposition fields(uint64_t lines, uint32_t bits, uint8_t flip, uint8_t less) {
    Transposition transposition(Kind::kFields, lines, bits);
    transposition.flip_ = flip;
    transposition.less_ = less;
    return transposition;
  }
  static Transposition awqCodes(uint64_t cols) { return {Kind::kAwqCodes, cols, 4}; }
  static Transposition awqFields(uint64_t lines) { return {Kind::kAwqFields, lines, 4}; }

  explicit operator bool() const { return kind_ != Kind::kNone; }
  uint64_t lines() const { return lines_; }
  // The size of a row of the part, along rows.
  uint64_t rowBytes() const;
  // The size of `rows` rows in a line.
  uint64_t lineBytes(uint64_t rows) const { return rows * bits_ / 8; }

  // rows: `count` rows of the part, a multiple of 32. to: count rows of every line.
  void toLines(std::span<const std::byte> rows, uint64_t count, std::span<std::byte> to) const;
  // Returns false if a field is beyond the values of its byte in rows.
  bool toRows(std::span<const std::byte> lines, uint64_t count, std::span<std::byte> to) const;

 private:
  Transposition(Kind kind, uint64_t lines, uint32_t bits) : kind_(kind), lines_(lines), bits_(bits) {}

  Kind kind_ = Kind::kNone;
  uint64_t lines_ = 0;
  uint32_t bits_ = 0;
  uint8_t flip_ = 0, less_ = 0;
};

// Where bytes of the tensor go: an offset in it, and the bytes.
using TensorSink = std::function<void(uint64_t offset, std::span<const std::byte> bytes)>;

// Collects rows, and writes them along the outputs in pieces as wide as memory allows.
class TransposedWriter {
 public:
  // rows: of the weight, a multiple of 32. most_bytes: approximate size of the collected rows.
  TransposedWriter(const Transposition& transposition, uint64_t rows, uint64_t most_bytes);
  // The next rows.
  void add(std::span<const std::byte> rows, const TensorSink& sink);

 private:
  Transposition transposition_;
  uint64_t rows_, most_rows_;
  uint64_t written_ = 0;  // rows
  std::vector<std::byte> collected_;
};

// Reads bytes of the tensor from an offset.
using TensorReader = std::function<void(uint64_t offset, std::span<std::byte> to)>;

// Reads rows [first, first + count) of a weight's `rows`; all three are multiples of 32. Returns false as toRows().
bool readTransposed(const Transposition& transposition, uint64_t rows, uint64_t first, uint64_t count,
                    const TensorReader& read, std::span<std::byte> to);

}  // namespace nib::model
#endif
