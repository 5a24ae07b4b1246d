#include "model/archive/json_lines.h"

#include "model/archive/error.h"

#include <algorithm>
#include <cstdint>

namespace nib::model {

void forEachJsonLine(std::span<char> text, const std::string& file,
                     const std::function<void(std::span<char> line, const std::string& place)>& visit) {
  uint64_t number = 0;
  bool any = false;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = size_t(std::find(text.begin() + ptrdiff_t(begin), text.end(), '\n') - text.begin());
    const std::span<char> line = text.subspan(begin, end - begin);
    begin = end + 1;
    ++number;
    if (std::all_of(line.begin(), line.end(), [](char c) { return c == ' ' || c == '\t' || c == '\r'; })) continue;
    any = true;
    visit(line, file + ": line " + std::to_string(number));
  }
  if (!any) throw Error(file + ": has no lines");
}

}  // namespace nib::model
