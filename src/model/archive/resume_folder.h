// A folder beside an output, with what an interrupted run has finished. It holds nibble's own files alone: nothing else
// is ever deleted, and two runs do not share it.
#ifndef NIB_MODEL_ARCHIVE_RESUME_FOLDER_H
#define NIB_MODEL_ARCHIVE_RESUME_FOLDER_H

#include "model/archive/posix_file.h"

#include <filesystem>
#include <string>

namespace nib::model {

class ResumeFolder {
 public:
  // Whether a file of this name is nibble's own.
  using Owns = bool (*)(const std::string& name);
  // Throws if the path cannot be such a folder: it is a link or a file, holds files but was not made by this class,
  // or holds anything else. Changes nothing. purpose: for messages, "unfinished layers".
  static void check(const std::filesystem::path& folder, const std::string& purpose, Owns owns);

  // Makes the folder and locks it; empties it unless `resume`. Throws; also if another run has the lock.
  ResumeFolder(std::filesystem::path folder, const std::string& purpose, Owns owns, bool resume);
  // Deletes nibble's files, and the folder if nothing else is in it. Throws.
  void remove() const;
  const std::filesystem::path& path() const { return folder_; }

 private:
  std::filesystem::path folder_;
  Owns owns_;
  File lock_;
};

}  // namespace nib::model
#endif
