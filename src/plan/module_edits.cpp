// Changes to modules when they are loaded, word by word.
#include <cstring>

#include "plan/pipeline_store.h"

namespace nib {

uint32_t declareFloatModes(const uint32_t* spirv, uint32_t words, const FloatModes& modes, uint32_t* out) {
  constexpr uint32_t kOpExtension = 10, kOpMemoryModel = 14, kOpEntryPoint = 15, kOpExecutionMode = 16;
  constexpr uint32_t kOpCapability = 17, kOpExtInstImport = 11;
  constexpr uint32_t kCapabilityDenormPreserve = 4464, kCapabilityRoundingModeRte = 4467;
  constexpr uint32_t kExecutionModeDenormPreserve = 4459, kExecutionModeRoundingModeRte = 4462;
  uint32_t written = 0;
  uint32_t entry_id = 0;
  bool capability_done = false, extension_done = false, mode_done = false;
  std::memcpy(out, spirv, 5 * sizeof(uint32_t));
  written = 5;
  for (uint32_t at = 5; at < words;) {
    const uint32_t op = spirv[at] & 0xffffu;
    const uint32_t count = spirv[at] >> 16;
    if (count == 0 || at + count > words) return 0;
    if (!capability_done && op != kOpCapability) {
      const auto declare = [&](bool wanted, uint32_t capability) {
        if (!wanted) return;
        out[written++] = (2u << 16) | kOpCapability;
        out[written++] = capability;
      };
      declare(modes.round_even, kCapabilityRoundingModeRte);
      declare(modes.keep_halves || modes.keep_floats, kCapabilityDenormPreserve);
      capability_done = true;
    }
    if (!extension_done && (op == kOpExtInstImport || op == kOpMemoryModel)) {
      char name[24] = "SPV_KHR_float_controls";
      out[written++] = (7u << 16) | kOpExtension;
      std::memcpy(out + written, name, sizeof name);
      written += 6;
      extension_done = true;
    }
    if (op == kOpEntryPoint && entry_id == 0) entry_id = spirv[at + 2];
    if (!mode_done && entry_id != 0 && op != kOpEntryPoint) {
      const auto declare = [&](bool wanted, uint32_t mode, uint32_t width) {
        if (!wanted) return;
        out[written++] = (4u << 16) | kOpExecutionMode;
        out[written++] = entry_id;
        out[written++] = mode;
        out[written++] = width;
      };
      declare(modes.round_even, kExecutionModeRoundingModeRte, 32);
      declare(modes.keep_halves, kExecutionModeDenormPreserve, 16);
      declare(modes.keep_floats, kExecutionModeDenormPreserve, 32);
      mode_done = true;
    }
    std::memcpy(out + written, spirv + at, count * sizeof(uint32_t));
    written += count;
    at += count;
  }
  return mode_done && extension_done && capability_done ? written : 0;
}

}  // namespace nib
