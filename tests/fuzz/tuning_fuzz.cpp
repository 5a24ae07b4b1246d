#include <nibble/formats.h>

#include <string>

#include "kit/tuning.h"
#include "readers.h"

namespace nib::fuzz {

void tuning(Input input) {
  try {
    for (const NibTuning& line : kit::detail::parseTuning(input, "f")) {
      require(kit::tunableName(line.tunable) != nullptr, "a tunable without a name");
      require(line.format == 0 || nibFormatById(line.format) != nullptr, "a format without a name");
    }
  } catch (const kit::Error& error) {
    require(std::string_view(error.what()).find('\n') == std::string_view::npos, "a message of two lines");
  }
}

}  // namespace nib::fuzz
