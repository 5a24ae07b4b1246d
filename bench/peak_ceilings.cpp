// Measures arithmetic ceilings of a Vulkan device with the kernels shaders/ops/peak_*.
#include "bench/ceilings.h"
#include "bench/peak_model.h"
#include "bench/peak_plan.h"
#include "bench/peak_subject.h"
#include "shaders/ops/peak_coopmat.h"
#include "shaders/ops/peak_dot4.h"
#include "shaders/ops/peak_fma.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>

namespace nib::bench {
namespace {

NIB_SPEC_STRUCT(PeakFmaSpec, PEAK_FMA_SPEC)
NIB_SPEC_STRUCT(PeakDot4Spec, PEAK_DOT4_SPEC)
NIB_SPEC_STRUCT(PeakCoopmatSpec, PEAK_COOPMAT_SPEC)

constexpr uint32_t kWorkgroup = 128;

// Target duration of a dispatch: long compared with its start-up, short for a watchdog.
constexpr double kDispatchSeconds = 0.004;
constexpr uint32_t kMaxTiles = 16384;

// ---------------------------------------------------------------------------------------------- arithmetic
// The work of one dispatch: tiles, and loop iterations of each.
struct Size {
  uint32_t tiles, steps;
};

using MakePlan = std::function<std::unique_ptr<PeakPlan>(const Size&)>;

// Increases tiles, then steps, until a dispatch takes kDispatchSeconds.
Size findSize(const MakePlan& make, uint32_t max_tiles, uint32_t max_steps) {
  Size size{64, 32};  // loops long enough to dominate their set-up
  for (;;) {
    const std::unique_ptr<PeakPlan> plan = make(size);
    plan->run(1);
    const Batch batch = plan->run(1);
    const double clock = batch.device_seconds.empty() ? 0.0 : batch.device_seconds[0];
    const double seconds = clock > 0 ? clock : batch.wall_seconds;
    if (seconds >= kDispatchSeconds || (size.tiles >= max_tiles && size.steps >= max_steps)) return size;
    const uint32_t factor = seconds < kDispatchSeconds / 16 ? 8 : 2;
    if (size.tiles < max_tiles) {
      size.tiles = std::min(size.tiles * factor, max_tiles);
    } else {
      size.steps = std::min(size.steps * factor, max_steps);
    }
  }
}

}  // namespace

// ---------------------------------------------------------------------------------------------- fma
CeilingReport measureFma(const kit::Device& device, double seconds) {
  CeilingReport report = peakReport(device, "fma", "GFLOPS", "peak_fma", kWorkgroup);
  if (!report.tried) return report;
  kit::Buffer result(device, uint64_t{kMaxTiles} * kWorkgroup * 4);
  const MakePlan make = [&](const Size& size) {
    PeakFmaSpec spec;
    spec.WG = kWorkgroup;
    PeakFmaPush push{};
    push.steps = size.steps;
    push.seed = std::bit_cast<uint32_t>(1.0f);
    return std::make_unique<PeakPlan>(device, "peak_fma", spec, push, uint64_t{size.tiles} * kWorkgroup, kWorkgroup, 4,
                                      PeakBuffers{nullptr, &result});
  };
  const Size size = findSize(make, kMaxTiles, kMaxFmaSteps);
  const size_t count = size_t{size.tiles} * kWorkgroup;
  const std::unique_ptr<PeakPlan> plan = make(size);
  PeakSubject subject(
      *plan, [&] { device.fill(result, kPeakMarker, 0, count * 4); },
      [&] {
        const std::vector<float> got = device.download<float>(result, count);
        for (size_t i = 0; i < count; ++i) {
          const float expected = fmaResult(static_cast<uint32_t>(i), size.steps);
          if (got[i] != expected) return differs("invocation", i, got[i], expected);
        }
        return std::string();
      });
  // 48 multiply-adds per step.
  addResult(report, measure(subject, {.seconds = seconds}), 96.0 * double(count) * size.steps,
            "12 chains of fp32 multiply-add per invocation");
  return report;
}

// ---------------------------------------------------------------------------------------------- dot4
CeilingReport measureDot4(const kit::Device& device, double seconds) {
  CeilingReport report = peakReport(device, "dot4", "GOPS", "peak_dot4", kWorkgroup);
  if (!report.tried) return report;
  constexpr uint32_t kSeed = 0x12345u;
  constexpr uint32_t kMaxSteps = 8192;
  kit::Buffer result(device, uint64_t{kMaxTiles} * kWorkgroup * 4);
  const MakePlan make = [&](const Size& size) {
    PeakDot4Spec spec;
    spec.WG = kWorkgroup;
    PeakDot4Push push{};
    push.steps = size.steps;
    push.seed = kSeed;
    return std::make_unique<PeakPlan>(device, "peak_dot4", spec, push, uint64_t{size.tiles} * kWorkgroup, kWorkgroup, 4,
                                      PeakBuffers{nullptr, &result});
  };
  const Size size = findSize(make, kMaxTiles, kMaxSteps);
  const size_t count = size_t{size.tiles} * kWorkgroup;
  // The model is slow, so it checks 257 invocations: the first, the last, and others spread over all lanes.
  const size_t stride = count / 256 | 1;
  const std::unique_ptr<PeakPlan> plan = make(size);
  PeakSubject subject(
      *plan, [&] { device.fill(result, kPeakMarker, 0, count * 4); },
      [&] {
        const std::vector<uint32_t> got = device.download<uint32_t>(result, count);
        for (size_t n = 0; n < 257; ++n) {
          const size_t i = std::min(n * stride, count - 1);
          const uint32_t expected = dot4Result(static_cast<uint32_t>(i), kSeed, size.steps);
          if (got[i] != expected) return differs("invocation", i, got[i], expected);
        }
        return std::string();
      });
  const vk::Caps& caps = device.context()->caps;
  // 64 dot products of 4 multiply-adds per step.
  addResult(report, measure(subject, {.seconds = seconds}), 512.0 * double(count) * size.steps,
            std::string("16 sums of signed 4x8 dot products per invocation, ") +
                (caps.dot4_accelerated ? "accelerated" : "not accelerated by the device"));
  return report;
}

// ---------------------------------------------------------------------------------------------- cooperative matrix
CeilingReport measureCoopmat(const kit::Device& device, bool fp16, double seconds) {
  const vk::Caps& caps = device.context()->caps;
  // Vulkan guarantees full subgroups if the workgroup size is a multiple of the largest subgroup size.
  const uint32_t workgroup =
      caps.may_require_subgroup_size ? caps.matrix_subgroup_size : std::max(caps.subgroup_size, caps.max_subgroup_size);
  const char* kernel = fp16 ? "peak_coopmat_half" : "peak_coopmat";
  CeilingReport report = fp16 ? peakReport(device, "coopmat_f16", "GFLOPS", kernel, workgroup)
                              : peakReport(device, "coopmat", "GOPS", kernel, workgroup);
  if (!report.tried) return report;
  std::vector<CoopmatShape> shapes;
  for (uint32_t i = 0; i < caps.coop_count; ++i) {
    const vk::CoopShape& shape = caps.coop[i];
    const auto element = fp16 ? VK_COMPONENT_TYPE_FLOAT16_KHR : VK_COMPONENT_TYPE_SINT8_KHR;
    const auto sum = fp16 ? VK_COMPONENT_TYPE_FLOAT32_KHR : VK_COMPONENT_TYPE_SINT32_KHR;
    const bool fits = shape.a_type == element && shape.b_type == element && shape.c_type == sum && shape.r_type == sum;
    if (fits && !shape.saturating) shapes.push_back({shape.m, shape.n, shape.k});
  }
  if (shapes.empty()) {
    report.tried = false;
    report.reason = fp16 ? "the device lists no shape with fp16 operands and fp32 sums"
                         : "the device lists no shape with signed int8 operands and int32 sums";
    return report;
  }
  constexpr uint32_t kSeed = 77;
  constexpr uint32_t kMaxSteps = 1024;
  const uint32_t bits = fp16 ? 4 : 8;  // sums stay far below 2^31, and fp16 sums below 2^24 (exact) up to K = 64
  constexpr uint32_t kVariants = 8;    // tiles differ by their index modulo this
  for (const CoopmatShape& shape : shapes) {
    const uint64_t tile_words = uint64_t{4} * shape.m * shape.n;
    kit::Buffer result(device, kMaxTiles * tile_words * 4);
    const MakePlan make = [&](const Size& size) {
      PeakCoopmatSpec spec;
      spec.WG = workgroup;
      spec.M = shape.m;
      spec.N = shape.n;
      spec.K = shape.k;
      PeakCoopmatPush push{};
      push.steps = size.steps;
      push.seed = kSeed;
      return std::make_unique<PeakPlan>(device, kernel, spec, push, size.tiles, 1, tile_words * 4,
                                        PeakBuffers{nullptr, &result});
    };
    const Size size = findSize(make, kMaxTiles, kMaxSteps);
    std::vector<std::vector<int32_t>> expected;
    for (uint32_t tile = 0; tile < kVariants; ++tile)
      expected.push_back(coopmatResult(shape, tile, kSeed, size.steps, bits));
    const std::unique_ptr<PeakPlan> plan = make(size);
    PeakSubject subject(
        *plan, [&] { device.fill(result, kPeakMarker, 0, size.tiles * tile_words * 4); },
        [&] {
          const std::vector<uint32_t> got = device.download<uint32_t>(result, size_t(size.tiles * tile_words));
          for (size_t i = 0; i < got.size(); ++i) {
            const int32_t right = expected[i / tile_words % kVariants][i % tile_words];
            const uint32_t stored = fp16 ? std::bit_cast<uint32_t>(float(right)) : uint32_t(right);
            if (got[i] != stored) return differs("element", i, got[i], stored);
          }
          return std::string();
        });
    // 16 products per step.
    const double work = 2.0 * 16 * shape.m * shape.n * shape.k * double(size.tiles) * size.steps;
    addResult(report, measure(subject, {.seconds = seconds / double(shapes.size())}), work,
              std::string(fp16 ? "fp16 " : "int8 ") + std::to_string(shape.m) + "x" + std::to_string(shape.n) + "x" +
                  std::to_string(shape.k) + ", 16 products per step in registers");
  }
  return report;
}

}  // namespace nib::bench
