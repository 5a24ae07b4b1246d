#include "options.h"

#include "default_device.h"
#include "process.h"

#include "kit/choose.h"
#include "kit/file.h"

#include <algorithm>
#include <charconv>

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
  // Digits and a point: no blank, sign or exponent, nor 0x, inf and nan.
  const size_t used = std::min(text.find_first_not_of("0123456789."), text.size());
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + used, number, std::chars_format::fixed);
  const bool valid = error == std::errc() && end == text.data() + used;
  const std::string unit = text.substr(used);
  const double factor = unit.empty() || unit == "B"   ? 1
                        : unit == "K" || unit == "KB" ? 1e3
                        : unit == "M" || unit == "MB" ? 1e6
                        : unit == "G" || unit == "GB" ? 1e9
                                                      : 0;
  if (!valid || factor == 0 || !(number * factor >= 1) || number * factor > 1e18) {
    throw UsageError(option + " " + text + ": expected a size such as 5G or 200M");
  }
  return uint64_t(number * factor);
}

// ---------------------------------------------------------------------------------------------- devices
void addDeviceOptions(CLI::App& app, DeviceArguments& arguments) {
  app.add_option(
         "--device", arguments.device,
         "index, part of a name, \"cpu\" or \"all\" (default: $NIBBLE_DEVICE, or discrete > integrated > virtual "
         "> the CPU or a software driver, whichever is faster: `nibble devices` says which)")
      ->type_name("D");
  app.add_option("--profile", arguments.profile,
                 "limit features and limits to those of this device (`nibble devices --profiles`)")
      ->type_name("ID");
  app.add_option("--device-memory", arguments.memory, "use at most this much of the device's memory: 500M, 2G, ...")
      ->type_name("SIZE");
  app.add_option("--tuning", arguments.tuning, "tiling of products for this device, from `nibble bench --tune`")
      ->type_name("FILE");
}

kit::DeviceOptions deviceOptions(const DeviceArguments& arguments, bool verbose) {
  kit::DeviceOptions options;
  options.selector = lower(arguments.device) == "cpu" ? "cpu" : arguments.device;
  // Profiles and tunings are of Vulkan devices.
  if (options.selector.empty() && arguments.profile.empty() && arguments.tuning.empty()) {
    options.selector = defaultDevice(kit::detail::listUnopened()).selector;
  }
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

void readsDevice(PathCheck& paths, const DeviceArguments& arguments) { paths.reads("--tuning", arguments.tuning); }

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
    // CLI11 would take the next word for this, too.
    if (argument.starts_with("--") && argument.find('=') == argument.size() - 1) {
      throw UsageError(argument + " expected a value after =");
    }
  }
  return arguments;
}

Output::Output(const JsonArguments& arguments, PathCheck paths) : target_(arguments.target) {
  if (target_ != "-") {
    paths.writes("--json=", target_);
  } else if (stdoutWasClosed()) {
    throw UsageError("--json: stdout is closed; --json=FILE writes to a file");
  }
  paths.check();
  if (target_ == "-" || paths.takesStdout()) text_ = stderr;
  is_file_ = wantsJson() && target_ != "-" &&
             kit::detail::destinationOf(target_).kind == kit::detail::Destination::Kind::kFile;
}

void Output::json(const nlohmann::ordered_json& object) const {
  if (!wantsJson()) return;
  // Names of devices and files may not be UTF-8. Invalid bytes are replaced, so that the report is still written.
  const std::string text = object.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  if (target_ != "-") return kit::detail::writeFile(target_, std::as_bytes(std::span(text)));
  std::fwrite(text.data(), 1, text.size(), stdout);
  const std::string problem = flushStdout();
  if (!problem.empty()) throw kit::Error(problem);
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
