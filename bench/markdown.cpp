#include "bench/markdown.h"

#include <cstdio>
#include <optional>
#include <stdexcept>
#include <vector>

#include "base/names.h"

namespace nib::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr NibType kDenseTypes[] = {NIB_TYPE_F32, NIB_TYPE_F16, NIB_TYPE_BF16};
constexpr size_t kDenseCount = std::size(kDenseTypes);

std::string number(const char* format, double value) {
  char text[40];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

// Three significant digits.
std::string brief(double value) { return number(value >= 100 ? "%.0f" : value >= 10 ? "%.1f" : "%.2f", value); }

std::string textOr(const Json& value, const char* otherwise) {
  return value.is_string() ? value.get<std::string>() : otherwise;
}

std::string sharingOf(const Json& row) {
  std::string text = row.at("granularity");
  if (row.at("group_size").is_number()) text += " " + row["group_size"].dump();
  for (const Json& mode : row.at("modes")) text += " " + mode.get<std::string>();
  return text;
}

struct Line {
  std::string op, type, sharing, shape;
  std::string cell[kDenseCount];
  std::string instructions[kDenseCount];
};

Line lineOf(const Json& row) {
  Line line;
  line.op = row.at("op");
  if (row.at("scales").is_string()) line.op += ", " + row["scales"].get<std::string>() + " scales";
  const bool has_format = row.at("type") != row.at("source");
  line.type = has_format ? row["type"].get<std::string>() : "";
  line.sharing = sharingOf(row);
  line.shape = row.at("m").dump() + "x" + row.at("n").dump() + "x" + row.at("k").dump();
  return line;
}

std::string cellOf(const Json& row) {
  if (!row.at("verified").get<bool>()) return "FAILED";
  std::string text = brief(row.at("gbps").get<double>());
  if (row.at("ceiling_fraction").is_number()) text += number(" (%.0f %%)", row["ceiling_fraction"].get<double>() * 100);
  return text;
}

std::optional<size_t> denseOf(const Json& row) {
  const std::string dense = textOr(row.at("source").is_string() ? row["source"] : row.at("result"), "");
  for (size_t i = 0; i < kDenseCount; ++i) {
    if (dense == typeName(kDenseTypes[i])) return i;
  }
  return std::nullopt;
}

// "27.1 / 30 / 28", "" if nothing was counted.
std::string joined(const std::string (&counts)[kDenseCount]) {
  std::string text;
  bool any = false;
  for (const std::string& count : counts) {
    text += (text.empty() ? "" : " / ") + (count.empty() ? "-" : count);
    any = any || !count.empty();
  }
  return any ? text : std::string();
}

std::string machineText(const Json& machine, size_t run_count) {
  std::string text = "**" + machine.at("device").get<std::string>() + "**, " + machine.at("driver").get<std::string>();
  // The host's processor matters only for devices that run on it.
  const bool on_host = machine.at("type") == "software" || machine["type"] == "cpu";
  if (on_host) text += ", on " + machine.at("cpu_threads").dump() + " threads of " + textOr(machine.at("cpu"), "?");
  text += ", " + machine.at("date").get<std::string>().substr(0, 10) + ".\nCeilings:";
  const char* separator = " ";
  for (const auto& [name, ceiling] : machine.at("ceilings").items()) {
    if (!ceiling.at("value").is_number()) continue;
    text += separator + name + " " + brief(ceiling["value"].get<double>());
    text += " " + ceiling.at("unit").get<std::string>();
    separator = ", ";
  }
  text += ".";
  if (run_count > 1) {
    text += "\nThe rows come from " + std::to_string(run_count) + " runs; date and ceilings are the newest run's.\n" +
            "\"times fp32 weights\" and \"of limit\" compare a row with its own run.";
  }
  return text;
}

bool isProduct(const Json& row) { return row.contains("gflops") && row["gflops"].is_number(); }

// Products show their time and the speedup over dense fp32 weights.
std::string productsOf(const Json& run) {
  std::string lines;
  for (const Json& row : run.at("rows")) {
    if (!isProduct(row)) continue;
    const Json speedup = row.contains("speedup_over_f32") ? row["speedup_over_f32"] : Json();
    lines += "| " + row.at("op").get<std::string>() + " | " + row.at("type").get<std::string>();
    lines += " | " + sharingOf(row) + " | " + row.at("m").dump() + "x" + row.at("n").dump() + "x" + row.at("k").dump();
    lines += " | " + textOr(row.at("source"), "") + " | " + brief(row.at("median_us").get<double>() * 1e-3);
    lines += " | " + (speedup.is_number() ? brief(speedup.get<double>()) : std::string()) + " | ";
    if (row.at("ceiling_fraction").is_number()) {
      const double percent = row["ceiling_fraction"].get<double>() * 100;
      lines += number("%.0f %% of ", percent) + row.at("ceiling").get<std::string>();
    }
    lines += " |\n";
  }
  if (lines.empty()) return lines;
  return "| product | weights | scales per | MxNxK | activations | ms | times fp32 weights | of limit |\n"
         "|---|---|---|---|---|---:|---:|---:|\n" +
         lines;
}

std::string tableOf(const Json& run) {
  std::vector<Line> lines;
  for (const Json& row : run.at("rows")) {
    if (isProduct(row)) continue;
    Line line = lineOf(row);
    const std::optional<size_t> dense = denseOf(row);
    if (!dense) throw std::runtime_error("a row has no dense type: " + row.dump());
    Line* found = nullptr;
    for (Line& old : lines) {
      const bool same = old.op == line.op && old.type == line.type && old.sharing == line.sharing;
      if (same && old.shape == line.shape) found = &old;
    }
    if (found == nullptr) found = &lines.emplace_back(std::move(line));
    found->cell[*dense] = cellOf(row);
    if (row.at("instructions_per_element").is_number()) {
      found->instructions[*dense] = brief(row["instructions_per_element"].get<double>());
    }
  }
  if (lines.empty()) return "";
  std::string text = "| op | format | scales per | MxNxK |";
  for (const NibType type : kDenseTypes) text += std::string(" ") + typeName(type) + " |";
  text += " instructions per element |\n|---|---|---|---|---:|---:|---:|---:|\n";
  for (const Line& line : lines) {
    text += "| " + line.op + " | " + line.type + " | " + line.sharing + " | " + line.shape + " |";
    for (const std::string& cell : line.cell) text += " " + cell + " |";
    text += " " + joined(line.instructions) + " |\n";
  }
  return text;
}

}  // namespace

std::string markdownOf(const Json& run) {
  try {
    if (run.at("schema") != 1) throw std::runtime_error("schema " + run["schema"].dump() + ", 1 is known");
    const std::string ops = tableOf(run), products = productsOf(run);
    const size_t run_count = run.contains("runs") ? run["runs"].size() : 1;
    std::string text = machineText(run.at("machine"), run_count) + "\n\n" + ops;
    text += (ops.empty() || products.empty() ? "" : "\n") + products;
    const size_t skipped = run.at("skipped").size();
    if (skipped > 0) text += "\nRows not measured yet: " + std::to_string(skipped) + ".\n";
    return text;
  } catch (const Json::exception& error) {
    throw std::runtime_error(std::string("not a result of nibble bench --json: ") + error.what());
  }
}

}  // namespace nib::bench
