// POSIX files: reads and writes that are always complete, and errors that name the file.
#ifndef NIB_MODEL_ARCHIVE_POSIX_FILE_H
#define NIB_MODEL_ARCHIVE_POSIX_FILE_H

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

// An open regular file. Move only. Functions with an offset are thread-safe.
class File {
 public:
  File() = default;
  // Follows symbolic links. Throws if the path is not a regular file, and never blocks on a FIFO.
  static File openToRead(const std::filesystem::path& path);
  // Creates the file if necessary and keeps its content. Throws; also if the path is a symbolic link.
  static File openToWrite(const std::filesystem::path& path);
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  uint64_t bytes() const;  // the current size of the file
  // Both throw; read() also if the file ends before `out` is full.
  void read(uint64_t offset, std::span<std::byte> out) const;
  void write(uint64_t offset, std::span<const std::byte> bytes) const;
  // Sets the size of the file and allocates its disk space if the file system supports that, so that a full disk is
  // reported now and not hours later. Throws.
  void reserve(uint64_t bytes) const;
  void truncate(uint64_t bytes) const;
  // Flushes content and size to the disk. Throws.
  void sync() const;
  // Takes the exclusive lock, which is held until the file is closed. Returns false if another process or File holds
  // it.
  bool tryLock() const;
  // Whether `path` still refers to this open file.
  bool isStillAt(const std::filesystem::path& path) const;

  const std::filesystem::path& path() const { return path_; }
  // Updates the path in messages after the folder was renamed.
  void movedTo(std::filesystem::path path) { path_ = std::move(path); }
  explicit operator bool() const { return descriptor_ >= 0; }

 private:
  File(int descriptor, std::filesystem::path path) : descriptor_(descriptor), path_(std::move(path)) {}
  int descriptor_ = -1;
  std::filesystem::path path_;
};

// Reads a whole file. Throws; also if it is larger than max_bytes.
std::vector<char> readWholeFile(const std::filesystem::path& path, uint64_t max_bytes);

// The sorted names of all entries of a folder. Throws.
std::vector<std::string> listFolder(const std::filesystem::path& folder);
// Flushes the directory entries of a folder to the disk. Throws.
void syncFolder(const std::filesystem::path& folder);

// The inode number, which identifies a file or folder across renames. Symbolic links are not followed. 0 = no such
// entry.
uint64_t inodeOf(const std::filesystem::path& path);

// Renames `from` to `to`. Returns false, and does nothing, if `to` exists. Throws.
bool renameToNew(const std::filesystem::path& from, const std::filesystem::path& to);
// Exchanges two names atomically. Returns false if the system or the file system does not support that. Throws.
bool exchange(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace nib::model
#endif
