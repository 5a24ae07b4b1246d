// How the verbs of models print numbers, shapes and errors.
#ifndef NIB_TOOLS_MODEL_TEXT_H
#define NIB_TOOLS_MODEL_TEXT_H

#include <nibble/nibble.h>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace nib::tool {

// printf of one double.
std::string numberText(const char* format, double value);
// A tensor's name as a table may show it: in quotes if not all of it is fit to print, or it is long.
std::string plainName(const std::string& name);
// "256x704", "scalar".
std::string shapeText(const std::vector<uint64_t>& shape);
// null where it is not finite.
nlohmann::ordered_json finiteNumber(double value);
// The keys mse, mae, rel, sqnr_db, cosine, max_abs; null where they are not `known` or not finite.
void addErrors(nlohmann::ordered_json& json, bool known, const NibErrors& errors);

}  // namespace nib::tool
#endif
