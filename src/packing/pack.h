// Packs SPIR-V modules for unpack.h. Part of a program that runs while nibble is built, not of the core.
#ifndef NIB_PACKING_PACK_H
#define NIB_PACKING_PACK_H

#include <cstdint>
#include <vector>

#include "packing/unpack.h"

namespace nib::packing {

// Numbers the ids of a module in the order in which they appear. Nothing else changes. A module with an instruction
// that grammar.h does not have, or whose instructions are malformed, stays as it is; then the answer is false.
bool renumber(std::vector<uint32_t>& words);

// Why the words are no module that can be packed, NULL if they are.
const char* problemOf(const std::vector<uint32_t>& words);

// The packed bytes of a module. `bases` are unpacked before it, in this order; at most two.
std::vector<uint8_t> pack(const std::vector<const std::vector<uint32_t>*>& bases, const std::vector<uint32_t>& words);

// Bytes in little-endian words, as PackedModule has them.
std::vector<uint32_t> asWords(const std::vector<uint8_t>& bytes);

// The module's row but for its base. `bytes` are those of asWords().
PackedModule describe(const std::vector<uint32_t>& words, const uint32_t* bytes, uint32_t byte_count);

}  // namespace nib::packing
#endif
