// How numbers are written on the command line.
#ifndef NIB_TOOLS_NUMBERS_H
#define NIB_TOOLS_NUMBERS_H

#include <CLI/CLI.hpp>

namespace nib::tool {

// Lets the numeric options of every verb accept decimal numbers only. By itself the parser takes -1 for a number
// without sign as 2^64 - 1, 0x10 as 16, 010 as 8, and too many digits as the largest number.
void checkNumbers(CLI::App& app);

}  // namespace nib::tool
#endif
