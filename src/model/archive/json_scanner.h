// Reads JSON that a stranger wrote, token by token, without building anything: memory is the text's own.
#ifndef NIB_MODEL_ARCHIVE_JSON_SCANNER_H
#define NIB_MODEL_ARCHIVE_JSON_SCANNER_H

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace nib::model {

// Strings are decoded in place, over their own escapes: what string() gives stays valid as long as the text does.
// Stricter than RFC 8259 in this: numbers are whole and below 2^63, no string holds U+0000, nesting ends at 64.
// All functions throw Error, with `where` in front.
class JsonScanner {
 public:
  // Checks that all of the text is UTF-8. `what` names it in messages: "byte 12 of WHAT".
  JsonScanner(std::span<char> text, std::string where, std::string what);

  // White space before a token is skipped. peek() is 0 at the end.
  char peek();
  bool take(char c);
  void expect(char c, const char* after);
  std::string_view string(const char* what);
  uint64_t number(const char* what);
  // Any value. Equal keys in it are not looked for.
  void skipValue();

  // An object's keys, one a call, each followed by the reading of its value:
  //   for (bool first = true; scanner.nextKey(first, key);) ...
  // False, and the closing brace taken, at the end. The opening brace is the first call's.
  bool nextKey(bool& first, std::string_view& key);
  // The same for an array; the next token is then the element's first.
  bool nextElement(bool& first);

  // Nothing but spaces may be left; `any_space`: or line ends and tabs.
  void finish(bool any_space);

  size_t position() const { return at_; }
  // What is being read, for messages: `tensor "NAME": `. The name stays valid until the next call; empty = nothing.
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
  const char* kind_ = nullptr;
  std::string_view name_;
};

// `text` as a JSON string, quotes included. `text` is UTF-8.
std::string jsonString(std::string_view text);

}  // namespace nib::model
#endif
