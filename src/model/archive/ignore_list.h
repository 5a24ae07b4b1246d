// Lists of modules that loaders must leave dense, for the entries of config.json.
#ifndef NIB_MODEL_ARCHIVE_IGNORE_LIST_H
#define NIB_MODEL_ARCHIVE_IGNORE_LIST_H

#include "model/archive/container.h"

#include <string>
#include <vector>

namespace nib::model {

// For loaders that compare whole names, and match "re:PATTERN" from the start of a name: the names of the file, and
// patterns where a loader may use others.
std::vector<std::string> ignoreList(const ConfigFacts& facts);

// The pattern that matches a module under every name that loaders give it, and no other quantized module; its name
// where loaders use the file's.
std::string targetOf(const ConfigFacts& facts, const std::string& module);

// For loaders that compare beginnings and ends of names, and read them as patterns: no entry begins or ends the name of
// a quantized module.
std::vector<std::string> skipList(const ConfigFacts& facts);

}  // namespace nib::model
#endif
