// Ranges larger than the device's largest storage range, and more workgroups than one dispatch may have: covered by
// windows and several dispatches, with the same bytes.
#include <nibble/formats.h>

#include <algorithm>
#include <set>

#include "gpu/gpu_test.h"
#include "plan/plan.h"

using namespace nib;
using namespace nib::tests;

namespace {

// The device's features with smaller ranges.
NibRestrict narrow(uint64_t range_bytes, uint32_t alignment, uint32_t workgroups) {
  const kit::AdoptDesc adopted = adoption();
  NibRestrict restriction{sizeof(NibRestrict)};
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
  for (uint32_t p = 0; p < plan.handle()->phase_count; ++p)
    most = std::max(most, plan.handle()->phase[p].segment_count);
  return most;
}

}  // namespace

TEST_SUITE_BEGIN("windows");

TEST_CASE_FIXTURE(Gpu, "a tensor beyond the guaranteed range of 128 MiB is covered by windows") {
  if (validating()) return;  // instrumented shaders need minutes for this size
  constexpr uint64_t kRange = uint64_t(128) << 20;
  const kit::Device wide = device().restricted(narrow(kRange, 0, 65535));
  uint32_t count = 0;
  for (const OpFormat& what : opFormats()) {
    for (const selftest::Case& c : tests::largeCases(selftest::Large::kWindows, what)) {
      CHECK_MESSAGE(windowsOf(selftest::planOf(wide, c)) > 1, c.name());
      checkCase(wide, c);
      ++count;
    }
  }
  CHECK(count > 0);
}

TEST_CASE_FIXTURE(Gpu, "small windows, ranges at multiples of 16 and few workgroups per dispatch give the same bytes") {
  // The smallest range that a case can be planned with: scales and scratch must each fit one window.
  const uint64_t ranges[] = {4096, 16384, 65536, 262144};
  const uint64_t offsets[] = {16, 48, 272, 1040, 256 + 240};
  std::vector<kit::Device> devices;
  for (const uint64_t range : ranges) devices.push_back(device().restricted(narrow(range, 256, 7)));
  std::set<std::string> windowed;  // kernels that ran in several windows
  uint32_t next_offset = 0, count = 0;
  for (const OpFormat& what : opFormats()) {
    std::vector<selftest::Case> list = tests::casesOf(what, 6);
    const std::vector<selftest::Case> more = tests::largeCases(selftest::Large::kNarrowWindows, what);
    list.insert(list.end(), more.begin(), more.end());
    for (const selftest::Case& c : list) {
      for (const kit::Device& small : devices) {
        uint32_t windows = 0;
        try {
          const kit::Plan plan = selftest::planOf(small, c);
          for (uint32_t p = 0; p < plan.handle()->phase_count; ++p) {
            const Phase& phase = plan.handle()->phase[p];
            if (phase.segment_count > 1) windowed.insert(phase.row->module);
          }
          windows = windowsOf(plan);
        } catch (const kit::Error& error) {
          CHECK_MESSAGE(error.result() == NIB_ERROR_UNSUPPORTED, c.name() << ": " << error.what());
          continue;  // does not fit: try the next larger range
        }
        if (windows < 2) break;
        selftest::Way way;
        way.range_offset_bytes = offsets[next_offset++ % (sizeof offsets / sizeof offsets[0])];
        checkCase(small, c, way);
        ++count;
        break;
      }
    }
  }
  MESSAGE(count << " cases in several windows");
  // Every kernel that iterates over a large operand.
  for (const char* name : {"quantize",     "encode",         "dequantize",     "reduce",     "convert",       "errors",
                           "matvec",       "matinput",       "int8_gemm",      "histogram",  "log_histogram", "moments",
                           "elementwise",  "rope",           "append",         "gather",     "attention",     "syrk",
                           "factor_block", "factor_prepare", "factor_product", "gptq_update"}) {
    const bool found = std::any_of(windowed.begin(), windowed.end(),
                                   [&](const std::string& module) { return module.rfind(name, 0) == 0; });
    CHECK_MESSAGE(found, "no case of " << std::string(name) << " needed several windows");
  }
}

TEST_CASE_FIXTURE(Gpu, "a window smaller than a single tile is refused while planning") {
  const kit::Device small = device().restricted(narrow(512, 256, 65535));
  selftest::Case c;
  NibQuantizeDesc& d = c.describe<NibQuantizeDesc>(NIB_OP_QUANTIZE);
  d.rows = c.n = 8;
  d.cols = 1024;
  d.weights = selftest::weightsOf(NIB_FORMAT_INT8, NIB_GRANULARITY_ROW);
  if (nibFormatById(NIB_FORMAT_INT8) == nullptr) return;
  NibResult result = NIB_SUCCESS;
  try {
    const kit::Plan plan = selftest::planOf(small, c);
  } catch (const kit::Error& error) {
    result = error.result();
  }
  CHECK(result == NIB_ERROR_UNSUPPORTED);
}

TEST_SUITE_END();
