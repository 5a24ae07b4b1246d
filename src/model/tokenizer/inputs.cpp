#include "model/tokenizer/inputs.h"

#include "model/archive/error.h"
#include "model/archive/json_lines.h"
#include "model/archive/npy.h"
#include "model/archive/posix_file.h"
#include "model/archive/utf8.h"
#include "model/tokenizer/json_tree.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace nib::model {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxTextBytes = uint64_t{1} << 30;

template <class Id>
void appendIds(const fs::path& path, std::span<const std::byte> bytes, std::vector<uint32_t>& ids) {
  for (size_t at = 0; at < bytes.size(); at += sizeof(Id)) {
    Id id;
    std::memcpy(&id, &bytes[at], sizeof id);
    if (id < Id{0} || uint64_t(id) > 0x7fffffff) {
      throw Error(shown(path) + ": value " + std::to_string(ids.size()) + " is " + std::to_string(id) +
                  ", which is not a token id");
    }
    ids.push_back(uint32_t(id));
  }
}

TokenInput loadNpy(const fs::path& path) {
  const NpyFile file(path, NpyUse::kTokenIds);
  if (file.shape().empty() || file.shape().size() > 2) {
    throw Error(shown(path) + ": has " + std::to_string(file.shape().size()) +
                " dimensions; ids have one, or two for rows of ids");
  }
  TokenInput input;
  if (file.shape().size() == 2) input.row_tokens = file.shape()[1];
  const uint64_t id_bytes = dtypeBits(file.dtype()) / 8;
  input.ids.reserve(size_t(file.bytes() / id_bytes));
  std::vector<std::byte> buffer(size_t(std::min<uint64_t>(file.bytes(), 1 << 20)));
  for (uint64_t at = 0; at < file.bytes(); at += buffer.size()) {
    const std::span<std::byte> bytes(buffer.data(), size_t(std::min<uint64_t>(buffer.size(), file.bytes() - at)));
    file.read(at, bytes);
    switch (file.dtype()) {
      case Dtype::kU16: appendIds<uint16_t>(path, bytes, input.ids); break;
      case Dtype::kU32: appendIds<uint32_t>(path, bytes, input.ids); break;
      case Dtype::kI32: appendIds<int32_t>(path, bytes, input.ids); break;
      default: appendIds<int64_t>(path, bytes, input.ids); break;
    }
  }
  return input;
}

std::vector<std::string> documentsOf(const fs::path& path, std::span<char> text) {
  std::vector<std::string> documents;
  forEachJsonLine(text, shown(path), [&](std::span<char> line, const std::string& place) {
    JsonScanner scanner(line, place, "the line");
    const JsonTree tree = readJsonTree(scanner, line.data());
    scanner.finish(true);
    const JsonNode node(tree, place);
    if (!node.isObject()) node.fail("expected an object with \"text\"");
    documents.push_back(node.at("text").text());
  });
  return documents;
}

std::string joined(const std::vector<std::string>& documents) {
  std::string all;
  for (const std::string& document : documents) all += (&document == documents.data() ? "" : "\n\n") + document;
  return all;
}

bool endsWith(const fs::path& path, std::string_view ending) {
  std::string name = path.filename().native();
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  return name.ends_with(ending);
}

}  // namespace

TokenInput loadTokens(const fs::path& path, const Tokenizer* tokenizer, bool add_special) {
  if (endsWith(path, ".npy")) return loadNpy(path);
  if (tokenizer == nullptr) throw Error(shown(path) + ": is text, and there is no tokenizer; give an .npy file of ids");
  std::vector<char> bytes = readWholeFile(path, kMaxTextBytes);
  TokenInput input;
  if (endsWith(path, ".jsonl")) {
    input.ids = tokenizer->encode(joined(documentsOf(path, bytes)), add_special);
    return input;
  }
  const std::string_view text(bytes.data(), bytes.size());
  if (const size_t invalid = findInvalidUtf8(text); invalid != std::string_view::npos) {
    throw Error(shown(path) + ": byte " + std::to_string(invalid) + " is not UTF-8; convert the file, as with iconv");
  }
  input.ids = tokenizer->encode(text, add_special);
  return input;
}

TokenInput loadPieces(const fs::path& path, const Tokenizer* tokenizer, uint64_t piece) {
  TokenInput input = loadTokens(path, tokenizer, false);
  if (endsWith(path, ".npy")) return input;
  const std::vector<uint32_t>&before = tokenizer->before(), &after = tokenizer->after();
  const uint64_t around = before.size() + after.size();
  if (piece <= around) {
    throw Error("windows of " + std::to_string(piece) + " tokens have no place for text beside " +
                std::to_string(around) + " special tokens");
  }
  const std::vector<uint32_t> text = std::exchange(input.ids, {});
  for (size_t at = 0; at < text.size(); at += size_t(piece - around)) {
    const size_t end = std::min(text.size(), at + size_t(piece - around));
    input.ids.insert(input.ids.end(), before.begin(), before.end());
    input.ids.insert(input.ids.end(), text.begin() + ptrdiff_t(at), text.begin() + ptrdiff_t(end));
    input.ids.insert(input.ids.end(), after.begin(), after.end());
  }
  return input;
}

std::vector<std::vector<uint32_t>> loadTexts(const fs::path& path, const Tokenizer* tokenizer, uint64_t longest) {
  std::vector<std::vector<uint32_t>> texts;
  if (endsWith(path, ".jsonl") && tokenizer != nullptr) {
    std::vector<char> bytes = readWholeFile(path, kMaxTextBytes);
    for (const std::string& document : documentsOf(path, bytes)) texts.push_back(tokenizer->encode(document, true));
  } else {
    const TokenInput input = loadPieces(path, tokenizer, longest);
    const uint64_t length = input.row_tokens != 0 ? input.row_tokens : longest;
    for (size_t at = 0; at < input.ids.size(); at += size_t(length)) {
      const size_t end = std::min(input.ids.size(), at + size_t(length));
      texts.emplace_back(input.ids.begin() + ptrdiff_t(at), input.ids.begin() + ptrdiff_t(end));
    }
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    if (texts[i].size() <= longest) continue;
    throw Error(shown(path) + ": text " + std::to_string(i + 1) + " has " + std::to_string(texts[i].size()) +
                " tokens with the special ones; the model reads " + std::to_string(longest));
  }
  if (texts.empty()) throw Error(shown(path) + ": has no text");
  return texts;
}

}  // namespace nib::model
