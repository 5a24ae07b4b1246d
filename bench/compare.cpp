#include "bench/compare.h"

#include <map>
#include <set>
#include <stdexcept>

namespace nib::bench {
namespace {

using Json = nlohmann::ordered_json;

std::string text(const Json& row, const char* key) {
  if (!row.contains(key) || row[key].is_null()) return {};
  const Json& value = row[key];
  if (value.is_string()) return value.get<std::string>();
  if (value.is_array()) {
    std::string list;
    for (const Json& item : value) {
      if (!list.empty()) list += ' ';
      list += item.is_string() ? item.get<std::string>() : item.dump();
    }
    return list;
  }
  return value.dump();
}

// Rows of two files are the same row if they agree in this key. It leaves out the numbers and the path, because a
// comparison may be about a new path.
std::string keyOf(const Json& row, bool with_device) {
  std::string key = text(row, "op") + ' ';
  const std::string type = text(row, "type"), source = text(row, "source"), result = text(row, "result");
  if (!source.empty() && source != type) key += source + " -> ";
  key += type;
  if (!result.empty()) key += " -> " + result;
  for (const char* field : {"granularity", "group_size", "modes", "scales"}) {
    const std::string word = text(row, field);
    if (!word.empty()) key += ' ' + word;
  }
  const std::string scale_type = text(row, "scale_type");
  if (!scale_type.empty()) key += " scales " + scale_type;
  key += ", " + text(row, "m") + 'x' + text(row, "n") + 'x' + text(row, "k");
  return with_device ? key + " on " + text(row, "device") : key;
}

std::optional<double> timeOf(const Json& row) {
  if (!row.contains("median_us") || !row["median_us"].is_number()) return std::nullopt;
  const double us = row["median_us"].get<double>();
  return us > 0 ? std::optional<double>(us) : std::nullopt;
}

std::set<std::string> devicesOf(const Json& run) {
  std::set<std::string> devices;
  for (const Json& row : run["rows"]) devices.insert(text(row, "device"));
  return devices;
}

std::string deviceOf(const Json& run) {
  return run.contains("machine") && run["machine"].is_object() ? text(run["machine"], "device") : std::string();
}

}  // namespace

void checkResult(const Json& run, const std::string& name) {
  if (!run.is_object() || !run.contains("schema") || !run.contains("rows") || !run["rows"].is_array()) {
    throw std::runtime_error(name + " is not a result of nibble bench --json");
  }
  if (run["schema"] != 1) throw std::runtime_error(name + " has schema " + run["schema"].dump() + ", 1 is known");
  for (const Json& row : run["rows"]) {
    if (!row.is_object()) throw std::runtime_error(name + " has a row that is not an object");
  }
}

Comparison compareRuns(const Json& old_run, const Json& new_run) {
  checkResult(old_run, "the old file");
  checkResult(new_run, "the new run");
  const bool with_device = devicesOf(old_run).size() > 1 || devicesOf(new_run).size() > 1;
  Comparison comparison;
  comparison.old_device = deviceOf(old_run);
  comparison.new_device = deviceOf(new_run);
  std::map<std::string, const Json*> old_rows;
  for (const Json& row : old_run["rows"]) old_rows[keyOf(row, with_device)] = &row;
  for (const Json& row : new_run["rows"]) {
    const std::string key = keyOf(row, with_device);
    const auto found = old_rows.find(key);
    const std::optional<double> now = timeOf(row);
    const std::optional<double> before = found != old_rows.end() ? timeOf(*found->second) : std::nullopt;
    if (!now || !before) {
      comparison.only_new.push_back(key);
      if (found != old_rows.end()) old_rows.erase(found);
      continue;
    }
    const double ratio = *now / *before;
    comparison.rows.push_back(
        {key, *before, *now, ratio, ratio > kSlower, text(row, "path") != text(*found->second, "path")});
    old_rows.erase(found);
  }
  for (const auto& [key, row] : old_rows) comparison.only_old.push_back(key);
  return comparison;
}

}  // namespace nib::bench
