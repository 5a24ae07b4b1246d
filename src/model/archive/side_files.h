// The files of a model's folder beside its weights: tokenizers, templates, processors, code, licences.
#ifndef NIB_MODEL_ARCHIVE_SIDE_FILES_H
#define NIB_MODEL_ARCHIVE_SIDE_FILES_H

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

struct SideFile {
  std::string name;                      // relative to the model's folder: "1_Pooling/config.json"
  std::filesystem::path path;            // of the file to read
  std::optional<std::string> text = {};  // instead of the file's content: what a source made from it
};

// The content of a side file. Throws; also if it has more than max_bytes.
std::vector<char> contentOf(const SideFile& file, uint64_t max_bytes);
// NULL if there is no file of this name.
const SideFile* findSideFile(const std::vector<SideFile>& files, std::string_view name);

struct SideFiles {
  std::vector<SideFile> files;       // to copy, sorted by name
  std::vector<std::string> weights;  // weights in any format, which are not copied
  std::vector<std::string> notes;    // what else is not copied and why, one line each
};

// Whether a file of this name in the model's folder is one that loaders look for beside the weights and config.json:
// of a tokenizer, a template, a processor, code, a licence.
bool isLoaderFile(std::string_view name);

// Lists the folder and its subfolders. Not in the list: weights and their index, the output's own config.json, what
// describes how an earlier program quantized the weights, hidden folders, folders that are models of their own, links
// that lead nowhere, anything but regular files, and very large files; notes name them. Weights in the subfolders of
// sentence-transformers ("2_Dense") belong to the model and are copied. Throws.
SideFiles findSideFiles(const std::filesystem::path& folder);

// Throws if the folder is that of an adapter (LoRA), which is no model.
void refuseAdapter(const std::filesystem::path& folder);
// Whether the name is that of an adapter's tensor.
bool isAdapterTensor(std::string_view name);
[[noreturn]] void throwAdapter(const std::filesystem::path& path);

}  // namespace nib::model
#endif
