// The paths of an output, the check of an existing output that it would replace, and the final rename.
#ifndef NIB_MODEL_ARCHIVE_OUTPUT_PATHS_H
#define NIB_MODEL_ARCHIVE_OUTPUT_PATHS_H

#include <filesystem>
#include <span>
#include <string>

namespace nib::model {

enum class OutputKind { kFolder, kFile };

// Absolute paths with symbolic links of folders resolved. All three have the same parent, hence the same file system.
struct OutputPaths {
  std::filesystem::path out;
  std::filesystem::path partial;  // OUT.partial: a folder for both kinds of output
  std::filesystem::path aside;    // OUT.replaced: the old output, if the system cannot exchange two names atomically
};

// Throws if `out` cannot be an output: a root folder, or in a folder that does not exist.
OutputPaths outputPathsOf(const std::filesystem::path& out);

// The key of the metadata of an output's weights that lists its files in subfolders, one a line. Folders with other
// files in them are never deleted.
inline constexpr const char* kNestedFilesKey = "nibble_files";

// Throws unless OUT does not exist, is an empty folder, or may be replaced: with `force`, a file may, and so may a
// folder that contains only files, one of them config.json, a *.safetensors file, model-00001-of-*.gguf or a journal,
// and subfolders that nibble wrote. Never replaces a path of `keep` or a folder that contains one.
void checkReplaceable(const OutputPaths& paths, OutputKind kind, bool force,
                      std::span<const std::filesystem::path> keep);

// Deletes an output. spare: if not empty, keeps the file of this name and the folder itself. Throws; if the folder has
// subfolders with files that nibble did not write, before anything is deleted.
void removeOutput(const std::filesystem::path& folder, const std::string& spare = {});

// Deletes a subfolder of an output if nibble wrote all of it. Returns false, and does nothing, if it is anything else.
bool removeOwnSubfolder(const std::filesystem::path& out, const std::string& name);

// Renames the partial folder to OUT. If OUT exists and is not an empty folder, `force` is required: the two are
// exchanged atomically, or, with !may_exchange or if the system cannot do that, the old one is first renamed to
// `aside`. Returns the path of the old folder, empty if there was none. Throws.
std::filesystem::path renameFolderToOut(const OutputPaths& paths, bool force, bool may_exchange);
// Renames the file `name` of the partial folder to OUT. Throws; also if OUT exists and `force` is not set.
void renameFileToOut(const OutputPaths& paths, const std::string& name, bool force);

}  // namespace nib::model
#endif
