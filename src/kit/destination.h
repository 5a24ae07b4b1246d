// Resolves a path to the file, device or open descriptor that its bytes go to.
#ifndef NIB_KIT_DESTINATION_H
#define NIB_KIT_DESTINATION_H

#include <filesystem>
#include <string>

namespace nib::kit::detail {

struct Destination {
  enum class Kind {
    kFile,       // a regular file, or none yet: it is replaced by a rename
    kStream,     // a pipe or a device: it is opened and written to, never replaced
    kDescriptor  // an open file of this process (/dev/stdout, /dev/fd/63): written to at its current position
  };
  Kind kind = Kind::kFile;
  // Symbolic links are resolved, also in the name of a file that does not exist yet; so nothing replaces a link.
  std::filesystem::path path;
  int descriptor = -1;
};

// Throws if nothing can be written there: a folder, or too many links.
Destination destinationOf(const std::filesystem::path& path);

// Throws if writing to the destination is known to fail: there is no such folder, or no permission. Leaves no file.
void checkWritable(const Destination& destination);

}  // namespace nib::kit::detail
#endif
