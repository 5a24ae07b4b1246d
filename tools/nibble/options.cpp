#include "options.h"

#include "kit/file.h"

#include <algorithm>
#include <filesystem>

namespace nib::tool {
namespace {

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace

// ---------------------------------------------------------------------------------------------- sizes
uint64_t parseSize(const std::string& option, const std::string& text) {
  size_t used = 0;
  double number = 0;
  try {
    number = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  const std::string unit = text.substr(used);
  const double factor = unit.empty() || unit == "B"   ? 1
                        : unit == "K" || unit == "KB" ? 1e3
                        : unit == "M" || unit == "MB" ? 1e6
                        : unit == "G" || unit == "GB" ? 1e9
                                                      : 0;
  if (used == 0 || factor == 0 || !(number * factor >= 1) || number * factor > 1e18) {
    throw UsageError(option + " " + text + ": expected a size such as 5G or 200M");
  }
  return uint64_t(number * factor);
}

// ---------------------------------------------------------------------------------------------- devices
void addDeviceOptions(CLI::App& app, DeviceArguments& arguments) {
  app.add_option("--device", arguments.device,
                 "index, part of a name, \"cpu\" or \"all\" (default: discrete > integrated > virtual > software; the "
                 "CPU if there is no Vulkan)")
      ->type_name("D");
  app.add_option("--profile", arguments.profile, "use no more than this device has (`nibble devices --profiles`)")
      ->type_name("ID");
  app.add_option("--device-memory", arguments.memory, "use no more of the device's memory: 500M, 2G, ...")
      ->type_name("SIZE");
  app.add_option("--tuning", arguments.tuning, "how products are cut here, as `nibble bench --tune` measured it")
      ->type_name("FILE");
}

kit::DeviceOptions deviceOptions(const DeviceArguments& arguments, bool verbose) {
  kit::DeviceOptions options;
  options.selector = lower(arguments.device) == "cpu" ? "cpu" : arguments.device;
  options.profile = arguments.profile;
  if (!arguments.memory.empty()) options.memory_bytes = parseSize("--device-memory", arguments.memory);
  if (!arguments.tuning.empty()) options.tuning = kit::loadTuning(arguments.tuning);
  // Errors become the exception's text.
  options.log = [verbose](NibSeverity severity, std::string_view text) {
    if (severity == NIB_SEVERITY_WARNING || (verbose && severity == NIB_SEVERITY_INFO)) {
      std::fprintf(stderr, "nibble: %.*s\n", static_cast<int>(text.size()), text.data());
    }
  };
  return options;
}

kit::Device openDevice(const DeviceArguments& arguments) {
  if (lower(arguments.device) == "all") throw UsageError("--device all: this verb works on one device");
  return kit::Device::open(deviceOptions(arguments));
}

std::vector<std::string> expandDevices(const DeviceArguments& arguments) {
  if (lower(arguments.device) != "all") return {arguments.device};
  std::vector<std::string> selectors;
  for (const kit::DeviceInfo& device : kit::listDevices()) {
    if (device.tier >= 0) selectors.push_back(std::to_string(device.index));
  }
  selectors.push_back("cpu");
  return selectors;
}

// ---------------------------------------------------------------------------------------------- types and ops
void addChoiceOptions(CLI::App& app, ChoiceArguments& arguments, const std::string& type_help,
                      const std::string& op_help) {
  const auto add = [&](const char* name, std::vector<std::string>& words, const std::string& help) {
    return app.add_option(name, words, help)->delimiter(',')->allow_extra_args(false);
  };
  add("--type", arguments.types, type_help)->type_name("T,...");
  add("--op", arguments.ops, op_help)->type_name("OP,...");
  // Names that earlier versions of selftest used.
  add("--types", arguments.types, "")->group("");
  add("--ops", arguments.ops, "")->group("");
}

std::vector<std::string> chosen(const std::string& option, const std::vector<std::string>& words,
                                const std::vector<std::string>& known) {
  std::vector<std::string> names;
  for (const std::string& word : words) {
    names.push_back(lower(word));
    if (std::find(known.begin(), known.end(), names.back()) == known.end()) {
      throw UsageError(option + " " + word + ": there is " + listed(known));
    }
  }
  return names;
}

std::string listed(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// ---------------------------------------------------------------------------------------------- output
void addJsonOptions(CLI::App& app, JsonArguments& arguments) {
  app.add_option("--json", arguments.target, "one JSON object on stdout (tables go to stderr), or in FILE")
      ->type_name("[=FILE]");
  app.add_flag("--force", arguments.force, "replace existing files");
}

std::vector<std::string> normalizeArguments(int argc, const char* const* argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  for (std::string& argument : arguments) {
    if (argument == "--") break;
    if (argument == "--json") argument = "--json=-";
  }
  return arguments;
}

Output::Output(const JsonArguments& arguments) : arguments_(arguments) {
  if (!wantsJson() || arguments_.target == "-" || arguments_.force) return;
  std::error_code error;
  if (std::filesystem::is_regular_file(arguments_.target, error)) {
    throw UsageError("--json=" + arguments_.target + " exists; --force replaces it");
  }
}

void Output::json(const nlohmann::ordered_json& object) const {
  if (!wantsJson()) return;
  // Names of devices and files may not be UTF-8. Invalid bytes are replaced, so that the report is still written.
  const std::string text = object.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  if (arguments_.target == "-") {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
      throw kit::Error("stdout: cannot be written");
    }
    return;
  }
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(arguments_.target, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    // Pipes and terminals are written to, not replaced.
    std::FILE* file = std::fopen(arguments_.target.c_str(), "wb");
    if (!file) throw kit::Error(arguments_.target + ": cannot be opened");
    const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
    if (std::fclose(file) != 0 || !written) throw kit::Error(arguments_.target + ": cannot be written");
    return;
  }
  kit::detail::writeFile(arguments_.target, std::as_bytes(std::span(text)));
}

Table::Table(std::vector<std::string> header, std::vector<bool> right) : right_(std::move(right)) {
  add(std::move(header));
}

void Table::add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

void Table::print(std::FILE* file) const {
  std::vector<size_t> width;
  for (const auto& row : rows_) {
    width.resize(std::max(width.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
  }
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string gap(width[i] - row[i].size(), ' ');
      const bool right = i < right_.size() && right_[i];
      line += (i ? "  " : "") + (right ? gap + row[i] : row[i] + gap);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    std::fprintf(file, "%s\n", line.c_str());
  }
}

std::string oneLine(std::string_view text) {
  std::string line(text.substr(0, text.find_last_not_of("\r\n ") + 1));
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

}  // namespace nib::tool
