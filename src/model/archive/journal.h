// Append-only text file that records which tensors of an unfinished output are on the disk.
//
//   <check> nibble-journal 2 IDENTITY
//   <check> done 12 <hash>
//   <check> publish 4711
//
// <hash> is the XXH3 of the tensor's bytes: a file of the right size proves nothing about them. A journal of version 1,
// which has none, counts as empty. <check> is 16 hexadecimal digits: FNV-1a of the rest of the line, seeded with the
// check of the previous line. Reading stops at the first line that is incomplete or does not match; everything after it
// is discarded.
#ifndef NIB_MODEL_ARCHIVE_JOURNAL_H
#define NIB_MODEL_ARCHIVE_JOURNAL_H

#include "model/archive/hash.h"
#include "model/archive/posix_file.h"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace nib::model {

inline constexpr const char* kJournalName = ".nibble-journal";

class Journal {
 public:
  struct Done {
    uint64_t item = 0;
    Hash128 hash;
    bool operator==(const Done&) const = default;
  };
  struct Content {
    bool begun = false;  // whether the first line, with the identity, is valid
    std::string identity;
    std::vector<Done> done;
    bool publishing = false;  // all tensors were complete, and the rename to OUT was the next step
    uint64_t replaced = 0;    // the inode of OUT before the rename, 0 = there was none
  };

  // Opens the journal of `folder`, creates it if necessary, and locks it. Throws; also if another process has the lock:
  // the message then names `output`.
  Journal(const std::filesystem::path& folder, const std::filesystem::path& output);
  // Tells the journal that its folder was renamed. Affects only messages.
  void movedTo(const std::filesystem::path& folder) { file_.movedTo(folder / kJournalName); }

  // Reads the valid lines and truncates the file after them. Throws.
  Content load();
  // The following functions return once the lines are on the disk. They throw.
  // begin() empties the file first.
  void begin(const std::string& identity);
  void addDone(std::span<const Done> items);
  void addPublish(uint64_t replaced);

 private:
  void append(const std::string& lines);
  std::string line(const std::string& text);

  File file_;
  uint64_t end_ = 0;
  uint64_t check_ = 0;
};

}  // namespace nib::model
#endif
