#include "model/archive/resume_folder.h"

#include "model/archive/error.h"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace nib::model {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLock = ".lock";

// A file that a killed run was writing (kit::detail::TemporaryFile): ".nibble-" and sixteen digits.
bool isTemporary(const std::string& name) {
  constexpr std::string_view kBegin = ".nibble-";
  return name.starts_with(kBegin) && name.size() == kBegin.size() + 16 &&
         std::all_of(name.begin() + kBegin.size(), name.end(), [](unsigned char c) { return std::isxdigit(c) != 0; });
}

bool isRegular(const fs::path& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() == fs::file_type::regular;
}

}  // namespace

void ResumeFolder::check(const fs::path& folder, const std::string& purpose, Owns owns) {
  const auto refuse = [&](const std::string& what) {
    throw Error(shown(folder) + " is needed for " + purpose + ", but " + what);
  };
  std::error_code error;
  const fs::file_type type = fs::symlink_status(folder, error).type();
  if (type == fs::file_type::symlink) refuse("is a symbolic link: delete it");
  if (type == fs::file_type::not_found) return;
  if (type != fs::file_type::directory) refuse("is a file: move it away");
  // Somebody else's file may have such a name, but then there is no lock beside it.
  const bool made_here = isRegular(folder / kLock);
  for (const std::string& name : listFolder(folder)) {
    if (made_here && (owns(name) || isTemporary(name) || name == kLock) && isRegular(folder / name)) continue;
    refuse("holds " + shown(name) + ": move it away");
  }
}

ResumeFolder::ResumeFolder(fs::path folder, const std::string& purpose, Owns owns, bool resume)
    : folder_(std::move(folder)), owns_(owns) {
  check(folder_, purpose, owns_);
  fs::create_directories(folder_);
  lock_ = File::openToWrite(folder_ / kLock);
  if (!lock_.tryLock()) throw Error(shown(folder_) + ": another nibble is writing it");
  for (const std::string& name : listFolder(folder_)) {
    if (isTemporary(name) || (!resume && owns_(name))) fs::remove(folder_ / name);
  }
}

void ResumeFolder::remove() const {
  for (const std::string& name : listFolder(folder_)) {
    if (isTemporary(name) || owns_(name)) fs::remove(folder_ / name);
  }
  fs::remove(folder_ / kLock);
  std::error_code error;
  fs::remove(folder_, error);  // not if somebody else has put something into it
}

}  // namespace nib::model
