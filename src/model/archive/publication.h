// Files that appear whole or not at all, written in any order by any thread, and after a crash continued.
//
// All is written to the folder OUT.partial, beside OUT. publish() flushes it to the disk and renames it (or the one
// file that is asked for) to OUT. A partial folder that is not published stays, with a journal of what in it is
// complete, for a later Publication with `resume`.
#ifndef NIB_MODEL_ARCHIVE_PUBLICATION_H
#define NIB_MODEL_ARCHIVE_PUBLICATION_H

#include "model/archive/journal.h"
#include "model/archive/output_place.h"
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
  // The input: never replaced, nor a folder that holds it, whatever `force` says.
  std::vector<std::filesystem::path> keep;
  // Of command, input and version, one line: what makes two runs write the same bytes.
  std::string identity;
  bool force = false;        // an OUT that looks like a model may be replaced
  bool resume = false;       // a partial folder of the same identity is continued; without, it is replaced
  bool may_exchange = true;  // off: as on file systems that cannot exchange two names
  // What is finished is flushed to the disk, and entered in the journal, when it is so much or so long ago.
  uint64_t flush_bytes = 256u << 20;
  std::chrono::milliseconds flush_time{1000};
};

// A file that `write` fills. `head` is written to its start.
struct PlannedFile {
  std::string name;
  uint64_t bytes = 0;
  std::vector<std::byte> head;
};

// A part of a planned file that is completed at once: a tensor.
struct PlannedItem {
  std::string name;  // for messages
  uint32_t file = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

class Publication {
 public:
  // Makes room for all files. Throws: OUT cannot be replaced, the partial folder is another's or in use, the disk is
  // full. kFile: there is one file, whose name is OUT's while it is partial.
  Publication(const PublicationOptions& options, std::vector<PlannedFile> files, std::vector<PlannedItem> items);
  // What is complete is entered in the journal.
  ~Publication();

  // Complete from an earlier run; need not be written.
  bool isFinished(size_t item) const { return state_[item].load() == kFinished; }
  // Any thread, any order, but no byte twice and not after finished(). Throws.
  void write(size_t item, uint64_t offset, std::span<const std::byte> bytes);
  // All bytes of the item were written (throws if they were not). Any thread. Once in a while (flush_bytes, flush_time)
  // a call takes as long as the disk does.
  void finished(size_t item);

  // Another file of the folder, whole. Throws. One thread.
  void addFile(const std::string& name, std::string_view text);
  void copyFile(const std::string& name, const std::filesystem::path& from);

  // Throws if an item is not finished, or if OUT appeared meanwhile. On return all is on the disk. Once.
  void publish();

  const OutputPlace& place() const { return place_; }

 private:
  static constexpr uint64_t kFinished = UINT64_MAX;  // else how many bytes were written

  void recover();
  bool openPartial(const std::string& identity);
  void openFiles(const std::string& identity);
  void flush();
  File openSideFile(const std::string& name);
  void checkFinished() const;

  PublicationOptions options_;
  OutputPlace place_;
  std::vector<PlannedFile> planned_;
  std::vector<PlannedItem> items_;
  std::optional<Journal> journal_;
  Journal::Content resumed_;
  std::vector<File> files_;
  std::unique_ptr<std::atomic<uint64_t>[]> state_;
  std::set<std::string> names_;

  std::mutex mutex_;  // of what follows
  std::vector<uint64_t> unflushed_;
  uint64_t unflushed_bytes_ = 0;
  std::chrono::steady_clock::time_point flushed_at_ = std::chrono::steady_clock::now();
  // After a flush that failed, the system may take lost data for written: nothing enters the journal any more.
  bool broken_ = false;
  bool published_ = false;
};

}  // namespace nib::model
#endif
