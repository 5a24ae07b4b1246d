// Cells of the self-test as JSON.
#ifndef NIB_TOOLS_CELLS_JSON_H
#define NIB_TOOLS_CELLS_JSON_H

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "selftest/cells.h"

namespace nib::tool {

nlohmann::ordered_json cellJson(const selftest::Cell& cell);
// The cells of a result of `nibble selftest --json`. `where` begins the message of the std::runtime_error that it
// throws.
std::vector<selftest::Cell> parseCells(std::string_view text, const std::string& where);

}  // namespace nib::tool
#endif
