// Helpers for UTF-8 text.
#ifndef NIB_MODEL_TOKENIZER_TEXT_H
#define NIB_MODEL_TOKENIZER_TEXT_H

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nib::model {

inline constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD
inline constexpr std::string_view kSpaceMark = "\xe2\x96\x81";    // U+2581, a space in SentencePiece's vocabularies

// Appends `bytes` as UTF-8. Every maximal part that could begin a character, and every other invalid byte, becomes
// U+FFFD, as decoders of the WHATWG Encoding Standard and of Python and Rust do it. With `more`, bytes at the end that
// could begin a character are left out. Returns the number of bytes that were used.
size_t appendUtf8(std::string& out, std::string_view bytes, bool more = false);

std::string validUtf8(std::string_view bytes);

void appendCode(std::string& out, uint32_t code);

// The character of GPT-2's table for a byte: printable characters stand for themselves, others for U+0100 and on.
std::string_view byteCharacter(uint8_t byte);
// The byte of a character of that table.
std::optional<uint8_t> byteOfCharacter(uint32_t code);

// "<0x0A>": a byte in SentencePiece's vocabularies.
std::string byteToken(uint8_t byte);
std::optional<uint8_t> byteOfToken(std::string_view token);

bool isAscii(std::string_view text);
// Unicode's White_Space.
bool isSpace(uint32_t code);
// The number of bytes of white space at the beginning or at the end of `text`.
size_t spaceAtStart(std::string_view text);
size_t spaceAtEnd(std::string_view text);

// text with every `from`, from left to right, replaced. `from` is not empty.
std::string replaced(std::string_view text, std::string_view from, std::string_view to);

}  // namespace nib::model
#endif
