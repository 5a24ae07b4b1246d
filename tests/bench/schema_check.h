// The part of JSON Schema 2020-12 that bench/schema uses. An unknown keyword is an error, so that nothing in a schema
// goes unchecked.
#ifndef NIB_TESTS_SCHEMA_CHECK_H
#define NIB_TESTS_SCHEMA_CHECK_H

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace nib::test {

class SchemaCheck {
 public:
  using Json = nlohmann::ordered_json;
  explicit SchemaCheck(Json schema) : schema_(std::move(schema)) {}

  // Every violation as "path: problem".
  std::vector<std::string> violations(const Json& value) {
    found_.clear();
    check(schema_, value, "$");
    return found_;
  }

 private:
  static bool isType(const std::string& type, const Json& value) {
    if (type == "object") return value.is_object();
    if (type == "array") return value.is_array();
    if (type == "string") return value.is_string();
    if (type == "boolean") return value.is_boolean();
    if (type == "null") return value.is_null();
    if (type == "number") return value.is_number();
    if (type == "integer") return value.is_number_integer();
    return false;
  }

  void add(const std::string& path, const std::string& what) { found_.push_back(path + ": " + what); }

  void check(const Json& schema, const Json& value, const std::string& path) {
    if (schema.is_boolean()) {
      if (!schema.get<bool>()) add(path, "not allowed");
      return;
    }
    for (const auto& [keyword, rule] : schema.items()) checkKeyword(keyword, rule, schema, value, path);
  }

  void checkKeyword(const std::string& keyword, const Json& rule, const Json& schema, const Json& value,
                    const std::string& path) {
    if (keyword == "$schema" || keyword == "$id" || keyword == "$defs" || keyword == "title" ||
        keyword == "description") {
      return;
    }
    if (keyword == "$ref") {
      const std::string prefix = "#/$defs/";
      const std::string ref = rule.get<std::string>();
      if (ref.rfind(prefix, 0) != 0 || !schema_["$defs"].contains(ref.substr(prefix.size()))) {
        add(path, "unknown " + ref);
      } else {
        check(schema_["$defs"][ref.substr(prefix.size())], value, path);
      }
    } else if (keyword == "const") {
      if (value != rule) add(path, value.dump() + " is not " + rule.dump());
    } else if (keyword == "enum") {
      bool listed = false;
      for (const Json& item : rule) listed = listed || item == value;
      if (!listed) add(path, value.dump() + " is not one of " + rule.dump());
    } else if (keyword == "type") {
      bool fits = false;
      if (rule.is_string()) fits = isType(rule.get<std::string>(), value);
      if (rule.is_array()) {
        for (const Json& type : rule) fits = fits || isType(type.get<std::string>(), value);
      }
      if (!fits) add(path, value.dump() + " is not of type " + rule.dump());
    } else if (keyword == "minimum" || keyword == "maximum") {
      if (!value.is_number()) return;
      const double number = value.get<double>(), limit = rule.get<double>();
      if (keyword == "minimum" ? number < limit : number > limit) add(path, value.dump() + " breaks " + keyword);
    } else if (keyword == "items") {
      if (!value.is_array()) return;
      for (size_t i = 0; i < value.size(); ++i) check(rule, value[i], path + "[" + std::to_string(i) + "]");
    } else if (keyword == "required") {
      if (!value.is_object()) return;
      for (const Json& key : rule) {
        if (!value.contains(key.get<std::string>())) add(path, "no " + key.get<std::string>());
      }
    } else if (keyword == "properties") {
      if (!value.is_object()) return;
      for (const auto& [key, item] : rule.items()) {
        if (value.contains(key)) check(item, value[key], path + "." + key);
      }
    } else if (keyword == "additionalProperties") {
      if (!value.is_object()) return;
      for (const auto& [key, item] : value.items()) {
        if (!schema.contains("properties") || !schema["properties"].contains(key)) check(rule, item, path + "." + key);
      }
    } else {
      add(path, "the schema's keyword " + keyword + " is not known to this check");
    }
  }

  Json schema_;
  std::vector<std::string> found_;
};

}  // namespace nib::test
#endif
