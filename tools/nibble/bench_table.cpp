#include "bench_table.h"

namespace nib::tool {
namespace {

using Json = nlohmann::ordered_json;

std::string number(const char* format, double value) {
  char text[40];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

// About three significant digits, without an exponent for large values.
std::string brief(double value) {
  return number(value >= 100 ? "%.0f" : value >= 10 ? "%.1f" : value >= 0.1 ? "%.2f" : "%.3g", value);
}

std::string shapeText(const bench::RowNames& names) {
  return std::to_string(names.m) + "x" + std::to_string(names.n) + "x" + std::to_string(names.k);
}

std::string typesText(const bench::RowNames& names) {
  std::string text =
      names.source.empty() || names.source == names.type ? names.type : names.source + " -> " + names.type;
  return names.result.empty() ? text : text + " -> " + names.result;
}

}  // namespace

void printMachine(std::FILE* file, const bench::BenchResult& result) {
  const Json& machine = result.json["machine"];
  std::fprintf(file, "%s, %s\n", machine["device"].get<std::string>().c_str(),
               machine["driver"].get<std::string>().c_str());
  for (const auto& [name, ceiling] : machine["ceilings"].items()) {
    if (ceiling["value"].is_null()) {
      const bool failed = ceiling["reason"].is_null() || !ceiling["method"].is_null();
      std::fprintf(file, "  %-11s %s%s\n", name.c_str(), failed ? "FAILED: " : "none: ",
                   ceiling["reason"].is_null() ? "" : ceiling["reason"].get<std::string>().c_str());
      continue;
    }
    std::fprintf(file, "  %-11s %s %s  (%s)\n", name.c_str(), brief(ceiling["value"].get<double>()).c_str(),
                 ceiling["unit"].get<std::string>().c_str(), ceiling["method"].get<std::string>().c_str());
  }
  if (machine["empty_submit_us"].is_number()) {
    std::fprintf(
        file, "  an empty dispatch takes %s us, submitted and waited for %s us\n",
        machine["empty_dispatch_us"].is_number() ? brief(machine["empty_dispatch_us"].get<double>()).c_str() : "?",
        brief(machine["empty_submit_us"].get<double>()).c_str());
  }
  if (machine["load_average"].is_number() && machine["load_average"].get<double>() > 0.5) {
    std::fprintf(file, "  the machine was busy (load %s): absolute numbers are low\n",
                 brief(machine["load_average"].get<double>()).c_str());
  }
  std::fprintf(file, "\n");
}

void printRows(std::FILE* file, const bench::BenchResult& result) {
  Table table({"op", "types", "scales", "MxNxK", "median us", "p95 us", "reps", "GB/s", "GFLOPS", "of limit", "x f32",
               "Gelem/s", "clock", "path"},
              {false, false, false, false, true, true, true, true, true, true, true, true});
  for (const bench::RowReport& row : result.rows) {
    const bench::RowNames& names = row.names;
    const bench::Measurement& measured = row.measured;
    if (!measured.verified) {
      table.add({names.op, typesText(names), names.sharing(), shapeText(names), "FAILED", "", "", "", "", "", "", "",
                 "", row.path});
      continue;
    }
    table.add({names.op, typesText(names), names.sharing(), shapeText(names), brief(measured.us.median),
               brief(measured.us.p95), std::to_string(measured.repetitions), brief(row.gbps),
               row.multiply_adds > 0 ? brief(row.gflops) : "",
               row.fraction       ? number(*row.fraction < 0.1 ? "%.1f %%" : "%.0f %%", *row.fraction * 100)
               : row.beyond_cache ? "-"
                                  : "cached",
               row.speedup_over_f32 ? brief(*row.speedup_over_f32) : "",
               brief(double(names.m) * names.k / (measured.us.median * 1e-6) * 1e-9),
               measured.device_clock ? "timestamp" : "wall", row.path});
  }
  table.print(file);
}

void printComparison(std::FILE* file, const bench::Comparison& comparison) {
  std::fprintf(file, "\nold: %s\nnew: %s\n", comparison.old_device.c_str(), comparison.new_device.c_str());
  Table table({"row", "old us", "new us", "new/old", ""}, {false, true, true, true});
  for (const bench::Compared& row : comparison.rows) {
    table.add({row.name, brief(row.old_us), brief(row.new_us), number("%.2f", row.ratio),
               std::string(row.slower ? "SLOWER" : "") + (row.path_changed ? " other path" : "")});
  }
  table.print(file);
  for (const std::string& name : comparison.only_old) std::fprintf(file, "only in the old: %s\n", name.c_str());
  for (const std::string& name : comparison.only_new) std::fprintf(file, "only in the new: %s\n", name.c_str());
}

}  // namespace nib::tool
