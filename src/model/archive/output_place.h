// Where an output will be, what may be replaced there, and how it is put there.
#ifndef NIB_MODEL_ARCHIVE_OUTPUT_PLACE_H
#define NIB_MODEL_ARCHIVE_OUTPUT_PLACE_H

#include <filesystem>
#include <span>
#include <string>

namespace nib::model {

enum class OutputKind { kFolder, kFile };

// Absolute, symbolic links of folders resolved. All three have the same parent, thus the same file system.
struct OutputPlace {
  std::filesystem::path out;
  std::filesystem::path partial;  // OUT.partial: a folder for both kinds
  std::filesystem::path aside;    // OUT.replaced: the old output, where two names cannot be exchanged
};

// Throws if `out` is no place for an output: a root, or in a folder that does not exist.
OutputPlace findPlace(const std::filesystem::path& out);

// Throws unless OUT is free (an empty folder is), or `force` and it may be deleted: a folder of files only, one of them
// config.json, a *.safetensors or a journal; or a file; and in no case one of `keep` or what holds one of them.
void checkReplaceable(const OutputPlace& place, OutputKind kind, bool force,
                      std::span<const std::filesystem::path> keep);

// Deletes a folder of files, and no other. `spare`: but for this file, and then not the folder. Throws, before it
// deletes anything if there is a folder in it.
void removeFlatFolder(const std::filesystem::path& folder, const std::string& spare = {});

// The partial folder becomes OUT. If there is one (and force, else it throws), they change places, or with
// !may_exchange and where the system cannot, the old one is renamed to `aside` first. Returns where the old one is now,
// empty if there was none. Throws.
std::filesystem::path putFolderInPlace(const OutputPlace& place, bool force, bool may_exchange);
// The file of that name in the partial folder becomes OUT. Throws; without force also if there is an OUT.
void putFileInPlace(const OutputPlace& place, const std::string& name, bool force);

}  // namespace nib::model
#endif
