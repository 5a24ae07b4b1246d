// Packed layouts, byte for byte, written out from their descriptions: compressed-tensors' pack-quantized and plain
// rows, bitsandbytes' nibbles, ggml's blocks. Canonical codes are given, not made by quantizing. Packing and unpacking
// gives the same bytes.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include <algorithm>

#include "../golden/golden.h"
#include "memory_checks.h"
#include "prepare.h"
#include "refusals.h"

using namespace nib;
using namespace nib::golden;
using namespace nib::tests;

namespace {

struct Packed {
  Bytes codes, zeros;
};

NibRepackDesc repackDesc(uint32_t rows, uint32_t cols, NibLayout layout, const NibWeights& w, uint32_t flags = 0) {
  NibRepackDesc d = selftest::describe<NibRepackDesc>(NIB_OP_REPACK);
  d.flags = flags;
  d.rows = rows;
  d.cols = cols;
  d.layout = layout;
  d.weights = w;
  return d;
}

// Canonical parts to packed ones.
Packed pack(uint32_t rows, uint32_t cols, NibLayout layout, const NibWeights& w, const Bytes& codes,
            const Bytes& scales = {}, const Bytes& zeros = {}) {
  const NibRepackDesc desc = repackDesc(rows, cols, layout, w);
  Ranges ranges(asOp(desc));
  REQUIRE(ranges.valid());
  ranges.write(NIB_ROLE_WEIGHTS, codes);
  if (!scales.empty()) std::memcpy(ranges.scales(), scales.data(), scales.size());
  if (!zeros.empty()) std::memcpy(ranges.zeros(), zeros.data(), zeros.size());
  REQUIRE(ranges.run(rows) == NIB_SUCCESS);
  CHECK(ranges.guardsHold());
  const auto part = [&](NibPart p) {
    const NibMemoryPart& where = ranges.memory.part[p];
    return ranges.read<uint8_t>(NIB_ROLE_OUTPUT, where.offset_bytes, size_t(where.size_bytes));
  };
  return {part(NIB_PART_PACKED_CODES), part(NIB_PART_PACKED_ZEROS)};
}

// And back: codes, scales and zeros, 0xa5 where nothing is written.
Blob unpack(uint32_t rows, uint32_t cols, NibLayout layout, const NibWeights& w, const Packed& packed) {
  const NibRepackDesc desc = repackDesc(rows, cols, layout, w, NIB_REPACK_UNPACK);
  Ranges ranges(asOp(desc));
  REQUIRE(ranges.valid());
  ranges.write(NIB_ROLE_INPUT, packed.codes);
  const NibMemoryPart& zeros = ranges.memory.part[NIB_PART_PACKED_ZEROS];
  if (!packed.zeros.empty())
    std::memcpy(ranges.bytes(NIB_ROLE_INPUT) + zeros.offset_bytes, packed.zeros.data(), packed.zeros.size());
  REQUIRE(ranges.run(rows) == NIB_SUCCESS);
  CHECK(ranges.guardsHold());
  Blob blob;
  const auto part = [&](NibPart p) {
    const NibMemoryPart& where = ranges.memory.part[p];
    return ranges.read<uint8_t>(NIB_ROLE_WEIGHTS, where.offset_bytes, size_t(where.size_bytes));
  };
  blob.codes = part(NIB_PART_CODES);
  blob.scales = part(NIB_PART_SCALES);
  blob.zeros = part(NIB_PART_ZEROS);
  return blob;
}

NibWeights ggmlWeights(uint32_t format) { return weights(format, NIB_GRANULARITY_GROUP, 32, 0, NIB_TYPE_F16); }

// Codes of 4 bits: j for j < 16 and 15 - j from 16 on.
Bytes upAndDown() {
  Bytes codes;
  for (int j = 0; j < 16; j += 2) codes.push_back(uint8_t(j | (j + 1) << 4));
  for (int j = 0; j < 16; j += 2) codes.push_back(uint8_t((15 - j) | (14 - j) << 4));
  return codes;
}

// Bytes of the parts that a layout has instead of the blob's codes and zero points.
struct PackedBytes {
  uint64_t codes, zeros;
};
PackedBytes packedBytes(uint32_t layout, const Extents& shape, const model::Layout& l) {
  const uint64_t rows = shape.rows, cols = shape.cols, bits = l.format->bits;
  switch (layout) {
    case NIB_LAYOUT_ROWS: return {rows * cols * bits / 8, 0};
    case NIB_LAYOUT_PACKED_ROWS: {
      const uint64_t of_rows = l.by_tensor ? 1 : rows, groups = l.by_tensor ? 1 : l.scales_per_row;
      return {l.codes_bytes, l.zeros_bytes == 0 ? 0 : (of_rows * bits + 31) / 32 * groups * 4};
    }
    case NIB_LAYOUT_BITSANDBYTES: return {(rows * cols + 1) / 2, 0};
    case NIB_LAYOUT_WORDS: return {rows * cols * bits / 8, 0};
    default:
      if (l.format->super.groups != 0) {
        const uint64_t of_block = bits == 2             ? 84
                                  : bits == 3           ? 110
                                  : bits == 5           ? 176
                                  : bits == 6           ? 210
                                  : l.format->minimum() ? 144
                                                        : 136;
        return {rows * (cols / 256) * of_block, 0};
      }
      return {rows * ((cols + 31) / 32) * (l.format->minimum() ? 4 : 2) + rows * ((cols + 31) / 32) * 4 * bits, 0};
  }
}

void checkMemory() {
  uint32_t taken = 0;
  forEachWeights([&](const NibWeights& w, const Extents& shape, uint64_t turn) {
    for (const NibLayout layout :
         {NIB_LAYOUT_ROWS, NIB_LAYOUT_PACKED_ROWS, NIB_LAYOUT_BITSANDBYTES, NIB_LAYOUT_GGUF, NIB_LAYOUT_WORDS}) {
      const bool unpack = turn % 2 != 0;
      const NibRepackDesc d = repackDesc(shape.rows, shape.cols, layout, w, unpack ? uint32_t(NIB_REPACK_UNPACK) : 0u);
      NibMemory any{sizeof(NibMemory)};
      if (nibGetMemory(asOp(d), nullptr, &any) == NIB_ERROR_UNSUPPORTED) continue;  // the layout does not hold it
      ++taken;
      const NibMemory memory = memoryOf(d);
      const model::Layout l = model::layoutOf(shape.rows, shape.cols, w);
      checkWeights(memory, l);
      const PackedBytes bytes = packedBytes(layout, shape, l);
      const uint64_t codes = model::roundUp(bytes.codes, 4);
      CHECK(memory.part[NIB_PART_PACKED_CODES].offset_bytes == 0);
      CHECK(memory.part[NIB_PART_PACKED_CODES].size_bytes == codes);
      const uint64_t end = checkNext(memory, NIB_PART_PACKED_ZEROS, codes, bytes.zeros);
      CHECK(memory.range[unpack ? NIB_ROLE_INPUT : NIB_ROLE_OUTPUT].size_bytes == end);
      CHECK(memory.range[unpack ? NIB_ROLE_OUTPUT : NIB_ROLE_INPUT].size_bytes == 0);
      CHECK(memory.range[NIB_ROLE_AUX].size_bytes == 0);
    }
  });
  CHECK(taken > 100);
}

void checkRefusals() {
  using Desc = NibRepackDesc;
  for (const NibFormatInfo* info : scaledFormats()) {
    if (info->bits != 4 && info->bits != 8) continue;
    const Desc right = repackDesc(4, 64, NIB_LAYOUT_ROWS, weights(info->format, NIB_GRANULARITY_GROUP, 32));
    std::vector<Wrong<Desc>> wrong = wrongWeights<Desc>();
    // Its groups run along rows, which this layout has.
    wrong.push_back({"layout rows", kUnsupported, [](Desc& d) { d.weights.flags = NIB_WEIGHTS_FLAT; }});
    wrong.push_back({"layout", kUnsupported, [](Desc& d) { d.layout = 0; }});
    wrong.push_back({"layout", kUnsupported, [](Desc& d) { d.layout = NIB_LAYOUT_WORDS + 1; }});
    wrong.push_back({"layout", kUnsupported, [](Desc& d) { d.layout = NIB_LAYOUT_GGUF; }});
    if (info->bits == 4) wrong.push_back({"layout rows", kUnsupported, [](Desc& d) { d.cols = 63; }});
    expectEachRefused(right, "repack", wrong);
  }
}

}  // namespace

NIB_DEFINE_OP_TEST(repack, .memory = checkMemory, .refusals = checkRefusals)

TEST_CASE("what is packed and unpacked is packed to the same bytes again, in every case of the shared list") {
  uint32_t count = 0;
  for (const model::Format& format : model::formats()) {
    for (const selftest::Case& c : selftest::casesOf(NIB_OP_REPACK, format.id, selftest::Extent::kFull)) {
      NibRepackDesc to = c.as<NibRepackDesc>(), from = to;
      if (to.flags & NIB_REPACK_UNPACK) continue;
      from.flags = NIB_REPACK_UNPACK;
      INFO(c.name());
      Ranges packed(asOp(to)), blob(asOp(from)), again(asOp(to));
      REQUIRE(packed.valid());
      REQUIRE(blob.valid());
      prepare(c, packed);
      const Bytes source = packed.copy(NIB_ROLE_WEIGHTS);
      REQUIRE(packed.run(c.n) == NIB_SUCCESS);
      CHECK(packed.guardsHold());
      CHECK(packed.copy(NIB_ROLE_WEIGHTS) == source);
      blob.write(NIB_ROLE_WEIGHTS, source);  // the caller copies parts that no layout holds
      blob.write(NIB_ROLE_INPUT, packed.copy(NIB_ROLE_OUTPUT));
      REQUIRE(blob.run(c.n) == NIB_SUCCESS);
      CHECK(blob.guardsHold());
      again.write(NIB_ROLE_WEIGHTS, blob.copy(NIB_ROLE_WEIGHTS));
      REQUIRE(again.run(c.n) == NIB_SUCCESS);
      CHECK(firstDifference(again.bytes(NIB_ROLE_OUTPUT), packed.bytes(NIB_ROLE_OUTPUT),
                            packed.size(NIB_ROLE_OUTPUT)) == "");
      ++count;
    }
  }
  CHECK(count > std::min(50u, 10 * nibFormatCount()));  // few formats have few cases
}

TEST_CASE("packed rows of int4: -8..-1 are 0x76543210, zero points go along columns") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT4);
  const NibWeights w = weights(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 16, NIB_WEIGHTS_ASYMMETRIC, NIB_TYPE_F16);
  // 9 rows of 17: three words of codes a row, two groups. Row 0: codes 0..7 in its first word.
  Bytes codes(9 * 12, 0);
  codes[0] = 0x10, codes[1] = 0x32, codes[2] = 0x54, codes[3] = 0x76;
  // Zero points of (row, group): row + 1 in group 0, 15 - row in group 1.
  Bytes zeros;
  for (uint8_t row = 0; row < 9; ++row) zeros.insert(zeros.end(), {uint8_t(row + 1), uint8_t(15 - row)});
  const Packed packed = pack(9, 17, NIB_LAYOUT_PACKED_ROWS, w, codes, {}, zeros);
  CHECK(packed.codes == codes);
  // Word (0, 0): rows 0..7 of group 0: 1..8, the first in the low nibble: 87654321; (0, 1): 15..8: 89abcdef; (1, 0):
  // row 8: 9; (1, 1): 7.
  CHECK(packed.zeros == Bytes{0x21, 0x43, 0x65, 0x87, 0xef, 0xcd, 0xab, 0x89, 9, 0, 0, 0, 7, 0, 0, 0});
  const Blob back = unpack(9, 17, NIB_LAYOUT_PACKED_ROWS, w, packed);
  CHECK(back.codes == codes);
  CHECK(Bytes(back.zeros.begin(), back.zeros.begin() + 18) == zeros);
  CHECK(back.zeros[18] == 0);
  CHECK(back.scales[0] == 0xa5);  // the caller's
}

TEST_CASE("packed rows of int8 are code + 128, zero points too") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);
  const NibWeights w = weights(NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_ASYMMETRIC);
  // One row: -128, -1, 0, 127; zero point -3 (fd): 7d.
  const Packed packed = pack(1, 4, NIB_LAYOUT_PACKED_ROWS, w, {0x80, 0xff, 0x00, 0x7f}, {}, {0xfd});
  CHECK(packed.codes == Bytes{0x00, 0x7f, 0x80, 0xff});
  CHECK(packed.zeros == Bytes{0x7d, 0x00, 0x00, 0x00});
}

TEST_CASE("words of int3 are a dense stream: codes 0, 1, 2, .. modulo 8") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT3);
  // Bit 3i holds the low bit of code i. The first 8 codes are octal 76543210 = 0xfac688, and so are the next.
  const Bytes codes{0x88, 0xc6, 0xfa, 0x88, 0xc6, 0xfa, 0x88, 0xc6, 0xfa, 0x88, 0xc6, 0xfa};
  const NibWeights w = weights(NIB_FORMAT_INT3, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_ASYMMETRIC, NIB_TYPE_F16);
  const Packed packed = pack(1, 32, NIB_LAYOUT_WORDS, w, codes, {}, {7});
  CHECK(packed.codes == codes);
  CHECK(packed.zeros.empty());
  CHECK(unpack(1, 32, NIB_LAYOUT_WORDS, w, packed).codes == codes);
}

TEST_CASE("words of int8 are code + 128") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);
  const NibWeights w = weights(NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0, 0, NIB_TYPE_F16);
  Bytes codes(32, 0x00), words(32, 0x80);
  codes[0] = 0x80, words[0] = 0x00;
  codes[31] = 0x7f, words[31] = 0xff;
  CHECK(pack(1, 32, NIB_LAYOUT_WORDS, w, codes).codes == words);
}

TEST_CASE("plain rows follow each other without padding") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);
  // 3 rows of 3 int8 codes; canonical rows start on words.
  const NibWeights w = weights(NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0);
  const Packed packed = pack(3, 3, NIB_LAYOUT_ROWS, w, {1, 2, 3, 0, 4, 5, 6, 0, 0xff, 8, 9, 0});
  CHECK(packed.codes == Bytes{1, 2, 3, 4, 5, 6, 0xff, 8, 9, 0, 0, 0});
  CHECK(unpack(3, 3, NIB_LAYOUT_ROWS, w, packed).codes == Bytes{1, 2, 3, 0, 4, 5, 6, 0, 0xff, 8, 9, 0});
  if (nibFormatById(NIB_FORMAT_MXFP4) == nullptr) return;
  // MXFP4, the first code in the low nibble: 2 rows of 6 codes are 3 bytes each.
  const NibWeights mx = weights(NIB_FORMAT_MXFP4, NIB_GRANULARITY_GROUP, 32, 0, NIB_TYPE_E8M0);
  CHECK(pack(2, 6, NIB_LAYOUT_ROWS, mx, {0x21, 0x43, 0x65, 0, 0xba, 0xdc, 0xfe, 0}).codes ==
        Bytes{0x21, 0x43, 0x65, 0xba, 0xdc, 0xfe, 0, 0});
}

TEST_CASE("bitsandbytes has the first code in the high nibble") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_NF4);
  // Codes 1, 2, 3, .. of a flat 3 x 3: bytes 12 34 56 78 90.
  const NibWeights w = weights(NIB_FORMAT_NF4, NIB_GRANULARITY_GROUP, 64, NIB_WEIGHTS_FLAT);
  const Bytes codes{0x21, 0x43, 0x65, 0x87, 0x09, 0, 0, 0};
  const Packed packed = pack(3, 3, NIB_LAYOUT_BITSANDBYTES, w, codes);
  CHECK(packed.codes == Bytes{0x12, 0x34, 0x56, 0x78, 0x90, 0, 0, 0});
  CHECK(unpack(3, 3, NIB_LAYOUT_BITSANDBYTES, w, packed).codes == codes);
}

TEST_CASE("ggml blocks of Q4_0: scale, then codes j and j + 16 in a byte") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q4_0);
  const NibWeights w = ggmlWeights(NIB_FORMAT_Q4_0);
  const Bytes codes = upAndDown();
  // Bytes (15 - j) << 4 | j.
  Bytes wanted{0x34, 0x12};
  for (int j = 0; j < 16; ++j) wanted.push_back(uint8_t((15 - j) << 4 | j));
  const Packed packed = pack(1, 32, NIB_LAYOUT_GGUF, w, codes, {0x34, 0x12});
  CHECK(packed.codes == Bytes{0x34, 0x12, 0xf0, 0xe1, 0xd2, 0xc3, 0xb4, 0xa5, 0x96, 0x87,
                              0x78, 0x69, 0x5a, 0x4b, 0x3c, 0x2d, 0x1e, 0x0f, 0,    0});
  CHECK(Bytes(packed.codes.begin(), packed.codes.begin() + 18) == wanted);
  const Blob back = unpack(1, 32, NIB_LAYOUT_GGUF, w, packed);
  CHECK(back.codes == codes);
  CHECK(back.scales == Bytes{0x34, 0x12, 0, 0});
}

TEST_CASE("ggml blocks of Q4_1: scale, minimum, then codes; the second block starts at byte 20") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q4_1);
  const NibWeights w = ggmlWeights(NIB_FORMAT_Q4_1);
  Bytes two = upAndDown();
  const Bytes codes = two;
  two.insert(two.end(), codes.begin(), codes.end());
  const Packed packed = pack(2, 32, NIB_LAYOUT_GGUF, w, two, {1, 2, 3, 4}, {5, 6, 7, 8});
  CHECK(packed.codes.size() == 40);
  CHECK(Bytes(packed.codes.begin(), packed.codes.begin() + 6) == Bytes{1, 2, 5, 6, 0xf0, 0xe1});
  CHECK(Bytes(packed.codes.begin() + 20, packed.codes.begin() + 26) == Bytes{3, 4, 7, 8, 0xf0, 0xe1});
  const Blob back = unpack(2, 32, NIB_LAYOUT_GGUF, w, packed);
  CHECK(back.codes == two);
  CHECK(back.scales == Bytes{1, 2, 3, 4});
  CHECK(back.zeros == Bytes{5, 6, 7, 8});
}

TEST_CASE("ggml blocks of Q5_0: scale, fifth bits, then the low bits of codes j and j + 16 in a byte") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q5_0);
  const NibWeights w = ggmlWeights(NIB_FORMAT_Q5_0);
  // Codes 0..31 (the bytes of q5_0_test.cpp): fifth bits of 16..31 set; low nibbles j and j again.
  const Bytes dense{0x20, 0x88, 0x41, 0x8a, 0x39, 0x28, 0xa9, 0xc5, 0x9a, 0x7b,
                    0x30, 0xca, 0x49, 0xab, 0xbd, 0x38, 0xeb, 0xcd, 0xbb, 0xff};
  const Packed packed = pack(1, 32, NIB_LAYOUT_GGUF, w, dense, {0x00, 0x3c});
  CHECK(packed.codes == Bytes{0x00, 0x3c, 0x00, 0x00, 0xff, 0xff, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55,
                              0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0,    0});
  CHECK(unpack(1, 32, NIB_LAYOUT_GGUF, w, packed).codes == dense);
}

TEST_CASE("ggml blocks of Q8_0: 34 bytes, the codes in order") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q8_0);
  Bytes bytes;
  for (int j = 0; j < 32; ++j) bytes.push_back(uint8_t(j * 7));
  const Packed packed = pack(1, 32, NIB_LAYOUT_GGUF, ggmlWeights(NIB_FORMAT_Q8_0), bytes, {0xaa, 0xbb});
  Bytes eight{0xaa, 0xbb};
  eight.insert(eight.end(), bytes.begin(), bytes.end());
  eight.insert(eight.end(), {0, 0});
  CHECK(packed.codes == eight);
}

TEST_CASE("layouts refuse what they cannot hold") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT4);
  NIB_GOLDEN_NEEDS(NIB_FORMAT_NF4);
  NibMemory memory{sizeof(NibMemory)};
  const auto result = [&](uint32_t cols, uint32_t layout, const NibWeights& w) {
    const NibRepackDesc desc = repackDesc(4, cols, NibLayout(layout), w);
    return nibGetMemory(asOp(desc), nullptr, &memory);
  };
  const NibWeights int4 = weights(NIB_FORMAT_INT4, NIB_GRANULARITY_ROW, 0);
  const NibWeights nf4 = weights(NIB_FORMAT_NF4, NIB_GRANULARITY_GROUP, 64);
  const NibWeights q4 = weights(NIB_FORMAT_Q4_0, NIB_GRANULARITY_GROUP, 32, 0, NIB_TYPE_F16);
  CHECK(result(32, NIB_LAYOUT_ROWS, int4) == NIB_SUCCESS);
  CHECK(result(33, NIB_LAYOUT_ROWS, int4) == NIB_ERROR_UNSUPPORTED);
  CHECK(result(33, NIB_LAYOUT_PACKED_ROWS, int4) == NIB_SUCCESS);
  CHECK(result(32, NIB_LAYOUT_BITSANDBYTES, int4) == NIB_ERROR_UNSUPPORTED);
  CHECK(result(32, NIB_LAYOUT_GGUF, int4) == NIB_ERROR_UNSUPPORTED);
  CHECK(result(32, NIB_LAYOUT_BITSANDBYTES, nf4) == NIB_ERROR_UNSUPPORTED);
  if (nibFormatById(NIB_FORMAT_Q4_0) != nullptr) CHECK(result(32, NIB_LAYOUT_GGUF, q4) == NIB_SUCCESS);
  CHECK(result(33, NIB_LAYOUT_GGUF, q4) == NIB_ERROR_UNSUPPORTED);
  CHECK(result(32, 0, int4) == NIB_ERROR_UNSUPPORTED);
  CHECK(result(32, 6, int4) == NIB_ERROR_UNSUPPORTED);
  CHECK(result(32, NIB_LAYOUT_WORDS, int4) == NIB_SUCCESS);
  CHECK(result(40, NIB_LAYOUT_WORDS, int4) == NIB_ERROR_UNSUPPORTED);
  CHECK(result(32, NIB_LAYOUT_WORDS, nf4) == NIB_ERROR_UNSUPPORTED);
}
