#include "model_text.h"

#include "model/archive/error.h"

#include <cmath>
#include <cstdio>

namespace nib::tool {

std::string numberText(const char* format, double value) {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string plainName(const std::string& name) {
  const std::string quoted = model::quoteText(name);
  return quoted.size() == name.size() + 2 ? name : quoted;
}

std::string shapeText(const std::vector<uint64_t>& shape) {
  std::string text;
  for (const uint64_t side : shape) text += (text.empty() ? "" : "x") + std::to_string(side);
  return text.empty() ? "scalar" : text;
}

nlohmann::ordered_json finiteNumber(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

void addErrors(nlohmann::ordered_json& json, bool known, const NibErrors& errors) {
  const auto value = [known](double number) { return known ? finiteNumber(number) : nlohmann::ordered_json(nullptr); };
  json["mse"] = value(errors.mse);
  json["mae"] = value(errors.mae);
  json["rel"] = value(errors.relative_error);
  json["sqnr_db"] = value(errors.sqnr_db);
  json["cosine"] = value(errors.cosine);
  json["max_abs"] = value(errors.max_error);
}

}  // namespace nib::tool
