// XXH3 with 128 bits: detects accidental changes, but is not collision-resistant against an attacker.
#ifndef NIB_MODEL_ARCHIVE_HASH_H
#define NIB_MODEL_ARCHIVE_HASH_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace nib::model {

struct Hash128 {
  uint64_t high = 0;
  uint64_t low = 0;
  bool operator==(const Hash128&) const = default;
  std::string hex() const;  // 32 digits, as xxhsum -H2 prints them
};

// Streaming hash: how the bytes are split does not affect the result. Move only.
class Hasher {
 public:
  Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();

  void add(std::span<const std::byte> bytes);
  // Hashes a number as 8 little-endian bytes, and a text as its size followed by its bytes. Therefore two different
  // sequences of texts never hash the same bytes.
  void add(uint64_t number);
  void add(std::string_view text);
  Hash128 digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nib::model
#endif
