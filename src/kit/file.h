// Reads small files, and replaces them atomically.
#ifndef NIB_KIT_FILE_H
#define NIB_KIT_FILE_H

#include <nibble/kit.h>

namespace nib::kit::detail {

// Writes a temporary file in the same folder, flushes it to the disk and renames it over `path`. Throws.
void writeFile(const std::string& path, std::span<const std::byte> bytes);
// Empty if there is no such file. Throws if it cannot be read.
Bytes readFile(const std::string& path);

}  // namespace nib::kit::detail
#endif
