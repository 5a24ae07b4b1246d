// XXH3, 128 bits: tells inputs apart, and is no defence against someone who makes two alike.
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

// Of bytes that come in pieces; how they are cut does not matter. Move only.
class Hasher {
 public:
  Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();

  void add(std::span<const std::byte> bytes);
  // A number is 8 bytes, little endian; a text is its size as a number, then its bytes: no two lists give equal bytes.
  void add(uint64_t number);
  void add(std::string_view text);
  Hash128 digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nib::model
#endif
