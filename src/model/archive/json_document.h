// Reads untrusted JSON into a document of nlohmann's library. One reader serves every file: nesting is limited, and the
// cost is linear in the text. nlohmann's own parser copies the members of an object as it grows, and looks at all of
// them for each new key.
#ifndef NIB_MODEL_ARCHIVE_JSON_DOCUMENT_H
#define NIB_MODEL_ARCHIVE_JSON_DOCUMENT_H

#include <nlohmann/json.hpp>

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nib::model {

// How numbers are read. The last two take what Python's json module writes: NaN, Infinity, -Infinity, integers of any
// size, and numbers beyond what a double holds, which are infinite.
enum class JsonNumbers {
  kStrict,
  kPython,
  kText  // as their text in a binary value, which writeJson() writes unchanged
};

// The rules are those of JsonScanner, and no object may have a key twice. `text` is overwritten. `where` begins the
// message of an Error, and `what` names the text: "WHERE: byte 12 of WHAT: ...".
nlohmann::ordered_json readJson(std::span<char> text, const std::string& where, const std::string& what = "the file",
                                JsonNumbers numbers = JsonNumbers::kStrict);
// The same, of a copy.
nlohmann::ordered_json readJsonText(std::string_view text, const std::string& where,
                                    const std::string& what = "the text", JsonNumbers numbers = JsonNumbers::kStrict);

// The document as dump(2) writes it.
std::string writeJson(const nlohmann::ordered_json& json);

// An object of these members, whose keys are known to differ. json[key] = value would look at all before it.
nlohmann::ordered_json jsonObject(std::vector<std::pair<std::string, nlohmann::ordered_json>> members);

}  // namespace nib::model
#endif
