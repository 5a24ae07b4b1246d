#include <cstdio>
#include <cstdlib>

#include "model/archive/utf8.h"
#include "readers.h"

namespace nib::fuzz {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: %s\n", what);
  std::abort();
}

void requireLine(std::string_view message) {
  require(!message.empty() && message.size() < 2000, "an empty or a long message");
  require(model::findInvalidUtf8(message) == std::string_view::npos, "a message that is not UTF-8");
  for (const char c : message)
    require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f, "a message with control characters");
}

}  // namespace nib::fuzz
