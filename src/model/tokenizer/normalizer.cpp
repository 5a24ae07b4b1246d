#include "model/tokenizer/normalizer.h"

#include "model/archive/error.h"
#include "model/archive/utf8.h"
#include "model/tokenizer/charsmap.h"
#include "model/tokenizer/pattern.h"
#include "model/tokenizer/text.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <utility>

namespace nib::model {
namespace {

std::string composed(const std::string& text, int options) {
  if (isAscii(text)) return text;
  utf8proc_uint8_t* result = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), utf8proc_ssize_t(text.size()), &result,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | options));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(result, std::free);
  // Text is valid, so the only possible failure is lack of memory.
  if (size < 0) throw std::bad_alloc();
  return {reinterpret_cast<const char*>(result), size_t(size)};
}

template <class Call>
void eachCode(const std::string& text, const Call& call) {
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = decodeUtf8(std::string_view(text).substr(at));
    call(c.code);
    at += c.size;
  }
}

std::string lowered(const std::string& text) {
  std::string out;
  eachCode(text, [&](uint32_t code) {
    // The only character whose full lower case is two.
    if (code == 0x130) {
      out += "i\xcc\x87";
    } else {
      appendCode(out, uint32_t(utf8proc_tolower(utf8proc_int32_t(code))));
    }
  });
  return out;
}

std::string withoutAccents(const std::string& text) {
  std::string out;
  eachCode(text, [&](uint32_t code) {
    const utf8proc_category_t category = utf8proc_category(utf8proc_int32_t(code));
    const bool is_mark = category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
    if (!is_mark) appendCode(out, code);
  });
  return out;
}

// BERT removes some characters and makes others a space.
std::string cleaned(const std::string& text) {
  std::string out;
  eachCode(text, [&](uint32_t code) {
    const utf8proc_category_t category = utf8proc_category(utf8proc_int32_t(code));
    const bool is_line = code == '\t' || code == '\n' || code == '\r';
    const bool is_other = category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
                          category == UTF8PROC_CATEGORY_CO || code == 0xfffd;
    if (is_other && !is_line) return;
    if (is_line || isSpace(code)) code = ' ';
    appendCode(out, code);
  });
  return out;
}

// The ranges that BERT takes for Chinese characters.
bool isChinese(uint32_t code) {
  static constexpr std::pair<uint32_t, uint32_t> kRanges[] = {
      {0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xf900, 0xfaff},  {0x20000, 0x2a6df},
      {0x2a700, 0x2b81f}, {0x2b920, 0x2ceaf}, {0x2f800, 0x2fa1f}};
  return std::any_of(std::begin(kRanges), std::end(kRanges),
                     [&](const auto& range) { return code >= range.first && code <= range.second; });
}

std::string spacedChinese(const std::string& text) {
  std::string out;
  eachCode(text, [&](uint32_t code) {
    const bool alone = isChinese(code);
    if (alone) out += ' ';
    appendCode(out, code);
    if (alone) out += ' ';
  });
  return out;
}

std::string withoutNonspacingMarks(const std::string& text) {
  std::string out;
  eachCode(text, [&](uint32_t code) {
    if (utf8proc_category(utf8proc_int32_t(code)) != UTF8PROC_CATEGORY_MN) appendCode(out, code);
  });
  return out;
}

std::string fromBase64(const JsonNode& node) {
  static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0, count = 0;
  std::string_view text = node.text();
  while (text.ends_with('=')) text.remove_suffix(1);
  for (const char c : text) {
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) node.fail("is not base64");
    bits = bits << 6 | uint32_t(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 255);
  }
  return out;
}

Pattern patternOf(const JsonNode& node) {
  if (const auto text = node.find("String")) {
    if (text->text().empty()) text->fail("is empty");
    return Pattern::literal(text->text());
  }
  if (const auto regex = node.find("Regex")) return Pattern::oniguruma(regex->text(), regex->place());
  node.fail("has neither \"String\" nor \"Regex\"");
}

}  // namespace

void Normalizer::add(const JsonNode& node) {
  const std::string& type = node.type();
  if (type == "Sequence") {
    node.allow({"normalizers"});
    for (const JsonNode& child : node.at("normalizers").list()) add(child);
  } else if (type == "NFC") {
    steps_.emplace_back([](const std::string& text) { return composed(text, UTF8PROC_COMPOSE); });
  } else if (type == "NFD") {
    steps_.emplace_back([](const std::string& text) { return composed(text, UTF8PROC_DECOMPOSE); });
  } else if (type == "NFKC") {
    steps_.emplace_back([](const std::string& text) { return composed(text, UTF8PROC_COMPOSE | UTF8PROC_COMPAT); });
  } else if (type == "NFKD") {
    steps_.emplace_back([](const std::string& text) { return composed(text, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT); });
  } else if (type == "Lowercase") {
    steps_.emplace_back(lowered);
  } else if (type == "StripAccents") {
    steps_.emplace_back(withoutAccents);
  } else if (type == "BertNormalizer") {
    node.allow({"clean_text", "handle_chinese_chars", "strip_accents", "lowercase"});
    const bool lower = node.boolean("lowercase", true);
    if (node.boolean("clean_text", true)) steps_.emplace_back(cleaned);
    if (node.boolean("handle_chinese_chars", true)) steps_.emplace_back(spacedChinese);
    if (node.boolean("strip_accents", lower)) {
      steps_.emplace_back(
          [](const std::string& text) { return withoutNonspacingMarks(composed(text, UTF8PROC_DECOMPOSE)); });
    }
    if (lower) steps_.emplace_back(lowered);
  } else if (type == "Strip") {
    node.allow({"strip_left", "strip_right"});
    const bool left = node.at("strip_left").boolean(), right = node.at("strip_right").boolean();
    steps_.emplace_back([=](std::string text) {
      if (left) text.erase(0, spaceAtStart(text));
      if (right) text.resize(text.size() - spaceAtEnd(text));
      return text;
    });
  } else if (type == "Prepend") {
    node.allow({"prepend"});
    steps_.emplace_back(
        [prefix = node.at("prepend").text()](std::string text) { return text.empty() ? text : prefix + text; });
  } else if (type == "Replace") {
    node.allow({"pattern", "content"});
    const JsonNode content = node.at("content");
    if (node.at("pattern").find("Regex") && content.text().find('$') != std::string::npos) {
      content.fail("refers to a group, which is not supported");
    }
    steps_.emplace_back([pattern = patternOf(node.at("pattern")), to = content.text()](const std::string& text) {
      std::string out;
      for (const TextRange& range : pattern.divide(text)) {
        out += range.is_match ? to : text.substr(range.begin, range.end - range.begin);
      }
      return out;
    });
  } else if (type == "Precompiled") {
    node.allow({"precompiled_charsmap"});
    const JsonNode blob = node.at("precompiled_charsmap");
    const std::string bytes = fromBase64(blob);
    if (bytes.empty()) return;
    steps_.emplace_back([map = std::make_shared<CharsMap>(bytes, blob.place())](const std::string& text) {
      return map->normalize(text);
    });
  } else {
    node.fail("the normalizer " + quoteText(type) + " is not supported");
  }
}

std::string Normalizer::apply(std::string_view text) const {
  std::string result(text);
  for (const auto& step : steps_) result = step(std::move(result));
  return result;
}

}  // namespace nib::model
