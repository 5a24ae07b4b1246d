#ifndef NIB_MODEL_ARCHIVE_UTF8_H
#define NIB_MODEL_ARCHIVE_UTF8_H

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace nib::model {

struct Utf8Char {
  uint32_t code = 0;
  uint32_t size = 0;  // in bytes; 0 = not UTF-8: cut short, overlong, a surrogate, or beyond U+10FFFF
};

// Decodes the first character of `text`, which must not be empty.
Utf8Char decodeUtf8(std::string_view text);

// The position of the first byte that is not valid UTF-8; npos if there is none.
size_t findInvalidUtf8(std::string_view text);

// Writes 1 to 4 bytes to `to` and returns their number. `code` must be below U+110000 and not a surrogate.
size_t encodeUtf8(uint32_t code, char* to);

}  // namespace nib::model
#endif
