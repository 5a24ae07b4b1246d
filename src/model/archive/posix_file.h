// Files by descriptor: whole reads and writes whatever the system returns, and errors that name the file.
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

// A regular file that is open. Move only. Functions with an offset may be called from any thread.
class File {
 public:
  File() = default;
  // Follows symbolic links, refuses what is no regular file (and does not hang on a FIFO). Throws.
  static File openToRead(const std::filesystem::path& path);
  // Makes the file if there is none, keeps what it holds. Does not follow a symbolic link. Throws.
  static File openToWrite(const std::filesystem::path& path);
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  uint64_t bytes() const;  // as the system says now
  // Throw, also where the file ends before `out` is full.
  void read(uint64_t offset, std::span<std::byte> out) const;
  void write(uint64_t offset, std::span<const std::byte> bytes) const;
  // Makes the file `bytes` long and has the file system keep room for it, where it can: a disk too small is found now.
  void reserve(uint64_t bytes) const;
  void truncate(uint64_t bytes) const;
  // What was written is on the disk, and the size too.
  void sync() const;
  // False: another process (or another File) holds the lock. Until the file is closed.
  bool tryLock() const;
  // Of an open file and a path: the same file.
  bool isStillAt(const std::filesystem::path& path) const;

  const std::filesystem::path& path() const { return path_; }
  // For messages, after the folder was renamed.
  void movedTo(std::filesystem::path path) { path_ = std::move(path); }
  explicit operator bool() const { return descriptor_ >= 0; }

 private:
  File(int descriptor, std::filesystem::path path) : descriptor_(descriptor), path_(std::move(path)) {}
  int descriptor_ = -1;
  std::filesystem::path path_;
};

// All of a file of at most `max_bytes`. Throws.
std::vector<char> readWholeFile(const std::filesystem::path& path, uint64_t max_bytes);

// Of all that is in a folder, sorted. Throws.
std::vector<std::string> listFolder(const std::filesystem::path& folder);
// Names in a folder are on the disk. Throws.
void syncFolder(const std::filesystem::path& folder);

// What a name means, through renames: the same number, the same file or folder of a file system. 0 = there is none.
uint64_t inodeOf(const std::filesystem::path& path);

// `from` becomes `to` if there is no `to`: false if there is. Throws.
bool renameToNew(const std::filesystem::path& from, const std::filesystem::path& to);
// The two change places at once: false if the system or the file system cannot. Throws.
bool exchange(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace nib::model
#endif
