// Options that verbs share, and what is said about them once: devices, profiles, JSON.
#ifndef NIB_TOOLS_OPTIONS_H
#define NIB_TOOLS_OPTIONS_H

#include <nibble/kit.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <cstdio>

namespace nib::tool {

// Reported with exit code 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// ---------------------------------------------------------------------------------------------- devices
struct DeviceArguments {
  std::string device;  // "" = not given
  std::string profile;
  std::string tuning;  // a file's name
};

// --device, --profile and --tuning.
void addDeviceOptions(CLI::App& app, DeviceArguments& arguments);

// Options for Device::open; lines of nibble and of the layer go to stderr, information only with `verbose`.
kit::DeviceOptions deviceOptions(const DeviceArguments& arguments, bool verbose = false);

// The one device asked for. "all" is a usage error.
kit::Device openDevice(const DeviceArguments& arguments);

// The selectors of all that was asked for: "all" = every usable Vulkan device, then the CPU; "" = the default device.
std::vector<std::string> expandDevices(const DeviceArguments& arguments);

// ---------------------------------------------------------------------------------------------- types and ops
struct ChoiceArguments {
  std::vector<std::string> types, ops;  // none = all
};

// --type and --op, comma lists.
void addChoiceOptions(CLI::App& app, ChoiceArguments& arguments, const std::string& type_help,
                      const std::string& op_help);

// The words in lower case. Throws UsageError for one that is none of `known`, with what there is.
std::vector<std::string> chosen(const std::string& option, const std::vector<std::string>& words,
                                const std::vector<std::string>& known);

// "a, b, c".
std::string listed(const std::vector<std::string>& words);

// ---------------------------------------------------------------------------------------------- output
struct JsonArguments {
  std::string target;  // "" = none, "-" = stdout
  bool force = false;
};

// --json[=FILE] and --force.
void addJsonOptions(CLI::App& app, JsonArguments& arguments);

// CLI11 would take the next word for the value of a bare --json: gives it its value.
std::vector<std::string> normalizeArguments(int argc, const char* const* argv);

// Where a verb writes: with --json stdout holds the object alone, and text goes to stderr.
class Output {
 public:
  // Throws UsageError if the file exists and may not be replaced: before the work, not after it.
  explicit Output(const JsonArguments& arguments);
  bool wantsJson() const { return !arguments_.target.empty(); }
  std::FILE* text() const { return arguments_.target == "-" ? stderr : stdout; }
  // Writes the object, if it was asked for. Throws.
  void json(const nlohmann::ordered_json& object) const;

 private:
  JsonArguments arguments_;
};

// Columns as wide as their widest cell; numbers to the right if `right` says so.
class Table {
 public:
  explicit Table(std::vector<std::string> header, std::vector<bool> right = {});
  void add(std::vector<std::string> row);
  void print(std::FILE* file) const;

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<bool> right_;
};

// "a: b\nc" -> one line.
std::string oneLine(std::string_view text);

}  // namespace nib::tool
#endif
