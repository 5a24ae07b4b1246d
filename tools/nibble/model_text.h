// Formats numbers, shapes and errors for the verbs that work on models.
#ifndef NIB_TOOLS_MODEL_TEXT_H
#define NIB_TOOLS_MODEL_TEXT_H

#include <nibble/nibble.h>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace nib::tool {

// Formats one double with a printf format.
std::string numberText(const char* format, double value);
// A tensor's name for tables: unchanged if it is short and printable, else quoted, escaped and truncated.
std::string plainName(const std::string& name);
// "256x704", "scalar".
std::string shapeText(const std::vector<uint64_t>& shape);
// The value as JSON, null if it is not finite: JSON has no NaN or infinity.
nlohmann::ordered_json finiteNumber(double value);
// Adds the keys mse, mae, rel, sqnr_db, cosine and max_abs; null if not `known` or not finite.
void addErrors(nlohmann::ordered_json& json, bool known, const NibErrors& errors);

}  // namespace nib::tool
#endif
