// Invalid descriptions: each field of every op once, and modes and strides that formats do not allow.
#include <nibble/formats.h>

#include "refusals.h"

using namespace nib;
using namespace nib::tests;

namespace nib::tests {
#define NIB_OP_ROW(name) extern const OpTest kOpTest_##name;
#include "ops.inc"
#undef NIB_OP_ROW
}  // namespace nib::tests

TEST_CASE("every op reports the wrong field of its description") {
#define NIB_OP_ROW(name) kOpTest_##name.refusals();
#include "ops.inc"
#undef NIB_OP_ROW
}

TEST_CASE("formats refuse the modes they do not have") {
  for (const NibFormatInfo* info : scaledFormats()) {
    for (const uint32_t flag : {uint32_t(NIB_WEIGHTS_ASYMMETRIC), uint32_t(NIB_WEIGHTS_NARROW),
                                uint32_t(NIB_WEIGHTS_FLAT), uint32_t(NIB_WEIGHTS_FOUR_BITS)}) {
      const NibQuantizeDesc d = quantizeDesc(4, 64, weights(info->format, NIB_GRANULARITY_GROUP, 64, flag));
      NibMemory memory{sizeof(NibMemory)};
      if ((info->weights_flags & flag) != 0) {
        CHECK(nibGetMemory(asOp(d), nullptr, &memory) == NIB_SUCCESS);
      } else {
        expectRefused(asOp(d), kUnsupported, "quantize", "weights.flags");
      }
    }
    const uint32_t both = NIB_WEIGHTS_ASYMMETRIC | NIB_WEIGHTS_NARROW;
    if ((info->weights_flags & both) == both) {
      const NibQuantizeDesc d = quantizeDesc(4, 64, weights(info->format, NIB_GRANULARITY_ROW, 0, both));
      expectRefused(asOp(d), kInvalid, "quantize", "weights.flags");
    }
    // A group size of 0 means the format's default, and is an error for a format without one.
    const NibQuantizeDesc usual = quantizeDesc(4, 64, weights(info->format, NIB_GRANULARITY_GROUP, 0));
    NibMemory memory{sizeof(NibMemory)};
    if (info->default_group_size != 0) {
      CHECK(nibGetMemory(asOp(usual), nullptr, &memory) == NIB_SUCCESS);
    } else {
      expectRefused(asOp(usual), kInvalid, "quantize", "weights.group_size");
    }
  }
}

TEST_CASE("an odd stride of a 16-bit result is refused only where a second row would not start on a word") {
  if (nibFormatById(NIB_FORMAT_INT4) == nullptr) return;
  NibDequantizeDesc d = dequantizeDesc(1, 7, weights(NIB_FORMAT_INT4, NIB_GRANULARITY_ROW, 0), NIB_TYPE_F16);
  d.result_stride = 7;
  NibMemory memory{sizeof(NibMemory)};
  CHECK(nibGetMemory(asOp(d), nullptr, &memory) == NIB_SUCCESS);
  d.rows = 2;
  CHECK(nibGetMemory(asOp(d), nullptr, &memory) == NIB_ERROR_INVALID_ARGUMENT);
  d.result_type = NIB_TYPE_F32;
  CHECK(nibGetMemory(asOp(d), nullptr, &memory) == NIB_SUCCESS);
}

TEST_CASE("an op that this build lacks is unsupported, and NULL is an error") {
  for (const uint32_t op : {0u, 1000u, 0x7fffffffu, UINT32_MAX}) {
    NibOpDesc desc{};
    desc.op = op;
    expectRefused(&desc, kUnsupported, "desc.op", "op");
  }
  LogLines lines;
  const NibLog log = lines.log();
  NibMemory memory{sizeof(NibMemory)};
  CHECK(nibGetMemory(nullptr, &log, &memory) == kInvalid);
  NibMinMaxDesc d = selftest::describe<NibMinMaxDesc>(NIB_OP_MINMAX);
  d.rows = d.cols = 1;
  d.granularity = NIB_GRANULARITY_ROW;
  CHECK(nibGetMemory(asOp(d), &log, nullptr) == kInvalid);
  CHECK(lines.lines.size() == 2);
  // A log without a function is allowed.
  const NibLog silent{};
  CHECK(nibGetMemory(nullptr, &silent, &memory) == kInvalid);
}

TEST_CASE("formats with super-blocks refuse other scales, other groups and more than 2^32 scales") {
  for (uint32_t i = 0; const NibFormatInfo* info = nibFormatAt(i); ++i) {
    if ((info->flags & NIB_FORMAT_SUPER_BLOCKS) == 0) continue;
    INFO(info->name);
    const NibQuantizeDesc right =
        quantizeDesc(4, 64, weights(info->format, NIB_GRANULARITY_GROUP, 0, 0, NIB_TYPE_BYTE));
    NibMemory memory{sizeof(NibMemory)};
    CHECK(nibGetMemory(asOp(right), nullptr, &memory) == NIB_SUCCESS);
    const auto refused = [&](auto&& change, NibResult code, const char* field) {
      NibQuantizeDesc d = right;
      change(d);
      expectRefused(asOp(d), code, "quantize", field);
    };
    refused([](auto& d) { d.weights.scale_type = NIB_TYPE_F16; }, kUnsupported, "weights.scale_type");
    refused([](auto& d) { d.weights.group_size = 256; }, kInvalid, "weights.group_size");
    refused([](auto& d) { d.weights.granularity = NIB_GRANULARITY_ROW; }, kUnsupported, "weights.granularity");
    refused([](auto& d) { d.weights.flags = NIB_WEIGHTS_FLAT; }, kUnsupported, "weights.flags");
    refused([](auto& d) { d.weights.flags = NIB_WEIGHTS_ASYMMETRIC; }, kUnsupported, "weights.flags");
    refused([](auto& d) { d.flags = NIB_QUANTIZE_GIVEN_SCALES; }, kUnsupported, "flags");
    refused([](auto& d) { d.rows = 1u << 30, d.cols = 1; }, kInvalid, "2^32 scales");
    NibRepackDesc repack = selftest::describe<NibRepackDesc>(NIB_OP_REPACK);
    repack.rows = 4;
    repack.cols = 320;
    repack.layout = NIB_LAYOUT_GGUF;
    repack.weights = right.weights;
    expectRefused(asOp(repack), kUnsupported, "repack", "multiple of 256");
  }
}
