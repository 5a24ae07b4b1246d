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

// The first character of `text`, which is not empty.
Utf8Char decodeUtf8(std::string_view text);

// Of the first byte that is not part of UTF-8; npos if all is.
size_t findInvalidUtf8(std::string_view text);

// Writes 1 to 4 bytes to `to`, returns how many. `code` is below U+110000 and no surrogate.
size_t encodeUtf8(uint32_t code, char* to);

}  // namespace nib::model
#endif
