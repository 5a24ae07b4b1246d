// Checks, before a verb starts its work, that its outputs can be written: never over an input, never into OUT, never
// two to one path. A verb names everything that it reads and writes, then calls check().
#ifndef NIB_TOOLS_PATH_CHECK_H
#define NIB_TOOLS_PATH_CHECK_H

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kit/destination.h"

namespace nib::tool {

class PathCheck {
 public:
  // force: existing files may be replaced, those that the run reads excepted.
  explicit PathCheck(bool force) : force_(force) {}

  // Whether a file of this name in a folder that is read belongs to the input.
  using Belongs = bool (*)(std::string_view name);
  // An input: a file, or the files of a folder that `belongs` names. One that does not exist is left to its reader.
  // option: as messages name it, "--data".
  void reads(const std::string& option, const std::string& path, Belongs belongs = nullptr);
  // A file that the run writes when its work is done.
  void writes(const std::string& option, const std::string& path);
  // A folder that appears when the work is done, OUT, and the names beside it that the work needs.
  void writesFolder(const std::string& option, const std::string& path);

  // Throws UsageError for a path that may not be written, and kit::Error for one that cannot be.
  void check() const;
  // Whether one of the files is stdout's descriptor, so that text must go elsewhere.
  bool takesStdout() const;

 private:
  struct Identity {
    unsigned long long device = 0, inode = 0;
    auto operator<=>(const Identity&) const = default;
  };
  struct Input {
    std::string text;  // "--data recordings/a.npy"
    std::filesystem::path path;
    Identity identity;
  };
  struct Folder {  // an input
    std::string text;
    std::filesystem::path path;
    Belongs belongs = nullptr;
  };
  struct Written {
    std::string text;  // "--json a.json"
    kit::detail::Destination destination;
  };

  static bool identify(const std::filesystem::path& path, Identity& identity);
  void addInput(const std::string& option, const std::filesystem::path& path);
  void checkDescriptor(const Written& written) const;
  void checkFile(const Written& written) const;
  void checkOut() const;
  void checkStandardStreams() const;
  const std::filesystem::path* outputWith(const std::filesystem::path& path) const;

  bool force_;
  std::vector<Input> inputs_;
  std::vector<Folder> folders_;
  std::vector<Written> written_;
  std::string out_text_;
  std::vector<std::filesystem::path> out_;  // OUT, and the names beside it
};

}  // namespace nib::tool
#endif
