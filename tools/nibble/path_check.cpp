#include "path_check.h"

#include "options.h"

#include <algorithm>
#include <cstring>

#if !defined(_WIN32)
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace nib::tool {
namespace {

namespace fs = std::filesystem;
using kit::detail::Destination;

// All links of an existing path resolved, and those of the folder of a new one. Empty if that fails.
fs::path resolved(const fs::path& path, std::error_code& error) {
  const fs::path from = fs::absolute(path, error);
  if (error) return {};
  const fs::path full = fs::weakly_canonical(from, error);
  if (error) return {};
  return full.has_filename() ? full : full.parent_path();
}

fs::path resolved(const fs::path& path) {
  std::error_code error;
  return resolved(path, error);
}

bool isAtOrIn(const fs::path& path, const fs::path& folder) {
  if (folder.empty()) return false;
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

std::string namedText(const std::string& option, const fs::path& path) {
  return option + (option.ends_with('=') ? "" : " ") + path.string();
}

}  // namespace

bool PathCheck::identify(const fs::path& path, Identity& identity) {
#if !defined(_WIN32)
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return false;
  identity = {static_cast<unsigned long long>(status.st_dev), static_cast<unsigned long long>(status.st_ino)};
  return true;
#else
  static_cast<void>(path), static_cast<void>(identity);
  return false;
#endif
}

void PathCheck::addInput(const std::string& option, const fs::path& path) {
  Input input{namedText(option, path), resolved(path), {}};
  // A device or a pipe may be read and written: /dev/null, /dev/tty.
  std::error_code error;
  const fs::file_type type = fs::status(path, error).type();
  if (type == fs::file_type::directory || (type == fs::file_type::regular && identify(path, input.identity))) {
    inputs_.push_back(std::move(input));
  }
}

void PathCheck::reads(const std::string& option, const std::string& path, Belongs belongs) {
  if (path.empty()) return;
  addInput(option, path);
  std::error_code error;
  if (belongs == nullptr || !fs::is_directory(path, error)) return;
  folders_.push_back({namedText(option, path), resolved(path), belongs});
  for (fs::directory_iterator entry(path, error); !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (belongs(entry->path().filename().string())) addInput(option, entry->path());
  }
}

void PathCheck::writes(const std::string& option, const std::string& path) {
  if (path.empty()) return;
  try {
    written_.push_back({namedText(option, path), kit::detail::destinationOf(path)});
  } catch (const kit::Error& error) {
    throw UsageError(option + " " + error.what());
  }
}

void PathCheck::writesFolder(const std::string& option, const std::string& path) {
  out_text_ = namedText(option, path);
  std::error_code error;
  const fs::path out = resolved(path, error);
  if (out.empty()) throw kit::Error(out_text_ + " cannot be reached: " + error.message());
  out_ = {out};
  // Names that Publication and the unfinished layers of GPTQ use.
  for (const char* ending : {".partial", ".replaced", ".gptq", ".costs", ".transform"})
    out_.emplace_back(out.native() + fs::path(ending).native());
}

const fs::path* PathCheck::outputWith(const fs::path& path) const {
  const auto found = std::find_if(out_.begin(), out_.end(), [&](const fs::path& out) { return isAtOrIn(path, out); });
  return found != out_.end() ? &*found : nullptr;
}

// An open descriptor may be that of an input.
void PathCheck::checkDescriptor(const Written& written) const {
#if !defined(_WIN32)
  struct stat status {};
  if (fstat(written.destination.descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return;
  const Identity identity{static_cast<unsigned long long>(status.st_dev),
                          static_cast<unsigned long long>(status.st_ino)};
  for (const Input& input : inputs_) {
    if (input.identity != identity) continue;
    throw UsageError(written.text + " goes to an input, " + input.text + ": name another path");
  }
#else
  static_cast<void>(written);
#endif
}

void PathCheck::checkFile(const Written& written) const {
  if (written.destination.kind == Destination::Kind::kDescriptor) checkDescriptor(written);
  if (written.destination.kind != Destination::Kind::kFile) return;
  const fs::path& path = written.destination.path;
  if (const fs::path* out = outputWith(path)) {
    throw UsageError(written.text + " is in " + out->string() + ", which " + out_text_ + " writes: name another path");
  }
  Identity identity;
  const bool exists = identify(path, identity);
  for (const Input& input : inputs_) {
    if (path != input.path && !(exists && identity == input.identity)) continue;
    throw UsageError(written.text + " is an input, " + input.text + ": name another path");
  }
  for (const Folder& folder : folders_) {
    if (path.parent_path() != folder.path || !folder.belongs(path.filename().string())) continue;
    throw UsageError(written.text + " would become a part of the input " + folder.text + ": name another path");
  }
  std::error_code error;
  if (!force_ && fs::exists(path, error)) throw UsageError(written.text + " exists; --force replaces it");
}

// An OUT that cannot be has the exit code of one that exists.
void PathCheck::checkOut() const {
  if (out_.empty()) return;
  for (const Input& input : inputs_) {
    if (const fs::path* out = outputWith(input.path)) {
      throw kit::Error(out_text_ + " writes " + out->string() + ", and the input " + input.text + " is " +
                       (*out == input.path ? "it" : "in it") + ": name another path");
    }
  }
  // A resumed run writes into the files that it finds there.
  std::error_code error;
  for (fs::directory_iterator entry(out_[1], error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    Identity identity;
    if (!identify(entry->path(), identity)) continue;
    for (const Input& input : inputs_) {
      if (input.identity != identity) continue;
      throw kit::Error(entry->path().string() + ", which " + out_text_ + " writes, is the input " + input.text +
                       " by another name: delete that name");
    }
  }
}

// stdout and stderr may be files: of the shell, which has made them already.
void PathCheck::checkStandardStreams() const {
#if !defined(_WIN32)
  for (const auto& [descriptor, name] : {std::pair(STDOUT_FILENO, "stdout"), std::pair(STDERR_FILENO, "stderr")}) {
    struct stat status {};
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) continue;
    const Identity stream{static_cast<unsigned long long>(status.st_dev),
                          static_cast<unsigned long long>(status.st_ino)};
    for (const Input& input : inputs_) {
      if (input.identity == stream) {
        throw UsageError(std::string(name) + " goes to an input, " + input.text + ": name another path");
      }
    }
    for (const Written& written : written_) {
      Identity identity;
      if (written.destination.kind != Destination::Kind::kFile || !identify(written.destination.path, identity))
        continue;
      if (identity == stream) throw UsageError(written.text + " is where " + name + " goes: name another path");
    }
    for (const fs::path& out : out_) {
      std::error_code error;
      for (fs::directory_iterator entry(out, error); !error && entry != fs::directory_iterator();
           entry.increment(error)) {
        Identity identity;
        if (identify(entry->path(), identity) && identity == stream) {
          throw UsageError(std::string(name) + " goes to " + entry->path().string() + ", which " + out_text_ +
                           " writes: name another path");
        }
      }
    }
  }
#endif
}

void PathCheck::check() const {
  checkStandardStreams();
  checkOut();
  for (size_t i = 0; i < written_.size(); ++i) {
    checkFile(written_[i]);
    for (size_t j = 0; j < i; ++j) {
      if (written_[i].destination.kind == Destination::Kind::kFile &&
          written_[i].destination.path == written_[j].destination.path) {
        throw UsageError(written_[i].text + " is written by " + written_[j].text + " too: name another path");
      }
    }
  }
  for (const Written& written : written_) kit::detail::checkWritable(written.destination);
  // The longest of the names that OUT needs; a root folder is refused later.
  if (!out_.empty() && out_[0].has_filename()) kit::detail::checkWritable({Destination::Kind::kFile, out_[2], -1});
}

bool PathCheck::takesStdout() const {
  return std::any_of(written_.begin(), written_.end(), [](const Written& w) {
    return w.destination.kind == Destination::Kind::kDescriptor && w.destination.descriptor == 1;
  });
}

}  // namespace nib::tool
