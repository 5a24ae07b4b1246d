// Writes an output atomically: OUT appears complete or not at all. Any thread may write, in any order, and an
// interrupted run can be resumed.
//
// Everything is written to the folder OUT.partial, next to OUT. publish() flushes it to the disk and renames it (or,
// for kFile, its one file) to OUT. An unpublished partial folder remains, with a journal of its complete items, for a
// later Publication with `resume`.
#ifndef NIB_MODEL_ARCHIVE_PUBLICATION_H
#define NIB_MODEL_ARCHIVE_PUBLICATION_H

#include "model/archive/journal.h"
#include "model/archive/output_paths.h"
#include "model/archive/piece_hash.h"
#include "model/archive/posix_file.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

struct PublicationOptions {
  std::filesystem::path out;
  OutputKind kind = OutputKind::kFolder;
  // Input paths. Neither they nor a folder that contains one are ever replaced, regardless of `force`.
  std::vector<std::filesystem::path> keep;
  // One line that identifies command, input and version: runs with equal identities write equal bytes.
  std::string identity;
  bool force = false;        // replace an existing OUT if it looks like a model
  bool resume = false;       // continue a partial folder of the same identity; otherwise it is replaced
  bool may_exchange = true;  // false behaves like a file system that cannot exchange two names
  // Finished items are flushed to the disk and recorded in the journal once they reach this size or age.
  uint64_t flush_bytes = 256u << 20;
  std::chrono::milliseconds flush_time{1000};
};

// A file of fixed size whose items are filled by write(). `head` is written to its start.
struct PlannedFile {
  std::string name;
  uint64_t bytes = 0;
  std::vector<std::byte> head;
};

// A byte range of a planned file that is completed as a unit: a tensor.
struct PlannedItem {
  std::string name;     // for messages
  uint32_t file = 0;    // index of the planned file
  uint64_t offset = 0;  // in that file
  uint64_t bytes = 0;
};

class Publication {
 public:
  // Opens the partial folder and allocates the disk space of all files. Throws; among other reasons, if OUT may not be
  // replaced, if the partial folder belongs to another run or is in use, or if the disk is full. kFile requires exactly
  // one planned file; its name is used only inside the partial folder.
  Publication(const PublicationOptions& options, std::vector<PlannedFile> files, std::vector<PlannedItem> items);
  // If not published: records the finished items in the journal.
  ~Publication();

  // Whether the item is complete. If an earlier run completed it, and its bytes still have the hash of then, it must
  // not be written again.
  bool isFinished(size_t item) const { return state_[item].load() == kFinished; }
  // Writes bytes at `offset` of the item, each byte once, in any order and from any thread; not after finished().
  // Throws.
  void write(size_t item, uint64_t offset, std::span<const std::byte> bytes);
  // Marks the item complete. Any thread. Blocks for a disk flush when flush_bytes or flush_time is reached. Throws;
  // also if bytes of the item are missing.
  void finished(size_t item);

  // Add a complete file to the folder. Not thread-safe. Throw.
  void addFile(const std::string& name, std::string_view text);
  void copyFile(const std::string& name, const std::filesystem::path& from);

  // Publishes the output; on return it is on the disk. Call once. Throws; also if an item is not finished, or if OUT
  // appeared meanwhile and may not be replaced.
  void publish();

  const OutputPaths& paths() const { return paths_; }

 private:
  static constexpr uint64_t kFinished = UINT64_MAX;  // other values of state_: the number of bytes written

  void recover();
  bool openPartial(const std::string& identity);
  void openFiles(const std::string& identity);
  void flush();
  File openSideFile(const std::string& name);
  void checkFinished() const;

  PublicationOptions options_;
  OutputPaths paths_;
  std::vector<PlannedFile> planned_;
  std::vector<PlannedItem> items_;
  std::optional<Journal> journal_;
  Journal::Content resumed_;
  std::vector<File> files_;
  std::unique_ptr<std::atomic<uint64_t>[]> state_;
  std::unique_ptr<PieceHash[]> hashes_;
  std::set<std::string> names_;

  std::mutex mutex_;  // guards the members below and the journal after construction
  std::vector<Journal::Done> unflushed_;
  uint64_t unflushed_bytes_ = 0;
  std::chrono::steady_clock::time_point flushed_at_ = std::chrono::steady_clock::now();
  // After a failed flush, a later fsync may report success although data was lost, so the journal is not extended
  // again.
  bool broken_ = false;
  bool published_ = false;
};

}  // namespace nib::model
#endif
