// Patterns: translated and refused constructs, and where texts are divided.
#include "model/tokenizer/pattern.h"
#include "tokenizer_files.h"

using namespace nib::model;
using namespace nib::model::test;

namespace {

std::string translated(std::string_view pattern) {
  return translateOniguruma(pattern, [](const std::string& problem) { throw Error(problem); });
}

// The parts of a text, each in brackets if it is a match, else in parentheses.
std::string divided(const std::string& pattern, const std::string& text) {
  std::string out;
  for (const TextRange& range : Pattern::oniguruma(pattern, "here").divide(text)) {
    out +=
        (range.is_match ? "[" : "(") + text.substr(range.begin, range.end - range.begin) + (range.is_match ? "]" : ")");
  }
  return out;
}

}  // namespace

TEST_CASE("patterns are translated where the two engines differ") {
  CHECK(translated(R"(\s+)") == R"(\p{White_Space}+)");
  CHECK(translated(R"([^\s\p{L}])") == R"([^\p{White_Space}\p{L}])");
  CHECK(translated(R"(\p{Han}\P{Lu}\p{^N})") == R"(\p{sc:Han}\P{Lu}\P{N})");
  CHECK(translated(R"(a{2}b{,3}c{x})") == R"(a{2}b{0,3}c\{x})");
  CHECK(translated(R"(\u00e9\x41\x{1F600})") == R"(\x{00e9}\x{41}\x{1F600})");
  CHECK(translated(R"(\p{N}{1,3})") == R"(\p{N}{1,3})");
  CHECK(translated(R"([^\r\n]?+\p{L}++)") == R"([^\r\n]?+\p{L}++)");
}

TEST_CASE("what the engines understand differently is refused by name") {
  for (const auto& [pattern, part] :
       std::vector<std::pair<std::string, std::string>>{{R"(\bword)", R"(the escape \b,)"},
                                                        {R"(\h)", R"(the escape \h,)"},
                                                        {R"((a)\1)", R"(the escape \1,)"},
                                                        {"[a[bc]]", "a set in a set"},
                                                        {"[a&&b]", "an intersection of sets"},
                                                        {R"([\W])", "a negated class in a set"},
                                                        {"(?<name>a)", "a group of an unknown kind"},
                                                        {"a(?i)b", "a group of an unknown kind"},
                                                        {"(*UTF)a", "(*"},
                                                        {"a{2,3}+", "a quantifier after braces"},
                                                        {"a{2}?", "a quantifier after braces"},
                                                        {"a+*", "a repeated quantifier"},
                                                        {"(?i:straSSe)", "while ignoring case"},
                                                        {R"(\p{L)", "a property without braces"},
                                                        {R"(\xE9)", "a byte that is not ASCII"},
                                                        {"[a", "an unfinished set"},
                                                        {"[]", "an empty set"},
                                                        {"(a", "cannot be used"},
                                                        {R"(\p{Nonsense})", "cannot be used"},
                                                        {"a*", "matches the empty text"},
                                                        {"a\\", "a backslash at its end"}}) {
    NIB_CHECK_ERROR(part, Pattern::oniguruma(pattern, "here"));
    CHECK(errorOf([&] { Pattern::oniguruma(pattern, "here"); }).starts_with("here: the pattern "));
  }
}

TEST_CASE("patterns divide texts") {
  CHECK(divided("b+", "abba") == "(a)[bb](a)");
  CHECK(divided(R"(\s+(?!\S)|\s+)", "a   b ") == "(a)[  ][ ](b)[ ]");
  CHECK(divided(R"(\s)", "a\xe1\xa0\x8e\xc2\xa0") == "(a\xe1\xa0\x8e)[\xc2\xa0]");  // U+180E is no white space
  CHECK(divided("(?i:'s)", "'\xc5\xbf'S") == "['\xc5\xbf]['S]");                    // U+017F is a small s
  CHECK(divided("(?<=a)b", "abb") == "(a)[b](b)");
  CHECK(divided("^a", "a\naa") == "[a](\n)[a](a)");
  CHECK(divided("x", "").empty());
}

TEST_CASE("a pattern of exponential cost fails instead of running on") {
  const Pattern pattern = Pattern::oniguruma("(a|a)+b|(a|aa)+c", "here");
  NIB_CHECK_ERROR("failed", pattern.divide(std::string(200, 'a')));
}

TEST_CASE("a megabyte of white space is divided") {
  const std::string text(size_t{1} << 20, ' ');
  const Pattern pattern = Pattern::oniguruma(R"(\s*[\r\n]+|\s+(?!\S)|\s+)", "here");
  CHECK(pattern.divide(text).size() == 1);
}
