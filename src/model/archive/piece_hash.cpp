#include "model/archive/piece_hash.h"

#include <algorithm>
#include <vector>

namespace nib::model {

Hash128 hashOfFile(const File& file, uint64_t offset, uint64_t bytes) {
  std::vector<std::byte> block(static_cast<size_t>(std::min<uint64_t>(bytes, 1u << 20)));
  Hasher hasher;
  for (uint64_t at = 0; at < bytes; at += block.size()) {
    const std::span<std::byte> chunk(block.data(), static_cast<size_t>(std::min<uint64_t>(block.size(), bytes - at)));
    file.read(offset + at, chunk);
    hasher.add(chunk);
  }
  return hasher.digest();
}

void PieceHash::add(uint64_t offset, std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  const std::lock_guard lock(mutex_);
  in_order_ = in_order_ && offset == next_;
  if (!in_order_) {
    hasher_.reset();
    return;
  }
  if (!hasher_) hasher_ = std::make_unique<Hasher>();
  hasher_->add(bytes);
  next_ += bytes.size();
}

Hash128 PieceHash::finish(const File& file, uint64_t file_offset, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  const std::unique_ptr<Hasher> hasher = std::move(hasher_);
  if (hasher && next_ == bytes) return hasher->digest();
  return hashOfFile(file, file_offset, bytes);
}

}  // namespace nib::model
