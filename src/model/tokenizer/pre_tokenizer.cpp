#include "model/tokenizer/pre_tokenizer.h"

#include "model/archive/error.h"
#include "model/tokenizer/pattern.h"
#include "model/tokenizer/text.h"

#include <algorithm>
#include <array>
#include <utility>

namespace nib::model {
namespace {

enum class Behavior : uint8_t { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

Behavior behaviorOf(const JsonNode& node) {
  static constexpr std::array<std::string_view, 5> kNames = {"Removed", "Isolated", "MergedWithPrevious",
                                                             "MergedWithNext", "Contiguous"};
  const auto found = std::find(kNames.begin(), kNames.end(), node.text());
  if (found == kNames.end()) node.fail("the behavior " + quoteText(node.text()) + " is not supported");
  return Behavior(found - kNames.begin());
}

// Merges and drops ranges of a text that they cover.
std::vector<TextRange> arranged(std::vector<TextRange> ranges, Behavior behavior) {
  std::vector<TextRange> out;
  bool before = false;
  switch (behavior) {
    case Behavior::kIsolated: return ranges;
    case Behavior::kRemoved: std::erase_if(ranges, [](const TextRange& r) { return r.is_match; }); return ranges;
    case Behavior::kContiguous:
      for (const TextRange& r : ranges) {
        if (!out.empty() && out.back().is_match == r.is_match) {
          out.back().end = r.end;
        } else {
          out.push_back(r);
        }
      }
      return out;
    case Behavior::kMergedWithPrevious:
      for (const TextRange& r : ranges) {
        if (r.is_match && !before && !out.empty()) {
          out.back().end = r.end;
        } else {
          out.push_back(r);
        }
        before = r.is_match;
      }
      return out;
    case Behavior::kMergedWithNext:
      std::reverse(ranges.begin(), ranges.end());
      for (const TextRange& r : ranges) {
        if (r.is_match && !before && !out.empty()) {
          out.back().begin = r.begin;
        } else {
          out.push_back(r);
        }
        before = r.is_match;
      }
      std::reverse(out.begin(), out.end());
      return out;
  }
  return ranges;
}

void split(const Word& word, const Pattern& pattern, Behavior behavior, bool invert, std::vector<Word>& out) {
  std::vector<TextRange> ranges = pattern.divide(word.text);
  if (invert) {
    for (TextRange& range : ranges) range.is_match = !range.is_match;
  }
  for (const TextRange& range : arranged(std::move(ranges), behavior)) {
    out.push_back({word.text.substr(range.begin, range.end - range.begin), word.is_first && range.begin == 0});
  }
}

std::string byteCharacters(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  for (const char c : text) out += byteCharacter(static_cast<uint8_t>(c));
  return out;
}

// As the pre-tokenizers of these types have it; in PCRE2's syntax.
constexpr std::string_view kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|)"
                                   R"(\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+)";
constexpr std::string_view kWhitespace = R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200c}\x{200d}]+|)"
                                         R"([^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200c}\x{200d}\p{White_Space}]+)";

}  // namespace

void PreTokenizer::add(const JsonNode& node) {
  const std::string& type = node.type();
  const auto splits = [&](Pattern pattern, Behavior behavior, bool invert = false) {
    steps_.emplace_back([pattern = std::move(pattern), behavior, invert](const Word& word, std::vector<Word>& out) {
      split(word, pattern, behavior, invert, out);
    });
  };
  if (type == "Sequence") {
    node.allow({"pretokenizers"});
    for (const JsonNode& child : node.at("pretokenizers").list()) add(child);
  } else if (type == "ByteLevel") {
    // trim_offsets has no influence on ids.
    node.allow({"add_prefix_space", "trim_offsets", "use_regex"});
    has_byte_level_ = true;
    const bool prefix = node.boolean("add_prefix_space", true);
    const bool divides = node.boolean("use_regex", true);
    steps_.emplace_back([prefix, divides, pattern = Pattern::pcre2(kGpt2)](Word& word, std::vector<Word>& out) {
      if (prefix && !word.text.starts_with(' ')) word.text = ' ' + word.text;
      const size_t begin = out.size();
      if (divides) {
        split(word, pattern, Behavior::kIsolated, false, out);
      } else {
        out.push_back(std::move(word));
      }
      for (size_t i = begin; i < out.size(); ++i) out[i].text = byteCharacters(out[i].text);
    });
  } else if (type == "Split") {
    node.allow({"pattern", "behavior", "invert"});
    const JsonNode pattern = node.at("pattern");
    const auto text = pattern.find("String");
    const auto regex = pattern.find("Regex");
    if (!text && !regex) pattern.fail("has neither \"String\" nor \"Regex\"");
    if (text && text->text().empty()) text->fail("is empty");
    splits(text ? Pattern::literal(text->text()) : Pattern::oniguruma(regex->text(), regex->place()),
           behaviorOf(node.at("behavior")), node.boolean("invert", false));
  } else if (type == "Metaspace") {
    node.allow({"replacement", "prepend_scheme", "add_prefix_space", "split", "str_rep"});
    const std::string mark = node.find("replacement") ? node.at("replacement").text() : std::string(kSpaceMark);
    if (mark.empty()) node.fail("has an empty replacement");
    std::string scheme = node.boolean("add_prefix_space", true) ? "always" : "never";
    if (const auto given = node.find("prepend_scheme")) scheme = given->text();
    if (scheme != "always" && scheme != "first" && scheme != "never") {
      node.fail("the prepend_scheme " + quoteText(scheme) + " is not supported");
    }
    steps_.emplace_back([mark, scheme, divides = node.boolean("split", true), pattern = Pattern::literal(mark)](
                            Word& word, std::vector<Word>& out) {
      word.text = replaced(word.text, " ", mark);
      if (!word.text.starts_with(mark) && (scheme == "always" || (scheme == "first" && word.is_first))) {
        word.text.insert(0, mark);
      }
      if (divides) {
        split(word, pattern, Behavior::kMergedWithNext, false, out);
      } else {
        out.push_back(std::move(word));
      }
    });
  } else if (type == "Digits") {
    node.allow({"individual_digits"});
    const bool alone = node.boolean("individual_digits", false);
    splits(Pattern::pcre2("\\p{N}"), alone ? Behavior::kIsolated : Behavior::kContiguous);
  } else if (type == "Punctuation") {
    node.allow({"behavior"});
    const auto behavior = node.find("behavior");
    splits(Pattern::pcre2(R"([\p{P}$+<=>^`|~])"), behavior ? behaviorOf(*behavior) : Behavior::kIsolated);
  } else if (type == "BertPreTokenizer") {
    splits(Pattern::pcre2("\\p{White_Space}"), Behavior::kRemoved);
    splits(Pattern::pcre2(R"([\p{P}$+<=>^`|~])"), Behavior::kIsolated);
  } else if (type == "Whitespace") {
    splits(Pattern::pcre2(kWhitespace), Behavior::kRemoved, true);
  } else if (type == "WhitespaceSplit") {
    splits(Pattern::pcre2("\\p{White_Space}"), Behavior::kRemoved);
  } else if (type == "CharDelimiterSplit") {
    node.allow({"delimiter"});
    const JsonNode delimiter = node.at("delimiter");
    if (delimiter.text().empty()) delimiter.fail("is empty");
    splits(Pattern::literal(delimiter.text()), Behavior::kRemoved);
  } else {
    node.fail("the pre_tokenizer " + quoteText(type) + " is not supported");
  }
}

std::vector<Word> PreTokenizer::divide(Word text) const {
  std::vector<Word> words;
  words.push_back(std::move(text));
  for (const Step& step : steps_) {
    std::vector<Word> next;
    next.reserve(words.size());
    for (Word& word : words) {
      if (!word.text.empty()) step(word, next);
    }
    words = std::move(next);
  }
  std::erase_if(words, [](const Word& word) { return word.text.empty(); });
  return words;
}

}  // namespace nib::model
