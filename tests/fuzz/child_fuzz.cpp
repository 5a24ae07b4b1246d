#include <string>

#include "readers.h"
#include "verify.h"

namespace nib::fuzz {

// Lines of a child, and how it ended by the last byte. line() throws nothing.
void child(Input input) {
  tool::VerifyReader reader;
  for (size_t at = 0; at < input.size();) {
    const size_t end = std::min(input.find('\n', at), input.size());
    if (reader.line(std::string(input.substr(at, end - at))) == tool::LineReply::kStop) break;
    at = end + 1;
  }
  const bool exited = !input.empty() && input.back() % 2 == 0;
  reader.ended({exited ? tool::ChildEnd::Kind::kExited : tool::ChildEnd::Kind::kSignalled, exited ? 0 : 11});
  for (const std::string& problem : reader.report().problems) require(!problem.empty(), "a problem without words");
}

}  // namespace nib::fuzz
