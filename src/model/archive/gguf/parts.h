// The names of a GGUF model that is split into parts: "model-00001-of-00003.gguf".
#ifndef NIB_MODEL_ARCHIVE_GGUF_PARTS_H
#define NIB_MODEL_ARCHIVE_GGUF_PARTS_H

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace nib::model {

// "-00001-of-00003.gguf"
inline constexpr size_t kPartEnding = 20;
std::string partName(const std::string& stem, uint64_t part, uint64_t count);
// Whether a name ends as that of a part.
bool isPartName(const std::string& name);
// The parts that belong to this one, by their names, and exist. Empty if the file is no part.
std::vector<std::filesystem::path> otherParts(const std::filesystem::path& part);

}  // namespace nib::model
#endif
