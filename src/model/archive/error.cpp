#include "model/archive/error.h"

#include "base/system_error.h"
#include "model/archive/utf8.h"

#include <cstdint>
#include <cstring>

namespace nib::model {
namespace {

// Whether the character would break the line, hide text or reorder it.
bool isUnprintable(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff0 && c <= 0xffff) ||
         c >= 0xe0000;
}

void appendHex(std::string& out, std::string_view bytes) {
  static const char kDigits[] = "0123456789abcdef";
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    out += "\\x";
    out += kDigits[value >> 4];
    out += kDigits[value & 15];
  }
}

std::string printable(std::string_view text, size_t max_bytes, bool in_quotes) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    // The limit applies to the output: an escaped byte takes four.
    if (out.size() >= max_bytes) return out + "...";
    const Utf8Char c = decodeUtf8(text.substr(at));
    const std::string_view bytes = text.substr(at, c.size == 0 ? 1 : c.size);
    if (c.size == 0 || isUnprintable(c.code)) {
      appendHex(out, bytes);
    } else {
      if (in_quotes && (c.code == '"' || c.code == '\\')) out += '\\';
      out += bytes;
    }
    at += bytes.size();
  }
  return out;
}

}  // namespace

std::string quoteText(std::string_view text, size_t max_bytes) { return '"' + printable(text, max_bytes, true) + '"'; }

std::string shown(const std::filesystem::path& path) { return printable(path.string(), 8192, false); }

void throwSystemError(const std::filesystem::path& path, const std::string& what, int code) {
  throw Error(shown(path) + ": " + what + ": " + std::strerror(code) + limitHint(code));
}

}  // namespace nib::model
