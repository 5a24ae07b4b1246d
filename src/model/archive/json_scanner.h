// Token-by-token reader for untrusted JSON. It builds no document and needs no memory beyond the text.
#ifndef NIB_MODEL_ARCHIVE_JSON_SCANNER_H
#define NIB_MODEL_ARCHIVE_JSON_SCANNER_H

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace nib::model {

// Strings are decoded in place, overwriting their escapes, so the result of string() is valid as long as the text.
// Stricter than RFC 8259: no string may contain U+0000, nesting is limited to 64 levels, and number() accepts only
// whole numbers below 2^63. All functions throw Error; its message begins with `where`.
class JsonScanner {
 public:
  // Checks that all of the text is UTF-8. `what` names the text in messages: "byte 12 of WHAT".
  JsonScanner(std::span<char> text, std::string where, std::string what);

  // Accepts the numbers that Python's json module writes for the values that JSON lacks: NaN, Infinity, -Infinity.
  void acceptPythonNumbers() { python_numbers_ = true; }

  // All of these skip leading white space. peek() returns the next character, 0 at the end.
  char peek();
  bool take(char c);
  void expect(char c, const char* after);
  std::string_view string(const char* what);
  uint64_t number(const char* what);
  // Skips any value. Does not check it for duplicate keys.
  void skipValue();

  // Iterates over the keys of an object. The loop body must read or skip the value:
  //   for (bool first = true; scanner.nextKey(first, key);) scanner.skipValue();
  // The first call consumes the opening brace, the last one the closing brace and returns false.
  bool nextKey(bool& first, std::string_view& key);
  // The same for the elements of an array.
  bool nextElement(bool& first);

  // Checks that only spaces are left; with any_space also tabs and line ends.
  void finish(bool any_space);

  size_t position() const { return at_; }
  // Sets the prefix of messages: `tensor "NAME": `. The name must stay valid until the next call. kind: NULL = none.
  void about(const char* kind, std::string_view name) { kind_ = kind, name_ = name; }
  [[noreturn]] void fail(const std::string& problem) const;

 private:
  void skipSpace();
  void escape(size_t& to);
  uint32_t hex4();
  void skipWord(std::string_view word);
  void skipNumber();

  std::span<char> text_;
  std::string where_;
  std::string what_;
  size_t at_ = 0;
  uint32_t depth_ = 0;
  bool python_numbers_ = false;
  const char* kind_ = nullptr;
  std::string_view name_;
};

// `text` as a JSON string, quotes included. `text` is UTF-8.
std::string jsonString(std::string_view text);

}  // namespace nib::model
#endif
