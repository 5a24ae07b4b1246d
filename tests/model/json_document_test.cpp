// The reader of JSON documents: accepted input, and cost.
#include <doctest/doctest.h>

#include <chrono>

#include "model/archive/json_document.h"
#include "model_test.h"

using namespace nib::model;

namespace {

nlohmann::ordered_json read(const std::string& text) { return readJsonText(text, "f", "the text"); }

double secondsOf(const std::string& text) {
  const auto start = std::chrono::steady_clock::now();
  read(text);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// An object of that many keys, as deep as is allowed.
std::string manyKeys(size_t count) {
  std::string text;
  for (int i = 0; i < 60; ++i) text += "{\"a\":";
  text += "{";
  for (size_t i = 0; i < count; ++i) text += (i ? ",\"k" : "\"k") + std::to_string(i) + "\":{\"x\":[1,2]}";
  return text + std::string(61, '}');
}

}  // namespace

TEST_CASE("a JSON document is read as nlohmann's own parser reads it") {
  for (const char* text :
       {"{}", "[]", "null", "true", "false", "\"a\\u00e9\\ud83d\\ude00\\n\"", "0", "-0", "-1", "18446744073709551615",
        "-9223372036854775808", "18446744073709551616", "1.5", "-2e-7", "1e308", "[1,[2,{\"a\":[]}],\"x\"]",
        "{\"b\":1,\"a\":{\"c\":null},\"\":[true]}", " \n\t{ \"a\" : [ 1 , 2 ] } \r\n"}) {
    INFO(text);
    CHECK(read(text) == nlohmann::ordered_json::parse(text));
    CHECK(read(text).dump() == nlohmann::ordered_json::parse(text).dump());
  }
  CHECK(read("1e-400") == 0.0);
}

TEST_CASE("a JSON document that is broken, too deep or ambiguous is refused in one line") {
  const std::string deep(100'000, '[');
  for (const auto& [text, problem] : std::initializer_list<std::pair<std::string, const char*>>{
           {"", "expected"},
           {"{\"a\":1", "expected"},
           {"[1,]", "expected an element"},
           {"{\"a\":1}x", "text after the end"},
           {"{\"a\":1,\"b\":2,\"a\":3}", "the key \"a\" appears twice"},
           {"{\"a\":1,\"\\u0061\":3}", "the key \"a\" appears twice"},
           {"{\"x\":" + deep + std::string(100'000, ']') + ",\"y\":1}", "nested too deep"},
           {deep, "nested too deep"},
           {"{\"a\":1e400}", "beyond what a double holds"},
           {"{\"a\":\"\\u0000\"}", "U+0000"},
           {"\"\xff\"", "not UTF-8"},
           {"NaN", "expected"}}) {
    INFO(problem);
    NIB_CHECK_ERROR(problem, read(text));
  }
}

TEST_CASE("the cost of a JSON document is linear in its length") {
  secondsOf(manyKeys(1000));
  const double few = secondsOf(manyKeys(20'000)), many = secondsOf(manyKeys(160'000));
  // Eight times the text. Quadratic cost would be 64 times the time.
  CHECK(many < 30 * few + 0.1);
}
