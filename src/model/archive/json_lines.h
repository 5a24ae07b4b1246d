// Files of one JSON value a line (.jsonl).
#ifndef NIB_MODEL_ARCHIVE_JSON_LINES_H
#define NIB_MODEL_ARCHIVE_JSON_LINES_H

#include <functional>
#include <span>
#include <string>

namespace nib::model {

// Calls `visit` with each line that is not blank, and with its place for messages, "FILE: line 3". file: as messages
// name it. Throws if all lines are blank.
void forEachJsonLine(std::span<char> text, const std::string& file,
                     const std::function<void(std::span<char> line, const std::string& place)>& visit);

}  // namespace nib::model
#endif
