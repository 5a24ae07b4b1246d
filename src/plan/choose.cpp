#include "plan/choose.h"

#include <cstdio>
#include <cstring>

#include "base/names.h"
#include "plan/kernel_code.h"

namespace nib::vk {
namespace {

// The newest SPIR-V version that a Vulkan version accepts, encoded as in word 1 of a module.
uint32_t maxSpirvVersion(uint32_t api_version) {
  if (api_version >= VK_API_VERSION_1_3) return 0x00010600;
  if (api_version >= VK_API_VERSION_1_2) return 0x00010500;
  return 0x00010300;
}

using Reason = char[96];

bool tooLarge(const char* what, uint32_t need, uint32_t limit, Reason& out) {
  if (need <= limit) return false;
  std::snprintf(out, sizeof out, "limit: %s %u > %u", what, need, limit);
  return true;
}

// Whether the device can run the row; if not, `out` says why.
bool fits(const KernelRow& row, const Caps& caps, const KernelLimits& need, Reason& out) {
  if (row.spirv_words == 0) {
    std::snprintf(out, sizeof out, "not built");
    return false;
  }
  const uint32_t missing = row.features & ~caps.features;
  if (missing != 0) {
    int length = std::snprintf(out, sizeof out, "needs");
    for (uint32_t bit = 1; bit != 0 && length < static_cast<int>(sizeof out); bit <<= 1)
      if ((missing & bit) != 0)
        length += std::snprintf(out + length, sizeof out - static_cast<size_t>(length), " %s", featureName(bit));
    return false;
  }
  if (const uint32_t version = spirvVersion(row); version > maxSpirvVersion(caps.api_version)) {
    std::snprintf(out, sizeof out, "needs SPIR-V %u.%u, beyond Vulkan %u.%u", version >> 16 & 0xff, version >> 8 & 0xff,
                  VK_API_VERSION_MAJOR(caps.api_version), VK_API_VERSION_MINOR(caps.api_version));
    return false;
  }
  // Workgroups are one-dimensional, so the size along x is the number of invocations.
  return !tooLarge("invocations", need.workgroup_invocations, caps.max_workgroup_invocations, out) &&
         !tooLarge("workgroup size", need.workgroup_invocations, caps.max_workgroup_size_x, out) &&
         !tooLarge("shared", need.shared_bytes, caps.max_shared_bytes, out) &&
         !tooLarge("push", need.push_bytes, caps.max_push_bytes, out);
}

void append(ChooseReport* why, const KernelRow& row, const char* reason) {
  if (why == nullptr) return;
  const char* separator = why->rejected++ != 0 ? "; " : "";
  const size_t used = std::strlen(why->text);
  const size_t space = sizeof why->text - used;
  const int length = std::snprintf(why->text + used, space, "%s%s: %s", separator, row.module, reason);
  if (length >= static_cast<int>(space)) std::memcpy(why->text + sizeof why->text - 4, "...", 4);
}

}  // namespace

const KernelRow* chooseKernel(const KernelRow* table, uint32_t count, const char* name, uint32_t format,
                              const Caps& caps, const KernelLimits& need,
                              bool (*switched_off)(const void* user, const KernelRow& row), const void* user,
                              ChooseReport* why) {
  if (why != nullptr) *why = ChooseReport{};
  for (uint32_t i = 0; i < count; ++i) {
    const KernelRow& row = table[i];
    if (row.format != format || std::strcmp(row.name, name) != 0) continue;
    Reason reason;
    if (!fits(row, caps, need, reason)) {
      append(why, row, reason);
    } else if (switched_off != nullptr && switched_off(user, row)) {
      append(why, row, "failed verification");
    } else {
      return &row;
    }
  }
  return nullptr;
}

}  // namespace nib::vk
