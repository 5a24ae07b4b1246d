// Options that verbs share: devices, profiles, types, ops, JSON.
#ifndef NIB_TOOLS_OPTIONS_H
#define NIB_TOOLS_OPTIONS_H

#include <nibble/kit.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <cstdio>

#include "path_check.h"

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
  std::string memory;  // "" = all
  std::string tuning;  // a file's name
};

// Parses "5G", "200M". Units are decimal, as on the Hugging Face hub. `option` begins the message of UsageError.
uint64_t parseSize(const std::string& option, const std::string& text);

// --device, --profile, --device-memory and --tuning.
void addDeviceOptions(CLI::App& app, DeviceArguments& arguments);

// Options for Device::open. Messages of nibble and of the validation layer go to stderr; information only if `verbose`.
kit::DeviceOptions deviceOptions(const DeviceArguments& arguments, bool verbose = false);

// Names the files of these options, so that nothing replaces them.
void readsDevice(PathCheck& paths, const DeviceArguments& arguments);

// Opens the requested device. "all" is a usage error.
kit::Device openDevice(const DeviceArguments& arguments);

// The selectors of all requested devices: "all" = every usable Vulkan device, then the CPU; "" = the default device.
std::vector<std::string> expandDevices(const DeviceArguments& arguments);

// ---------------------------------------------------------------------------------------------- types and ops
struct ChoiceArguments {
  std::vector<std::string> types, ops;  // none = all
};

// --type and --op, comma lists.
void addChoiceOptions(CLI::App& app, ChoiceArguments& arguments, const std::string& type_help,
                      const std::string& op_help);

// Returns the words in lower case. Throws UsageError, with a list of `known`, for a word that is not in it.
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

// Replaces a bare --json by --json=-, because CLI11 would take the next word as its value.
std::vector<std::string> normalizeArguments(int argc, const char* const* argv);

// The outputs of a verb. If an object or a file goes to stdout, text goes to stderr.
class Output {
 public:
  // paths: everything that the verb reads, and its outputs besides --json. Throws, before the work starts, if one of
  // them may not or cannot be written.
  Output(const JsonArguments& arguments, PathCheck paths);
  explicit Output(const JsonArguments& arguments) : Output(arguments, PathCheck(arguments.force)) {}
  bool wantsJson() const { return !target_.empty(); }
  // Whether --json names a file that a rename replaces, so that writing it again and again costs nothing but time.
  bool wantsJsonFile() const { return is_file_; }
  std::FILE* text() const { return text_; }
  // Writes the object if --json was given. Throws.
  void json(const nlohmann::ordered_json& object) const;

 private:
  std::string target_;
  std::FILE* text_ = stdout;
  bool is_file_ = false;
};

// A text table. Columns are as wide as their widest cell, and right-aligned if `right` is set.
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
