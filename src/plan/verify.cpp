// Self-tests: a plan's own pipelines on small adversarial data, many times, compared with the reference.
//
// The caller's range holds, each at a multiple of 256 bytes or the device's larger alignment: one copy of the ranges
// that the op only reads and of the aux range, and kRepeats copies of the range that it writes. Transfer commands write
// all of it, so the caller maps it only to read results.
#include "formats/dense.h"
#include "formats/geometry.h"
#include "plan/plan.h"

namespace nib {
namespace {

constexpr uint32_t kRepeats = 32;
constexpr uint32_t kUntouched = 0xa5a5a5a5u;  // content of result ranges before a run
constexpr uint64_t kUpdateBytes = 65536;      // vkCmdUpdateBuffer's limit

NibRole writtenRole(const NibPlan& plan) { return plan.op->written(plan.desc.get()); }

struct Layout {
  uint64_t offset[NIB_ROLE_COUNT];  // of the first copy
  uint64_t step_bytes;              // from copy to copy of the written role
  uint64_t size_bytes;
};

Layout makeLayout(NibRole written, const NibMemory& memory, uint64_t alignment) {
  Layout layout{};
  const uint64_t step = alignment > kPartAlignmentBytes ? alignment : kPartAlignmentBytes;
  uint64_t at = 0;
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    if (role == uint32_t(written)) continue;
    layout.offset[role] = at;
    at += alignUp(memory.range[role].size_bytes, step);
  }
  layout.offset[written] = at;
  layout.step_bytes = alignUp(memory.range[written].size_bytes, step);
  layout.size_bytes = at + layout.step_bytes * kRepeats;
  return layout;
}

void updateBuffer(const NibContext& context, VkCommandBuffer command_buffer, VkBuffer buffer, uint64_t offset,
                  const void* data, uint64_t size) {
  for (uint64_t at = 0; at < size; at += kUpdateBytes) {
    const uint64_t count = size - at < kUpdateBytes ? size - at : kUpdateBytes;
    context.api.vkCmdUpdateBuffer(command_buffer, buffer, offset + at, count, static_cast<const uint8_t*>(data) + at);
  }
}

void memoryBarrier(const NibContext& context, VkCommandBuffer command_buffer, VkPipelineStageFlags from,
                   VkAccessFlags from_access, VkPipelineStageFlags to, VkAccessFlags to_access) {
  VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
  barrier.srcAccessMask = from_access;
  barrier.dstAccessMask = to_access;
  context.api.vkCmdPipelineBarrier(command_buffer, from, to, 0, 1, &barrier, 0, nullptr, 0, nullptr);
}

}  // namespace
}  // namespace nib

// The small plan, its binding, and host images of its ranges, on which the reference runs. `next` is the same for the
// next of the plan's plans for fewer rows.
struct NibVerify {
  explicit NibVerify(NibContext* owner) : context(owner), image(owner->allocator) {}
  NibContext* context;
  NibPlan* plan = nullptr;
  NibBinding* binding = nullptr;
  NibVerify* next = nullptr;
  nib::Layout layout{};
  uint64_t offset = 0;         // in the caller's range
  NibBufferRange memory{};     // its part of that range
  nib::Array<uint32_t> image;  // ranges in role order, one copy each
  uint64_t image_offset[NIB_ROLE_COUNT] = {};
};

using namespace nib;

namespace {

void destroyVerify(NibVerify* verify) {
  if (verify == nullptr) return;
  destroyVerify(verify->next);
  NibContext& context = *verify->context;
  nibDestroyBinding(verify->binding);
  nibDestroyPlan(verify->plan);
  context.allocator.destroy(verify);
  removeChild(context, context.verifications);
}

NibResult smallPlan(const NibPlan& plan, NibPlan** out) {
  const AnyDesc small = smallProblem(plan);
  return createPlan(plan.context, small.get(), PipelineStore::Compile::kIfNeeded, true, out);
}

NibCpuBinding imageBinding(NibVerify& verify) {
  NibCpuBinding binding{};
  binding.struct_bytes = sizeof binding;
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    const uint64_t size = verify.plan->memory.range[role].size_bytes;
    if (size != 0)
      binding.range[role] = {reinterpret_cast<uint8_t*>(verify.image.data()) + verify.image_offset[role], size};
  }
  return binding;
}

// Fills the host images: inputs with test data, results with kUntouched, aux with 0.
NibResult fillImages(NibVerify& verify) {
  const NibMemory& memory = verify.plan->memory;
  uint64_t size = 0;
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    verify.image_offset[role] = size;
    size += alignUp(memory.range[role].size_bytes, 16);
  }
  if (!verify.image.resize(size_t(size / 4))) {
    return verify.context->log.fail(NIB_ERROR_OUT_OF_MEMORY, "verify: out of host memory");
  }
  const uint32_t written = writtenRole(*verify.plan);
  const uint64_t first = verify.image_offset[written] / 4;
  for (uint64_t w = 0; w < alignUp(memory.range[written].size_bytes, 4) / 4; ++w)
    verify.image[size_t(first + w)] = kUntouched;
  verify.plan->op->fillProbe(verify.plan->desc.get(), memory, imageBinding(verify));
  return NIB_SUCCESS;
}

NibResult bindRanges(NibVerify& verify, const NibBufferRange& range) {
  NibBindingDesc desc{};
  desc.struct_bytes = sizeof desc;
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    const uint64_t size = verify.plan->memory.range[role].size_bytes;
    if (size == 0) continue;
    const uint64_t whole = role == uint32_t(writtenRole(*verify.plan)) ? verify.layout.step_bytes * kRepeats : size;
    desc.range[role] = {range.buffer, range.offset + verify.layout.offset[role], whole};
  }
  return nibCreateBinding(verify.plan, &desc, &verify.binding);
}

void record(NibVerify& verify, VkCommandBuffer command_buffer, const NibBufferRange& range) {
  const NibContext& context = *verify.context;
  const NibPlan& plan = *verify.plan;
  const Layout& layout = verify.layout;
  const uint8_t* image = reinterpret_cast<const uint8_t*>(verify.image.data());
  const uint32_t written = writtenRole(plan);

  context.api.vkCmdFillBuffer(command_buffer, range.buffer, range.offset + layout.offset[written],
                              layout.step_bytes * kRepeats, kUntouched);
  // The fill and the updates of its range are transfers of one buffer: order them.
  memoryBarrier(context, command_buffer, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
                VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT);
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    const uint64_t size = plan.memory.range[role].size_bytes;
    if (size == 0 || role == written) continue;
    updateBuffer(context, command_buffer, range.buffer, range.offset + layout.offset[role],
                 image + verify.image_offset[role], size);
  }
  if (written == NIB_ROLE_WEIGHTS) {
    // An op with given scales reads them from the range that it writes codes to. Other ops overwrite these bytes.
    for (uint32_t r = 0; r < kRepeats; ++r) {
      for (const NibPart part : {NIB_PART_SCALES, NIB_PART_ZEROS}) {
        const NibMemoryPart& p = plan.memory.part[part];
        updateBuffer(context, command_buffer, range.buffer,
                     range.offset + layout.offset[written] + r * layout.step_bytes + p.offset_bytes,
                     image + verify.image_offset[written] + p.offset_bytes, p.size_bytes);
      }
    }
  }
  if (plan.op->accumulates(plan.desc.get())) {
    for (uint32_t r = 0; r < kRepeats; ++r) {
      updateBuffer(context, command_buffer, range.buffer, range.offset + layout.offset[written] + r * layout.step_bytes,
                   image + verify.image_offset[written], plan.memory.range[written].size_bytes);
    }
  }
  memoryBarrier(context, command_buffer, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
                VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
  for (uint32_t r = 0; r < kRepeats; ++r) {
    NibRun run{};
    run.struct_bytes = sizeof run;
    run.n = plan.rows.max;
    run.slice_count = UINT32_MAX;
    run.offset_bytes[written] = uint32_t(r * layout.step_bytes);
    nibCmdRun(command_buffer, &plan, verify.binding, &run);
    // The repeats share the scratch.
    memoryBarrier(context, command_buffer, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                  VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                  VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
  }
  memoryBarrier(context, command_buffer, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
}

// The first element of a result that is wrong.
struct Mismatch {
  bool found = false;
  uint32_t repeat = 0;
  uint64_t byte = 0;             // in the written role's range
  bool number = false;           // the element has an error bound
  double got = 0, expected = 0;  // then
  uint32_t got_word = 0, expected_word = 0;
};

// Finds the first element that differs by more than `tolerance`.
Mismatch compareWithin(const Tolerance& tolerance, const void* got, const void* expected, uint64_t bytes) {
  const bool codes = tolerance.type == kCodeType;
  const uint32_t element_bytes = codes ? 1 : typeBytes(tolerance.type);
  const uint64_t count = bytes / element_bytes;
  const auto at = [&](const void* data, uint64_t i) {
    if (codes) return double(static_cast<const int8_t*>(data)[i]);
    return double(exact::floatOf(loadDense(data, tolerance.type, i)));
  };
  const auto magnitude = [](double x) { return x < 0 ? -x : x; };
  const double ulp = tolerance.type == NIB_TYPE_F32 ? 0x1p-22 : tolerance.type == NIB_TYPE_F16 ? 0x1p-10 : 0x1p-7;
  double largest = codes ? 1 : 0;
  for (uint64_t i = 0; i < count && !codes; ++i) {
    const double y = magnitude(at(expected, i));
    if (y > largest) largest = y;
  }
  Mismatch mismatch;
  for (uint64_t i = 0; i < count && !mismatch.found; ++i) {
    const double x = at(got, i), y = at(expected, i);
    if (magnitude(x - y) <= tolerance.relative * largest + (codes ? 0 : ulp * magnitude(y))) continue;
    mismatch.found = mismatch.number = true;
    mismatch.byte = i * element_bytes;
    mismatch.got = x;
    mismatch.expected = y;
  }
  return mismatch;
}

Mismatch compareBytes(const void* got, const void* expected, uint64_t bytes) {
  Mismatch mismatch;
  for (uint64_t at = 0; at < bytes && !mismatch.found; at += 4) {
    const uint64_t count = bytes - at < 4 ? bytes - at : 4;
    std::memcpy(&mismatch.got_word, static_cast<const uint8_t*>(got) + at, size_t(count));
    std::memcpy(&mismatch.expected_word, static_cast<const uint8_t*>(expected) + at, size_t(count));
    mismatch.found = mismatch.got_word != mismatch.expected_word;
    mismatch.byte = at;
  }
  return mismatch;
}

// Compares the written role's range: part by part where the op has an error bound.
Mismatch compareResult(const NibPlan& plan, uint32_t role, const uint8_t* got, const uint8_t* expected) {
  const uint64_t size_bytes = plan.memory.range[role].size_bytes;
  const auto toleranceOf = [&](uint32_t part) { return plan.op->tolerance(plan.desc.get(), NibPart(part)); };
  const auto isPart = [&](uint32_t p) {
    return plan.memory.part[p].size_bytes != 0 && plan.memory.part[p].role == role;
  };
  bool has_parts = false, bounded = false;
  for (uint32_t p = 0; p < NIB_PART_COUNT; ++p) {
    has_parts = has_parts || isPart(p);
    bounded = bounded || (isPart(p) && toleranceOf(p).relative > 0);
  }
  if (!has_parts && toleranceOf(NIB_PART_COUNT).relative > 0) {
    return compareWithin(toleranceOf(NIB_PART_COUNT), got, expected, size_bytes);
  }
  if (!bounded) return compareBytes(got, expected, size_bytes);
  Mismatch mismatch;
  for (uint32_t p = 0; p < NIB_PART_COUNT && !mismatch.found; ++p) {
    if (!isPart(p)) continue;
    const uint64_t offset = plan.memory.part[p].offset_bytes, bytes = plan.memory.part[p].size_bytes;
    const Tolerance tolerance = toleranceOf(p);
    mismatch = tolerance.relative > 0 ? compareWithin(tolerance, got + offset, expected + offset, bytes)
                                      : compareBytes(got + offset, expected + offset, bytes);
    mismatch.byte += offset;
  }
  return mismatch;
}

// The part of the written role that holds a byte, or kNoPart.
uint32_t partAt(const NibMemory& memory, uint32_t role, uint64_t byte) {
  for (uint32_t p = 0; p < NIB_PART_COUNT; ++p) {
    const NibMemoryPart& part = memory.part[p];
    if (part.size_bytes != 0 && part.role == role && byte >= part.offset_bytes &&
        byte < wholeWordsBytes(part.offset_bytes + part.size_bytes)) {
      return p;
    }
  }
  return kNoPart;
}

void report(const NibPlan& plan, uint32_t role, const Mismatch& m) {
  const Log& log = plan.context->log;
  const uint32_t part = partAt(plan.memory, role, m.byte);
  const uint64_t in_part = m.byte - (part != kNoPart ? plan.memory.part[part].offset_bytes : 0);
  char location[64];
  if (part != kNoPart) {
    std::snprintf(location, sizeof location, "part %u of %s", part, roleName(role));
  } else {
    std::snprintf(location, sizeof location, "%s", roleName(role));
  }
  if (m.number) {
    log.say(NIB_SEVERITY_WARNING, "verify: %s: %s, byte %llu, run %u: the device has %g, the reference %g",
            plan.op->name, location, (unsigned long long)in_part, m.repeat, m.got, m.expected);
  } else {
    log.say(NIB_SEVERITY_WARNING, "verify: %s: %s, word %llu, run %u: the device has 0x%08x, the reference 0x%08x",
            plan.op->name, location, (unsigned long long)(in_part / 4), m.repeat, m.got_word, m.expected_word);
  }
}

bool statusMatches(const NibPlan& plan, const NibStatus& got, const NibStatus& expected) {
  const bool same = got.nonfinite_count == expected.nonfinite_count * kRepeats &&
                    got.saturated_count == expected.saturated_count * kRepeats &&
                    got.outlier_count == expected.outlier_count * kRepeats &&
                    got.first_nonfinite_not == expected.first_nonfinite_not;
  if (!same) {
    plan.context->log.say(
        NIB_SEVERITY_WARNING,
        "verify: %s: the device's status after %u runs is {%u, %u, 0x%08x, %u}, one run of the reference has "
        "{%u, %u, 0x%08x, %u}",
        plan.op->name, kRepeats, got.nonfinite_count, got.saturated_count, got.first_nonfinite_not, got.outlier_count,
        expected.nonfinite_count, expected.saturated_count, expected.first_nonfinite_not, expected.outlier_count);
  }
  return same;
}

bool matches(NibVerify& verify, const uint8_t* mapped) {
  const NibPlan& plan = *verify.plan;
  const NibCpuBinding binding = imageBinding(verify);
  plan.op->runReference(plan.desc.get(), {plan.memory, binding, plan.rows.max, 0, nullptr});
  const uint32_t written = writtenRole(plan);
  for (uint32_t r = 0; r < kRepeats; ++r) {
    const uint8_t* got = mapped + verify.layout.offset[written] + r * verify.layout.step_bytes;
    Mismatch mismatch = compareResult(plan, written, got, static_cast<const uint8_t*>(binding.range[written].data));
    if (!mismatch.found) continue;
    mismatch.repeat = r;
    report(plan, written, mismatch);
    return false;
  }
  const NibMemoryPart& status_part = plan.memory.part[NIB_PART_STATUS];
  if (status_part.size_bytes == 0) return true;
  NibStatus got, expected;
  std::memcpy(&got, mapped + verify.layout.offset[NIB_ROLE_AUX] + status_part.offset_bytes, sizeof got);
  std::memcpy(&expected, static_cast<const uint8_t*>(binding.range[NIB_ROLE_AUX].data) + status_part.offset_bytes,
              sizeof expected);
  return statusMatches(plan, got, expected);
}

// A wrong result does not tell which of a plan's kernels made it. Kernels that need features are blamed first: they are
// switched off, and the next self-test runs without them.
NibResult remember(NibContext& context, const NibPlan& plan, bool passed) {
  bool suspects = false;
  for (uint32_t p = 0; p < plan.phase_count; ++p) suspects = suspects || plan.phase[p].row->features != 0;
  std::lock_guard<std::mutex> lock(context.verdict_mutex);
  for (uint32_t p = 0; p < plan.phase_count; ++p) {
    const Phase& phase = plan.phase[p];
    if (!passed && suspects && phase.row->features == 0) continue;
    const vk::VerdictKey key = vk::verdictKey(context.caps, kernelHash(*phase.row), phase.spec_hash);
    if (!context.verdicts.add(key, passed ? vk::Verdict::kPassed : vk::Verdict::kFailed)) {
      return context.log.fail(NIB_ERROR_OUT_OF_MEMORY, "verify: out of host memory");
    }
    if (!passed) {
      context.log.say(NIB_SEVERITY_WARNING, "verify: %s gave wrong results on %s and is switched off",
                      phase.row->module, context.caps.device_name);
    }
  }
  return NIB_SUCCESS;
}

NibResult checkMemory(const Log& log, const NibBufferRange& memory, uint64_t needed_bytes) {
  if (memory.buffer == VK_NULL_HANDLE) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "nibVerifyPlan: memory->buffer is VK_NULL_HANDLE");
  }
  if (memory.offset % kRangeAlignmentBytes != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "nibVerifyPlan: memory->offset %llu must be a multiple of %u",
                    (unsigned long long)memory.offset, kRangeAlignmentBytes);
  }
  if (memory.size == VK_WHOLE_SIZE) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "nibVerifyPlan: memory->size is VK_WHOLE_SIZE: give a number of bytes, at least %llu",
                    (unsigned long long)needed_bytes);
  }
  if (memory.size < needed_bytes || memory.offset > UINT64_MAX - memory.size) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "nibVerifyPlan: memory->size %llu at offset %llu must be at least %llu within a buffer",
                    (unsigned long long)memory.size, (unsigned long long)memory.offset,
                    (unsigned long long)needed_bytes);
  }
  return NIB_SUCCESS;
}

// Makes the small plan of one plan, and gives it the memory after *size_bytes, which grows.
NibResult layOut(NibVerify& verify, const NibPlan& plan, uint64_t* size_bytes) {
  const NibResult result = smallPlan(plan, &verify.plan);
  if (result != NIB_SUCCESS) return result;
  verify.layout = makeLayout(writtenRole(*verify.plan), verify.plan->memory, windowAlignment(*plan.context));
  verify.offset = *size_bytes;
  *size_bytes += alignUp(verify.layout.size_bytes, kRangeAlignmentBytes);
  return NIB_SUCCESS;
}

}  // namespace

extern "C" {

NibResult nibVerifyGetMemory(const NibPlan* plan, NibMemoryRange* out_range) {
  if (plan == nullptr || out_range == nullptr) return NIB_ERROR_INVALID_ARGUMENT;
  uint64_t size_bytes = 0;
  for (size_t i = 0; i <= plan->fewer.size(); ++i) {
    NibVerify verify(plan->context);
    const NibResult result = layOut(verify, i == 0 ? *plan : *plan->fewer[i - 1], &size_bytes);
    if (result != NIB_SUCCESS) return result;
    nibDestroyPlan(verify.plan);
  }
  out_range->size_bytes = size_bytes;
  out_range->alignment_bytes = kRangeAlignmentBytes;
  out_range->usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  return NIB_SUCCESS;
}

NibResult nibVerifyPlan(const NibPlan* plan, VkCommandBuffer command_buffer, const NibBufferRange* memory,
                        NibVerify** out_verify) {
  if (plan == nullptr) return NIB_ERROR_INVALID_ARGUMENT;
  NibContext& context = *plan->context;
  if (memory == nullptr || out_verify == nullptr || command_buffer == VK_NULL_HANDLE) {
    return context.log.fail(NIB_ERROR_INVALID_ARGUMENT, "nibVerifyPlan: NULL argument");
  }
  *out_verify = nullptr;
  NibResult result = NIB_SUCCESS;
  NibVerify* first = nullptr;
  uint64_t size_bytes = 0;
  // All are prepared before the first is recorded.
  for (size_t i = plan->fewer.size() + 1; i-- > 0 && result == NIB_SUCCESS;) {
    NibVerify* verify = context.allocator.create<NibVerify>(&context);
    if (verify == nullptr) {
      result = context.log.fail(NIB_ERROR_OUT_OF_MEMORY, "verify: out of host memory");
      break;
    }
    addChild(context, context.verifications);
    verify->next = first;
    first = verify;
    result = layOut(*verify, i == 0 ? *plan : *plan->fewer[i - 1], &size_bytes);
  }
  if (result == NIB_SUCCESS) result = checkMemory(context.log, *memory, size_bytes);
  for (NibVerify* verify = first; verify != nullptr && result == NIB_SUCCESS; verify = verify->next) {
    verify->memory = {memory->buffer, memory->offset + verify->offset, verify->layout.size_bytes};
    result = fillImages(*verify);
    if (result == NIB_SUCCESS) result = bindRanges(*verify, verify->memory);
  }
  if (result != NIB_SUCCESS) {
    destroyVerify(first);
    return result;
  }
  for (NibVerify* verify = first; verify != nullptr; verify = verify->next) {
    record(*verify, command_buffer, verify->memory);
  }
  *out_verify = first;
  return NIB_SUCCESS;
}

NibResult nibVerifyRead(NibVerify* verify, const void* mapped, uint32_t* out_passed) {
  if (verify == nullptr) return NIB_ERROR_INVALID_ARGUMENT;
  NibContext& context = *verify->context;
  if (mapped == nullptr) {  // abandoned
    destroyVerify(verify);
    return NIB_ERROR_INVALID_ARGUMENT;
  }
  if (out_passed == nullptr) {
    destroyVerify(verify);
    return context.log.fail(NIB_ERROR_INVALID_ARGUMENT, "nibVerifyRead: NULL argument");
  }
  *out_passed = 1;
  NibResult result = NIB_SUCCESS;
  for (NibVerify* each = verify; each != nullptr; each = each->next) {
    const bool passed = matches(*each, static_cast<const uint8_t*>(mapped) + each->offset);
    if (!passed) *out_passed = 0;
    const NibResult remembered = remember(context, *each->plan, passed);
    if (result == NIB_SUCCESS) result = remembered;
  }
  destroyVerify(verify);
  return result;
}

}  // extern "C"
