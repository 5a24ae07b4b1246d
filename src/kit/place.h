// Where the bytes go that are written to a path.
#ifndef NIB_KIT_PLACE_H
#define NIB_KIT_PLACE_H

#include <filesystem>
#include <string>

namespace nib::kit::detail {

struct Place {
  enum class Kind {
    kFile,       // a regular file, or none yet: it is replaced by a rename
    kStream,     // a pipe or a device: it is opened and written to, never replaced
    kDescriptor  // an open file of this process (/dev/stdout, /dev/fd/63): written to where it stands
  };
  Kind kind = Kind::kFile;
  // Symbolic links are resolved, also in the name of a file that does not exist yet; so nothing replaces a link.
  std::filesystem::path path;
  int descriptor = -1;
};

// Throws if nothing can be written there: a folder, or links that never end.
Place placeOf(const std::filesystem::path& path);

// Throws if writing to the place is known to fail: there is no such folder, or no right to write there. Leaves nothing.
void tryPlace(const Place& place);

}  // namespace nib::kit::detail
#endif
