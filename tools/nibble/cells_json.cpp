#include "cells_json.h"

#include <stdexcept>

#include "model/archive/json_document.h"

namespace nib::tool {
namespace {

using nlohmann::ordered_json;

uint32_t countOf(const ordered_json& object, const char* key) {
  const ordered_json& value = object.at(key);
  if (!value.is_number_unsigned() || value.get<uint64_t>() > UINT32_MAX) {
    throw std::runtime_error(std::string(key) + " is not a count");
  }
  return value.get<uint32_t>();
}

selftest::Cell fromJson(const ordered_json& object) {
  selftest::Cell cell;
  cell.op = object.at("op");
  cell.type = object.at("type");
  cell.path = object.at("path");
  cell.profile = object.at("profile");
  cell.subgroup = object.at("subgroup");
  cell.ran = countOf(object, "ran");
  cell.failed = countOf(object, "failed");
  if (cell.failed > cell.ran) throw std::runtime_error("more cases failed than ran");
  cell.bound_ratio = object.value("error_over_bound", 0.0);
  cell.skipped = object.value("skipped", "");
  cell.first_failure = object.value("first_failure", "");
  return cell;
}

}  // namespace

ordered_json cellJson(const selftest::Cell& cell) {
  ordered_json object = {{"op", cell.op},
                         {"type", cell.type},
                         {"path", cell.path},
                         {"profile", cell.profile},
                         {"subgroup", cell.subgroup},
                         {"ran", cell.ran},
                         {"failed", cell.failed},
                         {"error_over_bound", cell.bound_ratio}};
  if (!cell.skipped.empty()) object["skipped"] = cell.skipped;
  if (!cell.first_failure.empty()) object["first_failure"] = cell.first_failure;
  return object;
}

std::vector<selftest::Cell> parseCells(std::string_view text, const std::string& where) {
  std::vector<selftest::Cell> cells;
  const ordered_json result = model::readJsonText(text, where);
  try {
    for (const ordered_json& object : result.at("cells")) cells.push_back(fromJson(object));
  } catch (const std::exception& error) {
    throw std::runtime_error(where + " is not a result of nibble selftest --json: " + error.what());
  }
  return cells;
}

}  // namespace nib::tool
