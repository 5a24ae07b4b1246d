// The hash of a piece of a file, from the bytes as they are written.
#ifndef NIB_MODEL_ARCHIVE_PIECE_HASH_H
#define NIB_MODEL_ARCHIVE_PIECE_HASH_H

#include "model/archive/hash.h"
#include "model/archive/posix_file.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

namespace nib::model {

// Reads bytes [offset, offset + bytes) of the file. Throws.
Hash128 hashOfFile(const File& file, uint64_t offset, uint64_t bytes);

// Bytes that arrive in order are hashed as they come; else the file is read when the piece is complete. Thread-safe.
class PieceHash {
 public:
  void add(uint64_t offset, std::span<const std::byte> bytes);
  // file_offset: where the piece of `bytes` bytes begins. Throws.
  Hash128 finish(const File& file, uint64_t file_offset, uint64_t bytes);

 private:
  std::mutex mutex_;
  std::unique_ptr<Hasher> hasher_;  // none before the first byte, and none for bytes out of order
  uint64_t next_ = 0;
  bool in_order_ = true;
};

}  // namespace nib::model
#endif
