// Strings in JSON and in messages.
#include "model/archive/json_scanner.h"
#include "model_test.h"

namespace nib::model::test {
namespace {

std::string scan(const std::string& json) {
  std::vector<char> text(json.begin(), json.end());
  JsonScanner scanner(text, "f", "the text");
  return std::string(scanner.string("a string"));
}

TEST_CASE("every character survives writing and reading JSON") {
  std::string all;
  for (uint32_t code = 1; code < 0x110000; code += code < 0x3000 ? 1 : 97) {
    if (code >= 0xd800 && code < 0xe000) continue;
    char bytes[4];
    all.append(bytes, encodeUtf8(code, bytes));
  }
  CHECK(scan(jsonString(all)) == all);
  CHECK(jsonString("a\"\\\n\x01/\x7f") == "\"a\\\"\\\\\\n\\u0001/\x7f\"");
}

TEST_CASE("escapes follow RFC 8259") {
  CHECK(scan("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\ud834\\udd1e\"") ==
        "\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e");
}

TEST_CASE("nothing is read beyond the end of the text") {
  // The bytes that follow in memory would complete each of these.
  const std::string whole = "\"\\ud834\\udd1e\"";
  for (size_t size = 1; size < whole.size(); ++size) {
    std::string copy = whole;
    NIB_CHECK_ERROR("f: byte ", JsonScanner(std::span(copy).first(size), "f", "the text").string("a string"));
  }
  CHECK(scan(whole) == "\xf0\x9d\x84\x9e");
}

TEST_CASE("any JSON value is skipped to its end, and not beyond") {
  for (const std::string value : {"0", "-0", "12", "-1.5e+10", "1E5", "0.25", "true", "false", "null", "\"\\u00e9}\"",
                                  "[]", "{}", "[ 1 , [ ] , {\"a\" : [ null ] } ]"}) {
    std::string json = value + " ,";
    JsonScanner scanner(json, "f", "the text");
    scanner.skipValue();
    CHECK_MESSAGE(scanner.peek() == ',', value);
  }
  for (const std::string value : {"",     "01",    "+1",      ".5",         "1.",    "1e", "-", "tru", "nul", "'a'",
                                  "[1,]", "[1 2]", "{\"a\"}", "{\"a\":1,}", "{a:1}", "[",  "{", "\"",  "]",   "NaN"}) {
    std::string json = value;
    const std::string message = errorOf([&] {
      JsonScanner scanner(json, "f", "the text");
      scanner.skipValue();
      scanner.finish(true);
    });
    CHECK_MESSAGE(message != "", value);
  }
}

TEST_CASE("nesting is limited to 64") {
  const auto nested = [](size_t depth) {
    std::string json = std::string(depth, '[') + std::string(depth, ']');
    JsonScanner(json, "f", "the text").skipValue();
  };
  CHECK(errorOf([&] { nested(64); }) == "");
  NIB_CHECK_ERROR("nested too deep", nested(65));
  NIB_CHECK_ERROR("nested too deep", nested(10'000'000));
}

TEST_CASE("invalid and invisible characters are escaped in messages") {
  CHECK(quoteText("a b\xc3\xa9") == "\"a b\xc3\xa9\"");
  CHECK(quoteText("a\"\\") == "\"a\\\"\\\\\"");
  CHECK(quoteText("\n\x1b\x7f\xff") == "\"\\x0a\\x1b\\x7f\\xff\"");
  CHECK(quoteText("\xc2\x85\xe2\x80\xa8\xe2\x80\xae\xef\xbb\xbf") ==
        "\"\\xc2\\x85\\xe2\\x80\\xa8\\xe2\\x80\\xae\\xef\\xbb\\xbf\"");
  CHECK(quoteText(std::string(1000, 'x'), 10) == "\"xxxxxxxxxx...\"");
  CHECK(shown("/tmp/a\nb \"c\"") == "/tmp/a\\x0ab \"c\"");
}

TEST_CASE("invalid UTF-8 is detected") {
  // Examples of RFC 3629, and the limits of each length.
  for (const std::string good : {"", "a", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                                 "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    CHECK(findInvalidUtf8("x" + good + "y") == std::string::npos);
  }
  for (const std::string bad :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2y", "\xe0\x9f\xbf", "\xe1\x80", "\xed\xa0\x80",
        "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf0\x90\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
    CHECK(findInvalidUtf8("x" + bad) == 1);
    CHECK(findInvalidUtf8("x" + bad + "y") == 1);
  }
}

}  // namespace
}  // namespace nib::model::test
