// Ranges larger than the device's largest storage range, and more workgroups than one dispatch may have: covered by
// windows and several dispatches, with the same bytes.
#include <nibble/formats.h>

#include <algorithm>
#include <set>

#include "plan/plan.h"
#include "gpu/gpu_test.h"

using namespace nib;
using namespace nib::tests;

namespace {

// What the device has, but for the ranges.
NibRestrict narrow(uint64_t range_bytes, uint32_t alignment, uint32_t workgroups) {
  const kit::AdoptDesc adopted = adoption();
  NibRestrict restriction{};
  if (adopted.restriction != nullptr) {
    restriction = *adopted.restriction;
  } else {
    restriction.features_mask = NIB_FEATURE_ALL;
  }
  restriction.max_storage_range_bytes = range_bytes;
  restriction.min_offset_alignment_bytes = std::max(restriction.min_offset_alignment_bytes, alignment);
  restriction.max_workgroup_count = workgroups;
  return restriction;
}

// The most windows that a phase of the plan needs.
uint32_t windowsOf(const kit::Plan& plan) {
  uint32_t most = 0;
  for (uint32_t p = 0; p < plan.handle()->phase_count; ++p) most = std::max(most, plan.handle()->phase[p].segment_count);
  return most;
}

cases::Case quantize(uint32_t format, uint32_t rows, uint32_t cols, NibGranularity granularity, uint32_t group = 0,
                     uint32_t flags = 0, cases::Recipe recipe = cases::Recipe::kBits) {
  cases::Case c;
  c.recipe = recipe;
  c.seed = 11 + rows;
  c.n = rows;
  NibQuantizeDesc& d = c.desc.quantize;
  d.op = NIB_OP_QUANTIZE;
  d.flags = NIB_QUANTIZE_STATUS;
  d.rows = rows;
  d.cols = cols;
  d.weights = {format, uint32_t(granularity), group, NIB_TYPE_F32, flags};
  return c;
}

cases::Case dequantize(uint32_t format, uint32_t rows, uint32_t cols, NibGranularity granularity, uint32_t group = 0) {
  cases::Case c;
  c.seed = 12 + rows;
  c.n = rows;
  NibDequantizeDesc& d = c.desc.dequantize;
  d.op = NIB_OP_DEQUANTIZE;
  d.rows = rows;
  d.cols = cols;
  d.weights = {format, uint32_t(granularity), group, NIB_TYPE_F16, 0};
  return c;
}

cases::Case minmax(uint32_t rows, uint32_t cols, NibGranularity granularity) {
  cases::Case c;
  c.recipe = cases::Recipe::kBits;
  c.seed = 13 + rows;
  c.n = rows;
  NibMinMaxDesc& d = c.desc.minmax;
  d.op = NIB_OP_MINMAX;
  d.rows = rows;
  d.cols = cols;
  d.granularity = granularity;
  return c;
}

cases::Case convert(uint32_t rows, uint32_t cols, NibType source, NibType result) {
  cases::Case c;
  c.recipe = cases::Recipe::kBits;
  c.seed = 14 + rows;
  c.n = rows;
  c.desc.convert = {NIB_OP_CONVERT, NIB_CONVERT_STATUS, rows, cols, uint32_t(source), 0, uint32_t(result), 0};
  return c;
}

cases::Case errors(uint32_t rows, uint32_t cols, NibType reference, NibType candidate) {
  cases::Case c;
  c.recipe = cases::Recipe::kNonFinite;
  c.seed = 15 + rows;
  c.n = rows;
  c.desc.errors = {NIB_OP_ERRORS, 0, rows, cols, uint32_t(reference), 0, uint32_t(candidate), 0};
  return c;
}

cases::Case product(uint32_t rows, uint32_t tokens, uint32_t cols) {
  cases::Case c;
  c.seed = 16 + rows;
  c.n = tokens;
  const NibWeights codes{NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0, NIB_TYPE_F32, 0};
  c.desc.int8_gemm = {NIB_OP_INT8_GEMM, 0, rows, cols, tokens, 0, 0, NIB_TYPE_F32, 0, 0, 0, 0, 0, 0, codes, codes};
  return c;
}

// Tokens that start within a word, which are copied before their product; so far apart that the copy fits a window they
// do not fit.
cases::Case unaligned(uint32_t rows, uint32_t tokens, uint32_t cols) {
  cases::Case c;
  c.recipe = cases::Recipe::kExact;
  c.seed = 18 + rows;
  c.n = tokens;
  NibMatmulDesc& d = c.desc.matmul;
  d.op = NIB_OP_MATMUL;
  d.rows = rows;
  d.cols = cols;
  d.tokens = tokens;
  d.input_type = NIB_TYPE_F16;
  d.input_stride = 5 * cols + 1;
  d.result_type = NIB_TYPE_F32;
  d.weights.format = NIB_FORMAT_DENSE;
  d.weights.scale_type = NIB_TYPE_F32;
  return c;
}

// Tokens as codes, decoded first, whose columns the copy takes from all over a token.
cases::Case ordered(uint32_t rows, uint32_t tokens, uint32_t cols) {
  cases::Case c = unaligned(rows, tokens, cols);
  NibMatmulDesc& d = c.desc.matmul;
  d.flags = NIB_PRODUCT_ORDER;
  d.input_stride = 0;
  d.input = {NIB_FORMAT_FP8, NIB_GRANULARITY_ROW, 0, NIB_TYPE_F32, 0};
  return c;
}

cases::Case histogram(uint32_t rows, uint32_t cols, NibGranularity granularity) {
  cases::Case c;
  c.recipe = cases::Recipe::kBits;
  c.seed = 16 + rows;
  c.n = rows;
  c.desc.histogram = {NIB_OP_HISTOGRAM, NIB_HISTOGRAM_SIGNED | NIB_HISTOGRAM_ACCUMULATE, rows, cols, NIB_TYPE_F32, 0,
                      uint32_t(granularity), 1024};
  return c;
}

cases::Case moments(uint32_t rows, uint32_t cols, NibGranularity granularity) {
  cases::Case c;
  c.recipe = cases::Recipe::kNonFinite;
  c.seed = 17 + rows;
  c.n = rows;
  c.desc.moments = {NIB_OP_MOMENTS, 0, rows, cols, NIB_TYPE_F32, 0, uint32_t(granularity)};
  return c;
}

}  // namespace

TEST_SUITE_BEGIN("windows");

TEST_CASE_FIXTURE(Gpu, "a tensor beyond the range of 128 MiB that every device has is covered by windows") {
  if (validating()) return;  // instrumented shaders need minutes for this much
  constexpr uint64_t kRange = uint64_t(128) << 20;
  const kit::Device wide = device().restricted(narrow(kRange, 0, 65535));
  // 36 Mi fp32 elements are 144 MiB, on 2 or 3 long rows or many short ones.
  constexpr uint32_t kLong = 12u << 20, kMany = 36u << 10;
  std::vector<cases::Case> list = {
      quantize(NIB_FORMAT_INT4, 3, kLong, NIB_GRANULARITY_GROUP, 128),
      quantize(NIB_FORMAT_INT8, 3, kLong, NIB_GRANULARITY_ROW),
      quantize(NIB_FORMAT_INT8, kMany, 1024, NIB_GRANULARITY_COLUMN),
      // More elements than fp32 can count, and not the zero group.
      quantize(NIB_FORMAT_TERNARY, 3, kLong + 1, NIB_GRANULARITY_TENSOR, 0, 0, cases::Recipe::kOutlier),
      dequantize(NIB_FORMAT_INT4, 3, kLong, NIB_GRANULARITY_GROUP, 32),
      minmax(3, kLong + 5, NIB_GRANULARITY_TENSOR),
      convert(3, kLong, NIB_TYPE_F32, NIB_TYPE_F16),
      errors(3, kLong + 3, NIB_TYPE_F32, NIB_TYPE_BF16),
      product(kMany, 2, 4096), product(2, kMany, 4096)};
  if (extent() == cases::Extent::kFull) {
    list.push_back(quantize(NIB_FORMAT_INT8, kMany, 1024, NIB_GRANULARITY_ROW));
    list.push_back(quantize(NIB_FORMAT_INT4, 3, kLong + 1, NIB_GRANULARITY_TENSOR));
    list.push_back(quantize(NIB_FORMAT_NF4, 3, kLong + 7, NIB_GRANULARITY_GROUP, 64, NIB_WEIGHTS_FLAT));
    list.push_back(dequantize(NIB_FORMAT_INT8, kMany, 1023, NIB_GRANULARITY_COLUMN));
    list.push_back(minmax(kMany, 1023, NIB_GRANULARITY_COLUMN));
    list.push_back(minmax(3, kLong, NIB_GRANULARITY_ROW));
    list.push_back(histogram(3, kLong + 5, NIB_GRANULARITY_TENSOR));
    list.push_back(histogram(kMany, 1023, NIB_GRANULARITY_COLUMN));
    list.push_back(moments(3, kLong + 5, NIB_GRANULARITY_TENSOR));
    list.push_back(moments(kMany, 1023, NIB_GRANULARITY_COLUMN));
    list.push_back(convert(kMany, 1025, NIB_TYPE_BF16, NIB_TYPE_F32));
    list.push_back(errors(kMany, 1024, NIB_TYPE_F16, NIB_TYPE_F32));
    // Codes that are themselves too large.
    list.push_back(quantize(NIB_FORMAT_INT8, 3, 46u << 20, NIB_GRANULARITY_GROUP, 128));
  }
  for (const cases::Case& c : list) {
    if (c.format() != 0 && nibFormatById(c.format()) == nullptr) continue;
    CHECK_MESSAGE(windowsOf(kit::Plan(wide, &c.desc.op, c.descBytes())) > 1, c.name());
    checkCase(wide, c);
  }
}

TEST_CASE_FIXTURE(Gpu, "small windows, ranges at any multiple of 16 and few workgroups per dispatch change no byte") {
  // The most restrictive that a case can be planned with is taken: scales and scratch need a window of their own.
  const uint64_t ranges[] = {4096, 16384, 65536, 262144};
  const uint64_t offsets[] = {16, 48, 272, 1040, 256 + 240};
  std::vector<kit::Device> devices;
  for (const uint64_t range : ranges) devices.push_back(device().restricted(narrow(range, 256, 7)));
  std::set<std::string> windowed;  // kernels that ran in several windows
  uint32_t turn = 0, count = 0;
  for (const OpFormat& what : opFormats()) {
    std::vector<cases::Case> list = tests::casesOf(what, 6);
    // Tiles of a CPU's histograms are as large as the lists' tensors.
    if (what.op == NIB_OP_HISTOGRAM) list.push_back(histogram(9, 20000, NIB_GRANULARITY_ROW));
    if (what.op == NIB_OP_MATMUL && what.format == NIB_FORMAT_DENSE) {
      list.push_back(unaligned(16, 37, 258));
      if (nibFormatById(NIB_FORMAT_FP8) != nullptr) list.push_back(ordered(16, 137, 258));
    }
    for (const cases::Case& c : list) {
      for (const kit::Device& small : devices) {
        uint32_t windows = 0;
        try {
          const kit::Plan plan(small, &c.desc.op, c.descBytes());
          for (uint32_t p = 0; p < plan.handle()->phase_count; ++p) {
            const Phase& phase = plan.handle()->phase[p];
            if (phase.segment_count > 1) windowed.insert(phase.row->module);
          }
          windows = windowsOf(plan);
        } catch (const kit::Error& error) {
          CHECK_MESSAGE(error.result() == NIB_ERROR_UNSUPPORTED, c.name() << ": " << error.what());
          continue;  // does not fit: the next larger range
        }
        if (windows < 2) break;
        cases::Way way;
        way.range_offset_bytes = offsets[turn++ % (sizeof offsets / sizeof offsets[0])];
        checkCase(small, c, way);
        ++count;
        break;
      }
    }
  }
  MESSAGE(count << " cases in several windows");
  // Every kernel that walks a large operand.
  for (const char* name : {"quantize", "encode", "dequantize", "reduce", "convert", "errors", "matvec", "matinput", "int8_gemm",
                           "histogram", "moments"}) {
    const bool found = std::any_of(windowed.begin(), windowed.end(), [&](const std::string& module) { return module.rfind(name, 0) == 0; });
    CHECK_MESSAGE(found, "no case of " << std::string(name) << " needed several windows");
  }
}

TEST_CASE_FIXTURE(Gpu, "a window that a single tile does not fit into is refused while planning") {
  const kit::Device small = device().restricted(narrow(512, 256, 65535));
  const cases::Case c = quantize(NIB_FORMAT_INT8, 8, 1024, NIB_GRANULARITY_ROW);
  if (nibFormatById(NIB_FORMAT_INT8) == nullptr) return;
  NibResult result = NIB_SUCCESS;
  try {
    const kit::Plan plan(small, &c.desc.op, c.descBytes());
  } catch (const kit::Error& error) {
    result = error.result();
  }
  CHECK(result == NIB_ERROR_UNSUPPORTED);
}

TEST_SUITE_END();
