#include "selftest/cells.h"

#include <algorithm>
#include <map>
#include <sstream>
#include <stdexcept>
#include <tuple>

#include "base/names.h"
#include "formats/format.h"
#include "plan/kernel_table.h"
#include "selftest/op_cases.h"

namespace nib::selftest {
namespace {

std::string joined(const std::vector<std::string>& kernels) {
  std::string text;
  for (const std::string& kernel : kernels) text += (text.empty() ? "" : "+") + kernel;
  return text;
}

Cell& cellOf(std::vector<Cell>& cells, const Cell& key) {
  for (Cell& cell : cells) {
    if (cell.sameAs(key)) return cell;
  }
  cells.push_back(key);
  return cells.back();
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// Runs the cases on one device and adds the results to the cells.
void runOn(const kit::Device& device, const std::string& profile, const SelftestOptions& options,
           std::vector<Cell>& cells) {
  const uint32_t size = options.emulated_subgroup != 0 ? options.emulated_subgroup : device.info().subgroup_size;
  for (const OpFormat& what : opFormats()) {
    if (!options.wantsOp(opName(what.op)) || !options.wantsType(what.format)) continue;
    for (const Case& c : thinned(casesOf(NibOp(what.op), what.format, options.extent), options.every)) {
      Outcome outcome;
      if (options.plan_only) {
        outcome.kernels = planOf(device, c).kernels();
        outcome.passed = true;
      } else {
        outcome = runCase(device, c);
      }
      Cell key;
      key.op = opName(what.op);
      key.type = what.format != 0 ? nibFormatById(what.format)->name : "-";
      key.path = joined(outcome.kernels);
      key.profile = profile;
      key.subgroup = key.path.find("_subgroup") != std::string::npos ? std::to_string(size) : "-";
      Cell& cell = cellOf(cells, key);
      if (!options.plan_only) ++cell.ran;
      cell.bound_ratio = std::max(cell.bound_ratio, outcome.bound_ratio);
      if (!outcome.passed) {
        ++cell.failed;
        if (cell.first_failure.empty()) cell.first_failure = c.name() + ": " + outcome.message;
      }
    }
  }
}

// The requested ops that have no case in this build.
void addUntested(const std::string& profile, const SelftestOptions& options, std::vector<Cell>& cells) {
  const std::vector<OpFormat> tested = opFormats();
  for (uint32_t i = 0; const CasesRow* row = casesAt(i); ++i) {
    const auto isOp = [&](const OpFormat& what) { return what.op == row->op; };
    if (!options.wantsOp(opName(row->op)) || std::any_of(tested.begin(), tested.end(), isOp)) continue;
    Cell cell;
    cell.op = opName(row->op);
    cell.type = cell.path = cell.subgroup = "-";
    cell.profile = profile;
    cell.skipped = "every case needs a format that this build lacks";
    cells.push_back(cell);
  }
}

#if !defined(NIB_NO_VULKAN)
// The feature that the fewest devices have.
const char* rarestName(uint32_t features) {
  for (const uint32_t feature : {NIB_FEATURE_COOPMAT, NIB_FEATURE_DOT4, NIB_FEATURE_F16, NIB_FEATURE_STORAGE16}) {
    if (features & feature) return featureName(feature);
  }
  return featureName(NIB_FEATURE_SUBGROUP);
}

// Kernels are named after their op; those that several ops share belong to no op.
bool bearsName(const std::string& kernel, const std::vector<std::string>& ops) {
  return std::any_of(ops.begin(), ops.end(),
                     [&](const std::string& op) { return kernel == op || kernel.rfind(op + "_", 0) == 0; });
}

// The requested kernels of this build that ran in no cell.
void addUnused(const kit::Device& device, const std::string& profile, const SelftestOptions& options,
               std::vector<Cell>& cells) {
  for (uint32_t i = 0; i < kKernelCount; ++i) {
    const KernelRow& row = kKernelTable[i];
    const std::string module = row.module;
    if (module.rfind("peak_", 0) == 0) continue;  // ceilings, which bench checks
    if (!options.wantsType(row.format) || (!options.ops.empty() && !bearsName(row.name, options.ops))) continue;
    bool used = false;
    for (const Cell& cell : cells) used = used || ("+" + cell.path + "+").find("+" + module + "+") != std::string::npos;
    if (used) continue;
    const NibFormatInfo* info = row.format != 0 ? nibFormatById(row.format) : nullptr;
    Cell cell;
    cell.op = row.name;
    cell.type = info != nullptr ? info->name : "-";
    cell.path = module;
    cell.profile = profile;
    cell.subgroup = "-";
    const uint32_t lacking = row.features & ~device.info().features;
    cell.skipped = row.spirv_words == 0 ? "not built: no compiler for it"
                   : lacking != 0       ? std::string("the device or profile has no ") + rarestName(lacking)
                                        : "no case takes it on this device";
    cells.push_back(cell);
  }
}
#endif

}  // namespace

bool SelftestOptions::wantsOp(const std::string& name) const {
  return ops.empty() || std::find(ops.begin(), ops.end(), name) != ops.end();
}

bool SelftestOptions::wantsType(uint32_t format) const {
  return types.empty() || format == 0 ||
         std::find(types.begin(), types.end(), nibFormatById(format)->name) != types.end();
}

std::vector<Cell> runSelftest(const kit::DeviceOptions& device_options, const SelftestOptions& options) {
  const std::string profile = device_options.profile.empty() ? "none" : device_options.profile;
  std::vector<Cell> cells;
  const kit::Device device = kit::Device::open(device_options);
  runOn(device, profile, options, cells);
  addUntested(profile, options, cells);
#if !defined(NIB_NO_VULKAN)
  if (!device.isCpu()) {
    // The guaranteed minimum's kernels, on the same device.
    if (device.info().features != 0) {
      NibRestrict restriction{sizeof(NibRestrict)};
      if (!device_options.profile.empty()) restriction = kit::profileRestrict(device_options.profile);
      restriction.features_mask = 0;
      runOn(device.restricted(restriction), profile, options, cells);
    }
    addUnused(device, profile, options, cells);
  }
#endif
  return cells;
}

void mergeCells(std::vector<Cell>& cells, const std::vector<Cell>& more) {
  // An index, because files may have any number of cells.
  const auto key = [](const Cell& c) { return std::tie(c.op, c.type, c.path, c.profile, c.subgroup); };
  using Key = std::tuple<std::string, std::string, std::string, std::string, std::string>;
  std::map<Key, size_t> index;
  for (size_t i = 0; i < cells.size(); ++i) index.emplace(key(cells[i]), i);
  for (const Cell& cell : more) {
    const auto [at, is_new] = index.emplace(key(cell), cells.size());
    if (is_new) {
      cells.push_back(cell);
      cells.back().ran = cells.back().failed = 0;
    }
    Cell& into = cells[at->second];
    into.ran += cell.ran;
    into.failed += cell.failed;
    into.bound_ratio = std::max(into.bound_ratio, cell.bound_ratio);
    if (cell.ran > 0) into.skipped.clear();
    if (into.first_failure.empty()) into.first_failure = cell.first_failure;
  }
}

std::vector<Cell> parseMatrix(const std::string& text) {
  std::vector<Cell> cells;
  std::istringstream lines(text);
  std::string line;
  for (uint32_t number = 1; std::getline(lines, line); ++number) {
    line = line.substr(0, line.find('#'));
    std::istringstream words(line);
    Cell cell;
    if (!(words >> cell.op)) continue;
    std::string rest;
    if (!(words >> cell.type >> cell.path >> cell.profile >> cell.subgroup) || words >> rest) {
      throw std::runtime_error("line " + std::to_string(number) +
                               " of the matrix needs: op type path profile subgroup");
    }
    const std::string type = cell.type, path = cell.path;
    if (type != "*" && !isFormatKind(type.c_str())) {
      cell.path = replaced(path, "{type}", cell.type);
      cells.push_back(cell);
      continue;
    }
    for (uint32_t f = 0; const NibFormatInfo* info = nibFormatAt(f); ++f) {
      if (type != "*" && type != formatKind(info->format)) continue;
      cell.type = info->name;
      cell.path = replaced(path, "{type}", cell.type);
      cells.push_back(cell);
    }
  }
  return cells;
}

std::vector<std::string> missingCells(const std::vector<Cell>& expected, const std::vector<Cell>& ran) {
  std::vector<std::string> lines;
  for (const Cell& e : expected) {
    const std::string name = e.op + " " + e.type + " " + e.path + " " + e.profile + " " + e.subgroup;
    const Cell* found = nullptr;
    for (const Cell& r : ran) {
      if (r.sameAs(e)) found = &r;
    }
    if (found == nullptr || found->ran == 0) {
      lines.push_back(name + ": did not run" +
                      (found != nullptr && !found->skipped.empty() ? " (" + found->skipped + ")" : ""));
    } else if (found->failed != 0) {
      lines.push_back(name + ": " + std::to_string(found->failed) + " of " + std::to_string(found->ran) +
                      " cases failed: " + found->first_failure);
    }
  }
  // Ops and types that no line of the matrix requires.
  for (const OpFormat& what : opFormats()) {
    const std::string type = what.format != 0 ? nibFormatById(what.format)->name : "-";
    const bool there = std::any_of(ran.begin(), ran.end(), [&](const Cell& cell) {
      return cell.op == opName(what.op) && cell.type == type && cell.ran > 0;
    });
    if (!there) lines.push_back(std::string(opName(what.op)) + " " + type + ": no cell of it ran");
  }
  return lines;
}

}  // namespace nib::selftest
