// Any bytes as a safetensors file: refused with one printable line, or read, and then the result is consistent.
//   cmake -DCMAKE_CXX_COMPILER=clang++ -DNIBBLE_FUZZ=ON ... && nibble_fuzz_safetensors tests/fuzz/corpus/safetensors
// header_fuzz_test.cpp calls the same function with the corpus and with random mutations.
#include "model/archive/error.h"
#include "model/archive/safetensors_header.h"
#include "model/archive/utf8.h"

#include <cstdio>
#include <cstdlib>

using namespace nib::model;

static void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "safetensors_fuzz: %s\n", what);
  std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const SafetensorsHeader header = SafetensorsHeader::parse(std::as_bytes(std::span(data, size)), "f");
    uint64_t end = 0;
    for (size_t i = 0; i < header.size(); ++i) {
      require(header.begin(i) == end, "a hole or an overlap");
      end += header.bytes(i);
      require(tensorBytes(header.dtype(i), header.shape(i)) == header.bytes(i), "a shape that does not fit its data");
      require(header.find(header.name(i)) == i, "a name that is not found");
      require(findInvalidUtf8(header.name(i)) == std::string_view::npos, "a name that is not UTF-8");
    }
    require(end < size, "data beyond the file");
    header.metadata();
  } catch (const Error& error) {
    const std::string_view text = error.what();
    require(text.size() < 600, "a long message");
    require(findInvalidUtf8(text) == std::string_view::npos, "a message that is not UTF-8");
    for (const char c : text)
      require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f, "a message with control characters");
  }
  return 0;
}
