#include "model/archive/output_paths.h"

#include "model/archive/error.h"
#include "model/archive/journal.h"
#include "model/archive/posix_file.h"
#include "model/archive/safetensors_header.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace nib::model {
namespace {

namespace fs = std::filesystem;

// The type of the directory entry; symbolic links are not followed.
fs::file_type typeOf(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path, error);
  if (status.type() == fs::file_type::none) throw Error(shown(path) + ": cannot be read: " + error.message());
  return status.type();
}

// The files in subfolders of an output that nibble wrote there, by the metadata of its weights.
std::set<std::string> nestedFilesOf(const fs::path& out) {
  std::set<std::string> files;
  for (const std::string& name : listFolder(out)) {
    if (!name.ends_with(".safetensors") || typeOf(out / name) != fs::file_type::regular) continue;
    try {
      const File file = File::openToRead(out / name);
      std::vector<std::byte> start(std::min<uint64_t>(8, file.bytes()));
      file.read(0, start);
      std::vector<char> json(SafetensorsHeader::jsonBytes(start, file.bytes(), shown(file.path())));
      file.read(8, std::as_writable_bytes(std::span(json)));
      const uint64_t data_bytes = file.bytes() - 8 - json.size();
      for (const auto& [key, text] : SafetensorsHeader(std::move(json), data_bytes, shown(file.path())).metadata()) {
        if (key != kNestedFilesKey) continue;
        for (size_t at = 0; at < text.size();) {
          const size_t end = std::min(text.find('\n', at), text.size());
          files.insert(text.substr(at, end - at));
          at = end + 1;
        }
      }
    } catch (const Error&) {  // not an output of nibble
    }
  }
  return files;
}

// Whether everything in the subfolder is in the list.
bool holdsOnly(const fs::path& out, const std::string& folder, const std::set<std::string>& own) {
  for (const std::string& entry : listFolder(out / folder)) {
    const std::string name = folder + "/" + entry;
    const bool is_folder = typeOf(out / name) == fs::file_type::directory;
    if (is_folder ? !holdsOnly(out, name, own) : own.count(name) == 0) return false;
  }
  return true;
}

// Calls refuse(name) for a subfolder with anything in it that nibble did not write.
template <class Refuse>
void checkSubfolders(const fs::path& out, const std::vector<std::string>& names, const Refuse& refuse) {
  std::optional<std::set<std::string>> own;
  for (const std::string& name : names) {
    if (typeOf(out / name) != fs::file_type::directory) continue;
    if (!own) own = nestedFilesOf(out);
    if (!holdsOnly(out, name, *own)) refuse(name);
  }
}

void removePath(const fs::path& path) {
  std::error_code error;
  if (!fs::remove(path, error) && error) throw Error(shown(path) + ": cannot be deleted: " + error.message());
}

// A folder that checkSubfolders has accepted.
void removeSubfolder(const fs::path& folder) {
  for (const std::string& name : listFolder(folder)) {
    if (typeOf(folder / name) == fs::file_type::directory) {
      removeSubfolder(folder / name);
    } else {
      removePath(folder / name);
    }
  }
  removePath(folder);
}

bool isAtOrAbove(const fs::path& upper, const fs::path& path) {
  for (fs::path at = path;; at = at.parent_path()) {
    std::error_code error;
    if (at == upper || fs::equivalent(at, upper, error)) return true;
    if (at == at.parent_path()) return false;
  }
}

void checkFolder(const fs::path& out, bool force) {
  const std::vector<std::string> names = listFolder(out);
  if (names.empty()) return;
  if (!force) throw Error(shown(out) + ": exists and is not empty: name another, or replace it with --force");
  checkSubfolders(out, names, [&](const std::string& name) {
    throw Error(shown(out) + ": is not replaced, because it has the folder " + shown(name) +
                " in it, with files that nibble did not write: name another");
  });
  bool is_model = false;
  for (const std::string& name : names) {
    const bool is_part = name.starts_with("model-00001-of-") && name.ends_with(".gguf");
    is_model |= name == "config.json" || name == kJournalName || name.ends_with(".safetensors") || is_part;
  }
  if (!is_model)
    throw Error(shown(out) +
                ": is not replaced, because it does not look like a model: name another, or empty it yourself");
}

}  // namespace

OutputPaths outputPathsOf(const fs::path& out) {
  std::error_code error;
  fs::path path = fs::weakly_canonical(fs::absolute(out, error), error);
  if (out.empty() || error)
    throw Error(shown(out) + ": cannot be the output" + (error ? " (" + error.message() + ")" : "") +
                ": name another path");
  if (!path.has_filename()) path = path.parent_path();
  if (path == path.root_path()) throw Error(shown(out) + ": cannot be the output: name a folder in it");
  if (!fs::is_directory(path.parent_path(), error)) {
    throw Error(shown(out) + ": there is no folder " + shown(path.parent_path()) + ": create it first");
  }
  return {path, path.native() + ".partial", path.native() + ".replaced"};
}

void checkReplaceable(const OutputPaths& paths, OutputKind kind, bool force, std::span<const fs::path> keep) {
  for (const fs::path& path : keep) {
    std::error_code error;
    const fs::path kept = fs::canonical(path, error);
    if (error) continue;
    // The partial folder is emptied, and the old output is deleted.
    for (const fs::path& at : {paths.out, paths.partial, paths.aside}) {
      if (!isAtOrAbove(at, kept)) continue;
      throw Error(shown(at) + ": is not replaced, because the input " + shown(path) +
                  (kept == at ? " is it" : " is in it") + ": name another output");
    }
  }
  const fs::file_type type = typeOf(paths.out);
  if (type == fs::file_type::not_found) return;
  if (kind == OutputKind::kFolder) {
    if (type != fs::file_type::directory)
      throw Error(shown(paths.out) + ": is not a folder, and is not replaced by one: name another");
    checkFolder(paths.out, force);
    return;
  }
  if (type != fs::file_type::regular)
    throw Error(shown(paths.out) + ": is not a file, and is not replaced by one: name another");
  if (!force) throw Error(shown(paths.out) + ": exists: name another, or replace it with --force");
}

bool removeOwnSubfolder(const fs::path& out, const std::string& name) {
  if (typeOf(out / name) != fs::file_type::directory || !holdsOnly(out, name, nestedFilesOf(out))) return false;
  removeSubfolder(out / name);
  return true;
}

void removeOutput(const fs::path& folder, const std::string& spare) {
  const std::vector<std::string> names = listFolder(folder);
  checkSubfolders(folder, names, [&](const std::string& name) {
    throw Error(shown(folder) + ": is not deleted, because it has the folder " + shown(name) +
                " in it, with files that nibble did not write");
  });
  for (const std::string& name : names) {
    if (name == spare) continue;
    if (typeOf(folder / name) == fs::file_type::directory) {
      removeSubfolder(folder / name);
    } else {
      removePath(folder / name);
    }
  }
  if (spare.empty()) removePath(folder);
}

fs::path renameFolderToOut(const OutputPaths& paths, bool force, bool may_exchange) {
  if (renameToNew(paths.partial, paths.out)) return {};
  // rename() replaces an empty folder, but fails if the folder has been filled meanwhile.
  if (std::rename(paths.partial.c_str(), paths.out.c_str()) == 0) return {};
  if (errno != ENOTEMPTY && errno != EEXIST)
    throwSystemError(paths.out, "renaming the output to this path failed", errno);
  if (!force) throw Error(shown(paths.out) + ": was created meanwhile: move it, then resume");
  if (may_exchange && exchange(paths.partial, paths.out)) return paths.partial;
  if (!renameToNew(paths.out, paths.aside)) {
    throw Error(shown(paths.aside) + ": exists: move it, it may be an earlier " + shown(paths.out.filename()));
  }
  if (!renameToNew(paths.partial, paths.out))
    throw Error(shown(paths.out) + ": was created meanwhile: move it, then resume");
  return paths.aside;
}

void renameFileToOut(const OutputPaths& paths, const std::string& name, bool force) {
  if (renameToNew(paths.partial / name, paths.out)) return;
  if (!force) throw Error(shown(paths.out) + ": was created meanwhile: move it, then resume");
  if (std::rename((paths.partial / name).c_str(), paths.out.c_str()) != 0)
    throwSystemError(paths.out, "renaming the output to this path failed", errno);
}

}  // namespace nib::model
