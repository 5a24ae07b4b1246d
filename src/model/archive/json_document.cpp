#include "model/archive/json_document.h"

#include "model/archive/error.h"
#include "model/archive/json_scanner.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>

namespace nib::model {
namespace {

using Json = nlohmann::ordered_json;

class Reader {
 public:
  Reader(std::span<char> text, const std::string& where, const std::string& what, JsonNumbers numbers)
      : text_(text.data()), scanner_(text, where, what), numbers_(numbers) {
    if (numbers != JsonNumbers::kStrict) scanner_.acceptPythonNumbers();
  }

  Json document() {
    Json json = value();
    scanner_.finish(true);
    return json;
  }

 private:
  // The scanner limits the depth.
  Json value() {
    switch (scanner_.peek()) {
      case '{': return object();
      case '[': return array();
      case '"': return std::string(scanner_.string("a value"));
      case 't': scanner_.skipValue(); return true;
      case 'f': scanner_.skipValue(); return false;
      case 'n': scanner_.skipValue(); return nullptr;
      default: return number();
    }
  }

  Json object() {
    std::vector<std::pair<std::string, Json>> members;
    std::vector<std::string_view> keys;
    std::string_view key;
    for (bool first = true; scanner_.nextKey(first, key);) {
      keys.push_back(key);
      members.emplace_back(std::string(key), Json());
      members.back().second = value();
    }
    // Sorted, because an attacker can choose keys that a hash table finds slowly.
    std::sort(keys.begin(), keys.end());
    const auto twice = std::adjacent_find(keys.begin(), keys.end());
    if (twice != keys.end()) scanner_.fail("the key " + quoteText(*twice) + " appears twice in an object before here");
    return jsonObject(std::move(members));
  }

  Json array() {
    Json json = Json::array();
    Json::array_t& list = json.get_ref<Json::array_t&>();
    for (bool first = true; scanner_.nextElement(first);) list.push_back(value());
    return json;
  }

  // Small whole numbers as such, because a binary value takes more memory.
  static Json numberText(std::string_view text) {
    uint64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, value);
    if (read.ec == std::errc() && read.ptr == end) return value;
    return Json::binary(std::vector<uint8_t>(text.begin(), text.end()));
  }

  // Whole numbers as such, as far as 64 bits hold them; other numbers as doubles.
  Json number() {
    const size_t at = scanner_.position();
    scanner_.skipValue();
    const char* const begin = text_ + at;
    const char* const end = text_ + scanner_.position();
    if (numbers_ == JsonNumbers::kText) return numberText({begin, end});
    if (*begin == 'N') return std::numeric_limits<double>::quiet_NaN();
    if (std::find_if(begin, end, [](char c) { return c == '.' || c == 'e' || c == 'E'; }) == end) {
      uint64_t positive = 0;
      int64_t negative = 0;
      if (*begin != '-' && std::from_chars(begin, end, positive).ec == std::errc()) return positive;
      if (*begin == '-' && std::from_chars(begin, end, negative).ec == std::errc()) return negative;
    }
    double value = 0;
    // from_chars does not tell a number that is too large from one that is nearly zero.
    if (std::from_chars(begin, end, value).ec != std::errc())
      value = std::strtod(std::string(begin, end).c_str(), nullptr);
    if (numbers_ == JsonNumbers::kStrict && !std::isfinite(value)) scanner_.fail("a number beyond what a double holds");
    return value;
  }

  const char* text_;
  JsonScanner scanner_;
  JsonNumbers numbers_;
};

void write(const Json& json, const std::string& indent, std::string& text) {
  const std::string inner = indent + "  ";
  if (json.is_binary()) {
    text.append(json.get_binary().begin(), json.get_binary().end());
  } else if (!json.is_structured() || json.empty()) {
    text += json.dump(-1, ' ', false, Json::error_handler_t::replace);
  } else {
    text += json.is_object() ? '{' : '[';
    for (auto member = json.begin(); member != json.end(); ++member) {
      text += (member == json.begin() ? "\n" : ",\n") + inner;
      if (json.is_object()) text += Json(member.key()).dump(-1, ' ', false, Json::error_handler_t::replace) + ": ";
      write(*member, inner, text);
    }
    text += '\n' + indent + (json.is_object() ? '}' : ']');
  }
}

}  // namespace

Json readJson(std::span<char> text, const std::string& where, const std::string& what, JsonNumbers numbers) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  if (std::string_view(text.data(), text.size()).starts_with(kMark)) {
    throw Error((where.empty() ? what : where) +
                ": starts with a byte-order mark, which JSON does not allow: remove it");
  }
  return Reader(text, where, what, numbers).document();
}

Json readJsonText(std::string_view text, const std::string& where, const std::string& what, JsonNumbers numbers) {
  std::string copy(text);
  return readJson(copy, where, what, numbers);
}

std::string writeJson(const Json& json) {
  std::string text;
  write(json, "", text);
  return text;
}

Json jsonObject(std::vector<std::pair<std::string, Json>> members) {
  Json json = Json::object();
  // Reserved, because an ordered_json copies its members when it grows.
  std::vector<Json::object_t::value_type>& list = json.get_ref<Json::object_t&>();
  list.reserve(members.size());
  for (auto& [key, value] : members) list.emplace_back(std::move(key), std::move(value));
  return json;
}

}  // namespace nib::model
