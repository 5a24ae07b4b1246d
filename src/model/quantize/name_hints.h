// Names that someone may have meant.
#ifndef NIB_MODEL_QUANTIZE_NAME_HINTS_H
#define NIB_MODEL_QUANTIZE_NAME_HINTS_H

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

// The names of different kinds (not of different layers) that hold something closest to the literal text of a regular
// expression, at most `count`, the closest first.
std::vector<std::string> nearestNames(std::string_view pattern, const std::vector<std::string_view>& names,
                                      size_t count);

}  // namespace nib::model
#endif
