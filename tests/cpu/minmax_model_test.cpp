// Min/max against the definition in double precision (model.h), and each rule in a test of its own.
#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

#include "memory_checks.h"
#include "model_ops.h"
#include "prepare.h"
#include "refusals.h"

using namespace nib;
using namespace nib::tests;

namespace {

NibMinMaxDesc minmaxDesc(uint32_t rows, uint32_t cols, NibGranularity granularity, NibType type = NIB_TYPE_F32) {
  NibMinMaxDesc d = selftest::describe<NibMinMaxDesc>(NIB_OP_MINMAX);
  d.rows = rows;
  d.cols = cols;
  d.source_type = type;
  d.granularity = granularity;
  return d;
}

// The four words of each extent of a matrix of bit patterns.
template <class T>
std::vector<uint32_t> extents(const NibMinMaxDesc& d, const std::vector<T>& patterns, uint32_t count) {
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  ranges.write(NIB_ROLE_INPUT, patterns);
  REQUIRE(ranges.run(d.rows) == NIB_SUCCESS);
  CHECK(ranges.guardsHold());
  return ranges.words(NIB_ROLE_OUTPUT, 0, 4 * count);
}

using Words = std::vector<uint32_t>;
constexpr uint32_t kNan = 0x7fc00000u, kInf = 0x7f800000u, kSign = 0x80000000u, kOne = 0x3f800000u, kTwo = 0x40000000u;

void checkMemory() {
  for (const Extents& shape : kExtents) {
    for (uint32_t type = 0; type < 3; ++type) {
      for (const uint32_t extra : {0u, 3u}) {
        if ((uint64_t(shape.cols) + extra) * shape.rows > kMostElements) continue;
        for (const NibGranularity granularity : {NIB_GRANULARITY_TENSOR, NIB_GRANULARITY_ROW, NIB_GRANULARITY_COLUMN}) {
          NibMinMaxDesc d = minmaxDesc(shape.rows, shape.cols, granularity, NibType(type));
          d.source_stride = extra != 0 ? shape.cols + extra : 0;
          const NibMemory memory = memoryOf(d);
          const uint64_t count = granularity == NIB_GRANULARITY_TENSOR ? 1
                                 : granularity == NIB_GRANULARITY_ROW  ? shape.rows
                                                                       : shape.cols;
          CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == 16 * count);
          CHECK(memory.range[NIB_ROLE_INPUT].size_bytes ==
                denseBytes(shape.rows, shape.cols, uint64_t(shape.cols) + extra, type));
          CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 0);
          checkAux(memory, false);
        }
      }
    }
  }
}

void checkRefusals() {
  using Desc = NibMinMaxDesc;
  Desc right = minmaxDesc(4, 64, NIB_GRANULARITY_ROW);
  right.source_stride = 66;
  expectEachRefused<Desc>(right, "minmax",
                          {
                              {"rows", kInvalid, [](Desc& d) { d.rows = 0; }},
                              {"cols", kInvalid, [](Desc& d) { d.cols = 0; }},
                              {"rows", kInvalid, [](Desc& d) { d.rows = d.cols = d.source_stride = 65536; }},
                              {"flags", kInvalid, [](Desc& d) { d.flags = 1; }},
                              {"source_type", kInvalid, [](Desc& d) { d.source_type = 3; }},
                              {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 63; }},
                              {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 0x40000000u; }},
                              {"granularity", kInvalid, [](Desc& d) { d.granularity = NIB_GRANULARITY_GROUP; }},
                              {"granularity", kInvalid, [](Desc& d) { d.granularity = 4; }},
                          });
}

}  // namespace

NIB_DEFINE_OP_TEST(minmax, .memory = checkMemory, .refusals = checkRefusals)

TEST_CASE("minmax gives the model's bytes for every case of the shared list") {
  const std::vector<selftest::Case> list = selftest::casesOf(NIB_OP_MINMAX, 0, selftest::Extent::kFull);
  CHECK(list.size() >= 100);
  for (const selftest::Case& c : list) {
    Ranges ranges(c.desc());
    REQUIRE(ranges.valid());
    prepare(c, ranges);
    model::Bytes result = ranges.copy(NIB_ROLE_OUTPUT);
    const model::Bytes source = ranges.copy(NIB_ROLE_INPUT);
    model::minmax(c.as<NibMinMaxDesc>(), source.data(), c.n, result);
    REQUIRE(ranges.run(c.n) == NIB_SUCCESS);
    const std::string difference = firstDifference(ranges.bytes(NIB_ROLE_OUTPUT), result.data(), result.size());
    if (!difference.empty() || !ranges.guardsHold() || ranges.copy(NIB_ROLE_INPUT) != source) {
      INFO(c.name());
      CHECK(ranges.guardsHold());
      CHECK(difference == "");
    }
  }
}

TEST_CASE("minmax treats negative zero and denormals as positive zero") {
  const NibMinMaxDesc d = minmaxDesc(1, 4, NIB_GRANULARITY_TENSOR);
  CHECK(extents(d, Words{kSign, kSign, kSign, kSign}, 1) == Words{0, 0, 0, 0});
  CHECK(extents(d, Words{kSign, 0, kSign, 0}, 1) == Words{0, 0, 0, 0});
  CHECK(extents(d, Words{0x807fffffu, 0x00000001u, 0x007fffffu, kSign}, 1) == Words{0, 0, 0, 0});
  // The smallest normal numbers keep their values, and a denormal beside them counts as zero.
  CHECK(extents(d, Words{0x00800000u, 0x00800001u, 0x00000001u, 0x00800002u}, 1) ==
        Words{0, 0x00800002u, 0x00800002u, 0});
  CHECK(extents(d, Words{0x80800000u, 0x80800001u, 0x80800000u, 0x80800003u}, 1) ==
        Words{0x80800003u, 0x80800000u, 0x00800003u, 0});
}

TEST_CASE("minmax counts non-finite values separately, and gives zeros if no value is finite") {
  const NibMinMaxDesc d = minmaxDesc(1, 4, NIB_GRANULARITY_TENSOR);
  CHECK(extents(d, Words{kNan, kNan | kSign, kInf, kInf | kSign}, 1) == Words{0, 0, 0, 4});
  CHECK(extents(d, Words{kNan, kOne, kInf, kTwo}, 1) == Words{kOne, kTwo, kTwo, 2});
  // A signalling NaN and a NaN with all bits set are NaNs too.
  CHECK(extents(d, Words{0x7f800001u, kOne | kSign, 0xffffffffu, kTwo | kSign}, 1) ==
        Words{kTwo | kSign, kOne | kSign, kTwo, 2});
  // The largest finite values are finite.
  CHECK(extents(d, Words{0x7f7fffffu, 0xff7fffffu, 0, 0}, 1) == Words{0xff7fffffu, 0x7f7fffffu, 0x7f7fffffu, 0});
}

TEST_CASE("minmax of values of one sign does not include zero") {
  const NibMinMaxDesc d = minmaxDesc(1, 2, NIB_GRANULARITY_TENSOR);
  CHECK(extents(d, Words{kOne, kTwo}, 1) == Words{kOne, kTwo, kTwo, 0});
  CHECK(extents(d, Words{kOne | kSign, kTwo | kSign}, 1) == Words{kTwo | kSign, kOne | kSign, kTwo, 0});
}

TEST_CASE("minmax per row and per column writes extent i at index i") {
  // 1 -2 | NaN 2: rows, then columns.
  const Words matrix{kOne, kTwo | kSign, kNan, kTwo};
  CHECK(extents(minmaxDesc(2, 2, NIB_GRANULARITY_ROW), matrix, 2) ==
        Words{kTwo | kSign, kOne, kTwo, 0, kTwo, kTwo, kTwo, 1});
  CHECK(extents(minmaxDesc(2, 2, NIB_GRANULARITY_COLUMN), matrix, 2) ==
        Words{kOne, kOne, kOne, 1, kTwo | kSign, kTwo, kTwo, 0});
}

TEST_CASE("minmax keeps half denormals, and reads bfloat16 denormals as zero") {
  // Half 0x8001 = -2^-24 = fp32 0xb3800000; 0x03ff = 1023 * 2^-24 = 1.998046875 * 2^-15: 0x387fc000.
  CHECK(extents(minmaxDesc(1, 2, NIB_GRANULARITY_TENSOR, NIB_TYPE_F16), std::vector<uint16_t>{0x8001, 0x03ff}, 1) ==
        Words{0xb3800000u, 0x387fc000u, 0x387fc000u, 0});
  CHECK(extents(minmaxDesc(1, 2, NIB_GRANULARITY_TENSOR, NIB_TYPE_BF16), std::vector<uint16_t>{0x807f, 0x0001}, 1) ==
        Words{0, 0, 0, 0});
  CHECK(extents(minmaxDesc(1, 2, NIB_GRANULARITY_TENSOR, NIB_TYPE_F16), std::vector<uint16_t>{0xfc00, 0x7bff}, 1) ==
        Words{0x477fe000u, 0x477fe000u, 0x477fe000u, 1});
}

TEST_CASE("minmax with a stride skips the elements between rows") {
  NibMinMaxDesc d = minmaxDesc(2, 1, NIB_GRANULARITY_TENSOR);
  d.source_stride = 3;
  CHECK(extents(d, Words{kOne, kNan, 0x7f7fffffu, kTwo}, 1) == Words{kOne, kTwo, kTwo, 0});
}
