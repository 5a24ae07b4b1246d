// Every rule of the safetensors format, broken once. Each broken file has a valid counterpart that differs only in the
// rule.
#include "model/archive/safetensors_header.h"
#include "model_test.h"

namespace nib::model::test {
namespace {

SafetensorsHeader parse(const std::string& file) { return SafetensorsHeader::parse(bytesOf(file), "some.safetensors"); }

struct Rule {
  const char* name;
  std::string broken;
  std::string valid;
  const char* says;  // part of the message
};

// {"a":{"dtype":DTYPE,"shape":SHAPE,"data_offsets":OFFSETS}}
std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets,
                const std::string& name = "a") {
  return "{\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}";
}

std::string entry(const std::string& name, int begin, int end) {
  return "\"" + name + "\":{\"dtype\":\"U8\",\"shape\":[" + std::to_string(end - begin) + "],\"data_offsets\":[" +
         std::to_string(begin) + "," + std::to_string(end) + "]}";
}

std::string withSize(uint64_t size, const std::string& json, size_t data_bytes) {
  std::string file = fileOf(json, data_bytes);
  for (size_t i = 0; i < 8; ++i) file[i] = static_cast<char>(size >> (8 * i));
  return file;
}

std::string many(const std::string& text, size_t count, const std::string& separator = "") {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += (i == 0 ? "" : separator) + text;
  return out;
}

std::string wide(size_t rank) { return fileOf(one("U8", "[" + many("1", rank, ",") + "]", "[0,1]"), 1); }

std::string metadata(const std::string& text) { return "{\"__metadata__\":" + text + "," + entry("a", 0, 1) + "}"; }

std::vector<Rule> rules() {
  const std::string good = one("U8", "[2,2]", "[0,4]");
  const std::string two = "{" + entry("a", 0, 2) + "," + entry("b", 2, 4) + "}";
  const auto pair = [](int b0, int e0, int b1, int e1) {
    return fileOf("{" + entry("a", b0, e0) + "," + entry("b", b1, e1) + "}", 4);
  };
  const auto file = [](const std::string& json, size_t bytes = 1) { return fileOf(json, bytes); };
  return {
      // The eight bytes of the length
      {"an empty file", "", fileOf("{}"), "has 0 bytes"},
      {"seven bytes", std::string(7, '\0'), fileOf("{}"), "has 7 bytes"},
      {"a header of no bytes", std::string(8, '\0'), fileOf("{}"), "begins with '{'"},
      {"a header longer than the file", withSize(good.size() + 5, good, 4), fileOf(good, 4), "the file ends after"},
      {"a header of 100000001 bytes", withSize(100'000'001, good, 4), fileOf(good, 4),
       "100000001 bytes, safetensors allows 100000000"},
      {"a header of 2^64-1 bytes", withSize(UINT64_MAX, good, 4), fileOf(good, 4), "18446744073709551615"},
      {"a header of 2^63 bytes", withSize(1ull << 63, good, 4), fileOf(good, 4), "9223372036854775808"},
      {"a header cut short by one", withSize(good.size() - 1, good, 4), fileOf(good, 4), "expected ','"},
      // The text
      {"a space before the brace", file(" " + good, 4), file(good + " ", 4), "begins with '{'"},
      {"a list", file("[]", 0), file("{}", 0), "begins with '{'"},
      {"a line end as padding", file(good + "\n", 4), file(good + " ", 4), "after the end"},
      {"a NUL as padding", file(good + std::string(1, '\0'), 4), file(good + "   ", 4), "after the end"},
      {"a second object", file(good + "{}", 4), file(good + "  ", 4), "after the end"},
      {"a comma before the brace", file("{" + entry("a", 0, 1) + ",}"), file("{" + entry("a", 0, 1) + "}"),
       "expected a string"},
      {"no comma", file("{" + entry("a", 0, 1) + entry("b", 1, 2) + "}", 2),
       file("{" + entry("a", 0, 1) + "," + entry("b", 1, 2) + "}", 2), "expected ','"},
      {"no colon", file("{\"a\"{}}"), file("{" + entry("a", 0, 1) + "}"), "expected ':'"},
      {"a comment", file("{/**/" + entry("a", 0, 1) + "}"), file("{    " + entry("a", 0, 1) + "}"),
       "expected a string"},
      {"a byte that is not UTF-8", file(one("U8", "[1]", "[0,1]", "\xff")), file(one("U8", "[1]", "[0,1]", "\xc3\xbf")),
       "not UTF-8"},
      {"an overlong slash", file(one("U8", "[1]", "[0,1]", "\xc0\xaf")), file(one("U8", "[1]", "[0,1]", "/")),
       "not UTF-8"},
      {"a surrogate in UTF-8", file(one("U8", "[1]", "[0,1]", "\xed\xa0\x80")),
       file(one("U8", "[1]", "[0,1]", "\xed\x9f\xbf")), "not UTF-8"},
      {"U+110000", file(one("U8", "[1]", "[0,1]", "\xf4\x90\x80\x80")),
       file(one("U8", "[1]", "[0,1]", "\xf4\x8f\xbf\xbf")), "not UTF-8"},
      {"a NUL in a name", file(one("U8", "[1]", "[0,1]", std::string("a\0b", 3))),
       file(one("U8", "[1]", "[0,1]", "a b")), "control character"},
      {"an escaped NUL", file(one("U8", "[1]", "[0,1]", "a\\u0000b")), file(one("U8", "[1]", "[0,1]", "a\\u0001b")),
       "U+0000"},
      {"a line end in a name", file(one("U8", "[1]", "[0,1]", "a\nb")), file(one("U8", "[1]", "[0,1]", "a\\nb")),
       "control character"},
      {"half a surrogate pair", file(one("U8", "[1]", "[0,1]", "\\ud83d")),
       file(one("U8", "[1]", "[0,1]", "\\ud83d\\ude00")), "surrogate"},
      {"the other half", file(one("U8", "[1]", "[0,1]", "\\ude00")), file(one("U8", "[1]", "[0,1]", "\\u1e00")),
       "surrogate"},
      {"two first halves", file(one("U8", "[1]", "[0,1]", "\\ud83d\\ud83d")),
       file(one("U8", "[1]", "[0,1]", "\\ud83d\\ude3d")), "surrogate"},
      {"a second half too high", file(one("U8", "[1]", "[0,1]", "\\ud83d\\ue000")),
       file(one("U8", "[1]", "[0,1]", "\\ud83d\\udfff")), "surrogate"},
      {"a second half too low", file(one("U8", "[1]", "[0,1]", "\\ud83d\\udbff")),
       file(one("U8", "[1]", "[0,1]", "\\ud83d\\udc00")), "surrogate"},
      {"three digits after \\u", file(one("U8", "[1]", "[0,1]", "\\u12g4")), file(one("U8", "[1]", "[0,1]", "\\u12a4")),
       "hexadecimal"},
      {"an unknown escape", file(one("U8", "[1]", "[0,1]", "\\x41")), file(one("U8", "[1]", "[0,1]", "\\\\x41")),
       "unknown escape"},
      {"no end of a string", file("{\"abc"), file("{" + entry("abc", 0, 1) + "}"), "ends within a string"},
      // Keys
      {"a name twice", file("{" + entry("n", 0, 1) + "," + entry("n", 1, 2) + "}", 2),
       file("{" + entry("n", 0, 1) + "," + entry("m", 1, 2) + "}", 2), "\"n\" occurs twice"},
      {"a name twice, once escaped", file("{" + entry("n", 0, 1) + "," + entry("\\u006e", 1, 2) + "}", 2),
       file("{" + entry("n", 0, 1) + "," + entry("\\u006d", 1, 2) + "}", 2), "\"n\" occurs twice"},
      {"an empty tensor twice", file("{" + entry("n", 0, 0) + "," + entry("n", 0, 0) + "}", 0),
       file("{" + entry("n", 0, 0) + "," + entry("m", 0, 0) + "}", 0), "\"n\" occurs twice"},
      {"dtype twice", file("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}"),
       file(one("U8", "[1]", "[0,1]")), "\"a\": a second dtype"},
      {"shape twice", file("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,1]}}"),
       file(one("U8", "[1]", "[0,1]")), "\"a\": a second shape"},
      {"data_offsets twice",
       file("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"data_offsets\":[0,1]}}"),
       file(one("U8", "[1]", "[0,1]")), "\"a\": a second data_offsets"},
      {"no dtype", file("{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}"),
       file("{\"a\":{\"shape\":[1],\"data_offsets\":[0,1],\"dtype\":\"U8\"}}"), "\"a\": no dtype"},
      {"no shape", file("{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}"),
       file("{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1],\"shape\":[1]}}"), "\"a\": no shape"},
      {"no data_offsets", file("{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}"),
       file("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}"), "\"a\": no data_offsets"},
      {"an unknown key", file("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"order\":\"F\"}}"),
       file(one("U8", "[1]", "[0,1]")), "unknown key \"order\""},
      {"an entry that is a list", file("{\"a\":[]}"), file(one("U8", "[1]", "[0,1]")), "\"a\": expected an object"},
      {"an entry that is null", file("{\"a\":null}"), file(one("U8", "[1]", "[0,1]")), "\"a\": expected an object"},
      // __metadata__
      {"metadata that is a text", file(metadata("\"pt\"")), file(metadata("{\"format\":\"pt\"}")),
       "expected an object"},
      {"metadata that is null", file(metadata("null")), file(metadata("{}")), "expected an object"},
      {"metadata with a number", file(metadata("{\"step\":1}")), file(metadata("{\"step\":\"1\"}")),
       "\"step\" is not a string"},
      {"metadata with an object", file(metadata("{\"step\":{}}")), file(metadata("{\"step\":\"{}\"}")),
       "\"step\" is not a string"},
      {"metadata twice", file("{\"__metadata__\":{},\"__metadata__\":{}," + entry("a", 0, 1) + "}"),
       file("{\"__metadata__\":{}," + entry("a", 0, 1) + "}"), "a second __metadata__"},
      {"a key of metadata twice", file(metadata("{\"k\":\"1\",\"k\":\"2\"}")),
       file(metadata("{\"k\":\"1\",\"l\":\"2\"}")), "\"k\" twice"},
      {"metadata as a tensor", file("{" + entry("__metadata__", 0, 1) + "}"),
       file("{" + entry("_metadata__", 0, 1) + "}"), "is not a string"},
      // dtype
      {"an unknown dtype", file(one("F7", "[1]", "[0,1]")), file(one("I8", "[1]", "[0,1]")),
       "\"a\": the unknown dtype \"F7\""},
      {"a dtype in small letters", file(one("u8", "[1]", "[0,1]")), file(one("U8", "[1]", "[0,1]")),
       "unknown dtype \"u8\""},
      {"a dtype that is a number", file("{\"a\":{\"dtype\":8,\"shape\":[1],\"data_offsets\":[0,1]}}"),
       file("{\"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}"), "expected a string"},
      // shape
      {"a negative size", file(one("U8", "[-1]", "[0,1]")), file(one("U8", "[1]", "[0,1]")),
       "\"a\": a size in its shape is negative"},
      {"minus zero", file(one("U8", "[-0]", "[0,0]"), 0), file(one("U8", "[0]", "[0,0]"), 0), "is negative"},
      {"a fraction", file(one("U8", "[1.0]", "[0,1]")), file(one("U8", "[1]", "[0,1]")),
       "not written as a whole number"},
      {"an exponent", file(one("U8", "[1e0]", "[0,1]")), file(one("U8", "[1]", "[0,1]")),
       "not written as a whole number"},
      {"a leading zero", file(one("U8", "[01]", "[0,1]")), file(one("U8", "[1]", "[0,1]")), "begins with 0"},
      {"a size of 2^63", file(one("U8", "[0,9223372036854775808]", "[0,0]"), 0),
       file(one("U8", "[0,9223372036854775807]", "[0,0]"), 0), "2^63 or more"},
      {"a size of 2^64+1", file(one("U8", "[18446744073709551617]", "[0,1]")), file(one("U8", "[1]", "[0,1]")),
       "2^63 or more"},
      {"a size that is a text", file(one("U8", "[\"1\"]", "[0,1]")), file(one("U8", "[1]", "[0,1]")),
       "expected a number"},
      {"a shape that is a number", file(one("U8", "1", "[0,1]")), file(one("U8", "[1]", "[0,1]")), "expected a list"},
      {"a comma at the end of a shape", file(one("U8", "[1,]", "[0,1]")), file(one("U8", "[1]", "[0,1]")), "after ','"},
      {"65 dimensions", wide(65), wide(64), "\"a\": more than 64 dimensions"},
      {"elements that overflow to one", file(one("U8", "[4294967296,4294967296,0]", "[0,0]"), 0),
       file(one("U8", "[4294967296,0,4294967296]", "[0,0]"), 0), "\"a\": its shape and dtype overflow"},
      {"bits that overflow to none", file(one("U8", "[2305843009213693952]", "[0,0]"), 0),
       file(one("U8", "[0]", "[0,0]"), 0), "\"a\": its shape and dtype overflow"},
      {"half a byte", file(one("F4", "[3]", "[0,1]")), file(one("F4", "[2]", "[0,1]")), "do not fill whole bytes"},
      {"six bits", file(one("F6_E2M3", "[1]", "[0,1]")), file(one("F6_E2M3", "[4]", "[0,3]"), 3),
       "do not fill whole bytes"},
      {"a shape of other bytes", file(one("U8", "[3]", "[0,4]"), 4), file(one("U8", "[4]", "[0,4]"), 4),
       "\"a\": its shape and dtype need 3 bytes, its data_offsets hold 4"},
      {"a dtype of other bytes", file(one("F32", "[2]", "[0,4]"), 4), file(one("F16", "[2]", "[0,4]"), 4),
       "need 8 bytes, its data_offsets hold 4"},
      {"a scalar of other bytes", file(one("F32", "[]", "[0,0]"), 0), file(one("F32", "[]", "[0,4]"), 4),
       "need 4 bytes"},
      // data_offsets
      {"one offset", file(one("U8", "[1]", "[0]")), file(one("U8", "[1]", "[0,1]")), "\"a\": one of its two"},
      {"three offsets", file(one("U8", "[1]", "[0,1,1]")), file(one("U8", "[1]", "[0,1]")),
       "more than two data_offsets"},
      {"an end before its begin", file(one("U8", "[0]", "[1,0]"), 0), file(one("U8", "[0]", "[0,0]"), 0),
       "\"a\": its data ends at 0, before"},
      {"a first begin that is not 0", file(one("U8", "[1]", "[1,2]"), 2), file(one("U8", "[2]", "[0,2]"), 2),
       "\"a\": its data begins at 1"},
      {"a hole", pair(0, 1, 2, 4), pair(0, 2, 2, 4),
       "\"b\": its data begins at 2, but what is before it ends at 1: a hole"},
      {"an overlap", pair(0, 3, 2, 4), pair(0, 2, 2, 4),
       "\"b\": its data begins at 2, but what is before it ends at 3: an overlap"},
      {"the same data twice", pair(0, 4, 0, 4), pair(0, 0, 0, 4), "an overlap"},
      {"an offset of 2^63", file(one("U8", "[1]", "[9223372036854775808,9223372036854775809]")),
       file(one("U8", "[1]", "[0,1]")), "a data offset is 2^63 or more"},
      {"an offset of -1", file(one("U8", "[1]", "[-1,0]")), file(one("U8", "[1]", "[0,1]")),
       "a data offset is negative"},
      {"an offset of 1e30", file(one("U8", "[1]", "[0,1e30]")), file(one("U8", "[1]", "[0,1]")),
       "not written as a whole number"},
      {"bytes of no tensor", file(one("U8", "[4]", "[0,4]"), 5), file(one("U8", "[4]", "[0,4]"), 4),
       "bytes that belong to no tensor"},
      {"missing bytes", file(one("U8", "[4]", "[0,4]"), 3), file(one("U8", "[4]", "[0,4]"), 4), "cut short"},
      {"data and no tensor", file("{}", 1), file("{}", 0), "bytes that belong to no tensor"},
      // Depth
      {"ten thousand brackets", file("{\"a\":{\"shape\":" + many("[", 10'000) + "}}"), file(one("U8", "[1]", "[0,1]")),
       "\"a\": expected a number"},
      {"ten thousand braces", file(many("{\"a\":", 10'000)), file(one("U8", "[1]", "[0,1]")), "unknown key"},
  };
}

TEST_CASE("each rule of the format is enforced, and the valid counterpart is read") {
  const std::vector<Rule> all = rules();
  for (const Rule& rule : all) {
    const std::string name = rule.name;
    CAPTURE(name);
    const std::string message = errorOf([&] { parse(rule.broken); });
    CHECK_MESSAGE(contains(message, "some.safetensors: "), message);
    CHECK_MESSAGE(contains(message, rule.says), message, " should contain ", rule.says);
    CHECK(message.size() < 300);
    CHECK(errorOf([&] { parse(rule.valid); }) == "");
  }
  MESSAGE(all.size(), " rules broken");
}

TEST_CASE("a header of 100000000 bytes is the longest") {
  const auto sizeOf = [](uint64_t size) {
    const std::string start = withSize(size, "", 0);
    return SafetensorsHeader::jsonBytes(bytesOf(start), size + 8, "f");
  };
  CHECK(sizeOf(100'000'000) == 100'000'000);
  NIB_CHECK_ERROR("safetensors allows 100000000", sizeOf(100'000'001));
}

TEST_CASE("the reader returns the header's values") {
  const SafetensorsHeader header =
      parse(fileOf("{ \"second\" : {\"data_offsets\":[ 4 ,\t8],\"shape\" : [ 2 , 1 ],\"dtype\":\"BF16\"} ,"
                   "\"__metadata__\":{\"format\":\"pt\",\"a \\\"b\\\"\":\"\\u00e9\\ud83d\\ude00\\/\"},"
                   "\"fi\\u0072st\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
                   "\"\":{\"dtype\":\"F4\",\"shape\":[3,0],\"data_offsets\":[0,0]}}    ",
                   8));
  REQUIRE(header.size() == 3);
  CHECK(header.name(0) == "");
  CHECK(header.shape(0) == std::vector<uint64_t>{3, 0});
  CHECK(header.bytes(0) == 0);
  CHECK(header.name(1) == "first");
  CHECK(header.dtype(1) == Dtype::kF32);
  CHECK(header.shape(1).empty());
  CHECK(header.name(2) == "second");
  CHECK(header.dtype(2) == Dtype::kBF16);
  CHECK(header.shape(2) == std::vector<uint64_t>{2, 1});
  CHECK(header.begin(2) == 4);
  CHECK(header.bytes(2) == 4);
  CHECK(header.find("second") == 2);
  CHECK(header.find("seconds") == std::nullopt);
  CHECK(header.metadata() == Metadata{{"format", "pt"}, {"a \"b\"", "\xc3\xa9\xf0\x9f\x98\x80/"}});
}

TEST_CASE("every dtype of the format has its name and its bits") {
  // From the format's description, in the order of the reference's enumeration.
  const std::vector<std::pair<std::string, uint32_t>> dtypes = {
      {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
      {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
      {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
      {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}};
  REQUIRE(dtypes.size() == kDtypeCount);
  for (size_t i = 0; i < dtypes.size(); ++i) {
    const std::string& name = dtypes[i].first;
    const uint32_t bits = dtypes[i].second;
    CAPTURE(name);
    REQUIRE(findDtype(name).has_value());
    CHECK(static_cast<size_t>(*findDtype(name)) == i);
    CHECK(dtypeName(*findDtype(name)) == name);
    CHECK(dtypeBits(*findDtype(name)) == bits);
    const SafetensorsHeader header = parse(fileOf(one(name, "[8]", "[0," + std::to_string(bits) + "]"), bits));
    CHECK(header.bytes(0) == bits);
  }
}

TEST_CASE("a message shows a hostile name on one short line") {
  const std::string name = "\\u001b[31m\\r\\n\\u202e\\u0007" + many("x", 5000);
  const std::string message = errorOf([&] { parse(fileOf(one("F7", "[1]", "[0,1]", name), 1)); });
  CHECK(contains(message, "\\x1b[31m\\x0d\\x0a\\xe2\\x80\\xae\\x07xxx"));
  CHECK(message.size() < 300);
}

}  // namespace
}  // namespace nib::model::test
