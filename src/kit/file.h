// Small files that appear whole or not at all.
#ifndef NIB_KIT_FILE_H
#define NIB_KIT_FILE_H

#include <nibble/kit.h>

namespace nib::kit::detail {

// Writes a temporary neighbour, flushes it to the disk, renames it over `path`. Throws.
void writeFile(const std::string& path, std::span<const std::byte> bytes);
// Empty if there is no such file. Throws if it cannot be read.
Bytes readFile(const std::string& path);

}  // namespace nib::kit::detail
#endif
