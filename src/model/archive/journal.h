// What of an unfinished output is on the disk already: lines of text, only ever appended.
//
//   <check> nibble-journal 1 IDENTITY
//   <check> done 12
//   <check> publish 4711
//
// A check is 16 hexadecimal digits of FNV-1a over the rest of its line, begun with the check of the line before.
// Reading ends at the first line that is torn or does not match: what follows never happened.
#ifndef NIB_MODEL_ARCHIVE_JOURNAL_H
#define NIB_MODEL_ARCHIVE_JOURNAL_H

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
  struct Content {
    bool begun = false;  // there is an identity
    std::string identity;
    std::vector<uint64_t> done;
    bool publishing = false;  // all was complete, and the rename to OUT came next
    uint64_t replaced = 0;    // the inode of what OUT was then, 0 = nothing
  };

  // Of this folder; made if there is none. One process at a time has it: throws if another does, saying that it writes
  // `output`.
  Journal(const std::filesystem::path& folder, const std::filesystem::path& output);
  // Before the folder is renamed, and after. Only for messages.
  void movedTo(const std::filesystem::path& folder) { file_.movedTo(folder / kJournalName); }

  // What is in it; what follows is appended behind the last good line. Throws.
  Content load();
  // Empties it. All three are on the disk on return. Throw.
  void begin(const std::string& identity);
  void addDone(std::span<const uint64_t> items);
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
