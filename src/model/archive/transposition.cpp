#include "model/archive/transposition.h"

#include <algorithm>
#include <cstring>

namespace nib::model {
namespace {

constexpr uint64_t kTile = 16;          // elements: the lines of a tile stay in the cache
constexpr uint64_t kRowsTogether = 32;  // rows that fill whole bytes in a line, whatever the number of bits

// Output 8c + kAwqOrder[i] is nibble i of word c.
constexpr uint32_t kAwqOrder[8] = {0, 2, 4, 6, 1, 3, 5, 7};

// [rows, cols] elements of T to [cols, rows].
template <class T>
void transpose(const std::byte* from, uint64_t rows, uint64_t cols, std::byte* to) {
  for (uint64_t row = 0; row < rows; row += kTile) {
    for (uint64_t col = 0; col < cols; col += kTile) {
      const uint64_t last_row = std::min(row + kTile, rows), last_col = std::min(col + kTile, cols);
      for (uint64_t c = col; c < last_col; ++c) {
        for (uint64_t r = row; r < last_row; ++r) {
          std::memcpy(to + (c * rows + r) * sizeof(T), from + (r * cols + c) * sizeof(T), sizeof(T));
        }
      }
    }
  }
}

// The 8 x 8 nibbles of 8 words: nibble i of word k becomes nibble k of word i.
void transposeNibbles(uint32_t* x) {
  const auto swap = [&](uint32_t step, uint32_t shift, uint32_t mask) {
    for (uint32_t i = 0; i < 8; ++i) {
      if (i & step) continue;
      const uint32_t moved = ((x[i] >> shift) ^ x[i + step]) & mask;
      x[i + step] ^= moved;
      x[i] ^= moved << shift;
    }
  };
  swap(4, 16, 0x0000ffffu);
  swap(2, 8, 0x00ff00ffu);
  swap(1, 4, 0x0f0f0f0fu);
}

uint32_t load(const std::byte* words, uint64_t index) {
  uint32_t word;
  std::memcpy(&word, words + index * 4, 4);
  return word;
}

void store(std::byte* words, uint64_t index, uint32_t word) { std::memcpy(words + index * 4, &word, 4); }

// Words of `count` rows along `cols` columns to words of `cols` lines along the rows, and back.
void turnAwq(const std::byte* from, uint64_t count, uint64_t cols, bool to_lines, std::byte* to) {
  const uint64_t words = cols / 8, blocks = count / 8;
  for (uint64_t first = 0; first < blocks; first += kTile) {
    for (uint64_t w = 0; w < words; ++w) {
      for (uint64_t c = first; c < std::min(first + kTile, blocks); ++c) {
        uint32_t x[8];
        if (to_lines) {
          for (uint32_t i = 0; i < 8; ++i) x[i] = load(from, (8 * c + kAwqOrder[i]) * words + w);
          transposeNibbles(x);
          for (uint32_t k = 0; k < 8; ++k) store(to, (8 * w + k) * blocks + c, x[k]);
        } else {
          for (uint32_t k = 0; k < 8; ++k) x[k] = load(from, (8 * w + k) * blocks + c);
          transposeNibbles(x);
          for (uint32_t i = 0; i < 8; ++i) store(to, (8 * c + kAwqOrder[i]) * words + w, x[i]);
        }
      }
    }
  }
}

}  // namespace

uint64_t Transposition::rowBytes() const {
  switch (kind_) {
    case Kind::kElements: return lines_ * bits_ / 8;
    case Kind::kAwqCodes: return lines_ / 2;
    default: return lines_;
  }
}

void Transposition::toLines(std::span<const std::byte> rows, uint64_t count, std::span<std::byte> to) const {
  if (kind_ == Kind::kElements) {
    return bits_ == 32 ? transpose<uint32_t>(rows.data(), count, lines_, to.data())
                       : transpose<uint16_t>(rows.data(), count, lines_, to.data());
  }
  if (kind_ == Kind::kAwqCodes) return turnAwq(rows.data(), count, lines_, true, to.data());
  const uint32_t mask = (1u << bits_) - 1u;
  for (uint64_t line = 0; line < lines_; ++line) {
    std::byte* at = to.data() + line * lineBytes(count);
    uint64_t pending = 0;
    uint32_t used = 0;
    for (uint64_t r = 0; r < count; ++r) {
      const uint64_t row = kind_ == Kind::kAwqFields ? r / 8 * 8 + kAwqOrder[r % 8] : r;
      const uint32_t field = ((uint32_t(rows[size_t(row * lines_ + line)]) ^ flip_) - less_) & mask;
      pending |= uint64_t(field) << used;
      for (used += bits_; used >= 8; used -= 8, pending >>= 8) *at++ = std::byte(pending);
    }
  }
}

bool Transposition::toRows(std::span<const std::byte> lines, uint64_t count, std::span<std::byte> to) const {
  if (kind_ == Kind::kElements) {
    bits_ == 32 ? transpose<uint32_t>(lines.data(), lines_, count, to.data())
                : transpose<uint16_t>(lines.data(), lines_, count, to.data());
    return true;
  }
  if (kind_ == Kind::kAwqCodes) {
    turnAwq(lines.data(), count, lines_, false, to.data());
    return true;
  }
  const uint32_t mask = (1u << bits_) - 1u;
  bool inside = true;
  for (uint64_t line = 0; line < lines_; ++line) {
    const std::byte* at = lines.data() + line * lineBytes(count);
    uint64_t pending = 0;
    uint32_t held = 0;
    for (uint64_t r = 0; r < count; ++r) {
      for (; held < bits_; held += 8) pending |= uint64_t(*at++) << held;
      const uint32_t value = (uint32_t(pending) & mask) + less_;
      pending >>= bits_;
      held -= bits_;
      inside = inside && value <= mask;
      const uint64_t row = kind_ == Kind::kAwqFields ? r / 8 * 8 + kAwqOrder[r % 8] : r;
      to[size_t(row * lines_ + line)] = std::byte(value ^ flip_);
    }
  }
  return inside;
}

TransposedWriter::TransposedWriter(const Transposition& transposition, uint64_t rows, uint64_t most_bytes)
    : transposition_(transposition),
      rows_(rows),
      most_rows_(std::max<uint64_t>(most_bytes / transposition.rowBytes() / kRowsTogether, 1) * kRowsTogether) {}

void TransposedWriter::add(std::span<const std::byte> rows, const TensorSink& sink) {
  collected_.insert(collected_.end(), rows.begin(), rows.end());
  const uint64_t row_bytes = transposition_.rowBytes();
  const uint64_t held = collected_.size() / row_bytes;
  const bool last = written_ + held == rows_;
  if (!last && held < most_rows_) return;
  const uint64_t count = last ? held : held / kRowsTogether * kRowsTogether;
  std::vector<std::byte> lines(size_t(transposition_.lines() * transposition_.lineBytes(count)));
  transposition_.toLines(collected_, count, lines);
  const uint64_t run = transposition_.lineBytes(count);
  if (count == rows_) {
    sink(0, lines);
  } else {
    for (uint64_t line = 0; line < transposition_.lines(); ++line) {
      sink(transposition_.lineBytes(line * rows_ + written_),
           std::span(lines).subspan(size_t(line * run), size_t(run)));
    }
  }
  collected_.erase(collected_.begin(), collected_.begin() + std::ptrdiff_t(count * row_bytes));
  written_ += count;
}

bool readTransposed(const Transposition& transposition, uint64_t rows, uint64_t first, uint64_t count,
                    const TensorReader& read, std::span<std::byte> to) {
  const uint64_t run = transposition.lineBytes(count);
  std::vector<std::byte> lines(size_t(transposition.lines() * run));
  if (count == rows) {
    read(0, lines);
  } else {
    for (uint64_t line = 0; line < transposition.lines(); ++line) {
      read(transposition.lineBytes(line * rows + first), std::span(lines).subspan(size_t(line * run), size_t(run)));
    }
  }
  return transposition.toRows(lines, count, to);
}

}  // namespace nib::model
