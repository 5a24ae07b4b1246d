// Any bytes as a GGUF file: its header, and the texts that are made from it.
#include "model/archive/error.h"
#include "model/archive/gguf/header.h"
#include "model/archive/gguf/names.h"
#include "model/archive/gguf/texts.h"
#include "model/archive/utf8.h"

#include <cstring>
#include <set>

#include "readers.h"

namespace nib::fuzz {

void gguf(Input input) {
  using namespace nib::model;
  const auto read = [&](uint64_t offset, std::span<std::byte> out) {
    require(offset <= input.size() && out.size() <= input.size() - offset, "a read beyond the file");
    std::memcpy(out.data(), input.data() + offset, out.size());
  };
  try {
    const GgufHeader header(read, input.size(), "f");
    std::set<std::string> names;
    uint64_t end = header.dataAt();
    for (const GgufHeader::Tensor& tensor : header.tensors()) {
      require(names.insert(tensor.name).second, "a name occurs twice");
      require(tensor.offset >= end, "an overlap");
      end = tensor.offset + tensor.bytes;
      require(end <= input.size() && end >= tensor.offset, "a tensor beyond the file");
      uint64_t elements = 1;
      for (const uint64_t size : tensor.dims) elements *= size;
      require(elements / tensor.type->block * tensor.type->bytes == tensor.bytes, "dimensions that do not fit");
    }
    for (const auto& [key, value] : header.shown()) {
      require(findInvalidUtf8(key) == std::string_view::npos, "a key that is not UTF-8");
      require(findInvalidUtf8(value) == std::string_view::npos, "a value that is not UTF-8");
    }
    std::vector<std::string> notes;
    ggufConfigText(header, ggufFamilies()[0], {.vocabulary = 8, .rope_divisors = {1, 2, 8}});
    for (const GgufFamily& family : ggufFamilies()) {
      if (header.text("general.architecture") == family.architecture) ggufConfigText(header, family, {.vocabulary = 8});
    }
    ggufTokenizerTexts(header, notes);
  } catch (const Error& error) {
    requireLine(error.what());
  }
}

}  // namespace nib::fuzz
