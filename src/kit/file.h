// Reads small files, and replaces them atomically.
#ifndef NIB_KIT_FILE_H
#define NIB_KIT_FILE_H

#include <nibble/kit.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>

namespace nib::kit::detail {

// An empty file of a random name beside `path`, which replaces it or is deleted.
class TemporaryFile {
 public:
  // Throws.
  explicit TemporaryFile(const std::filesystem::path& path);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  // Writes the bytes, flushes them to the disk, and renames the file to `path`. Throws.
  void publish(std::span<const std::byte> bytes);

 private:
  [[noreturn]] void fail(const char* what) const;

  std::filesystem::path path_, temporary_;
  std::FILE* file_ = nullptr;
};

// Writes to where the path leads, see Destination: a regular file is replaced as a whole, with the permissions of the
// old one; symbolic links are followed; pipes, devices and open descriptors are written to. Throws.
void writeFile(const std::string& path, std::span<const std::byte> bytes);

// Empty if there is no such file. Throws if it cannot be read, or has more than max_bytes bytes.
Bytes readFile(const std::string& path, uint64_t max_bytes = uint64_t{1} << 30);

}  // namespace nib::kit::detail
#endif
