// Changes to modules when they are loaded, word by word.
#include <cstring>
#include <initializer_list>

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

namespace {

constexpr uint32_t kOpSDot = 4450, kOpSUDot = 4452;

template <class Visit>
bool forEachInstruction(const uint32_t* spirv, uint32_t words, const Visit& visit) {
  for (uint32_t at = 5; at < words;) {
    const uint32_t count = spirv[at] >> 16;
    if (count == 0 || at + count > words) return false;
    visit(spirv[at] & 0xffffu, count, spirv + at);
    at += count;
  }
  return true;
}

bool isSignedDot(uint32_t op, uint32_t count) { return op == kOpSDot && count == 6; }

constexpr uint32_t kConstantWords = 4, kXorWords = 5, kDotWords = 6, kShiftWords = 5, kSubtractWords = 5;

}  // namespace

uint32_t mixedDotWords(const uint32_t* spirv, uint32_t words) {
  uint32_t dots = 0;
  forEachInstruction(spirv, words,
                     [&](uint32_t op, uint32_t count, const uint32_t*) { dots += isSignedDot(op, count) ? 1 : 0; });
  return 3 * kConstantWords + dots * (kXorWords + kDotWords + kShiftWords + kSubtractWords);
}

uint32_t useMixedDots(const uint32_t* spirv, uint32_t words, uint32_t* out) {
  constexpr uint32_t kOpConstant = 43, kOpFunction = 54, kOpISub = 130, kOpShiftLeft = 196, kOpBitwiseXor = 198;
  uint32_t type = 0;  // the integer of all dots, signed
  bool same_type = true;
  if (!forEachInstruction(spirv, words,
                          [&](uint32_t op, uint32_t count, const uint32_t* word) {
                            if (!isSignedDot(op, count)) return;
                            same_type = same_type && (type == 0 || type == word[1]);
                            type = word[1];
                          }) ||
      type == 0 || !same_type) {
    return 0;
  }
  uint32_t bound = spirv[3], written = 5;
  std::memcpy(out, spirv, 5 * sizeof(uint32_t));
  const auto put = [&](uint32_t op, std::initializer_list<uint32_t> operands) {
    out[written++] = uint32_t(operands.size() + 1) << 16 | op;
    for (const uint32_t operand : operands) out[written++] = operand;
  };
  const uint32_t offset = bound++, ones = bound++, seven = bound++;
  bool constants_done = false;
  forEachInstruction(spirv, words, [&](uint32_t op, uint32_t count, const uint32_t* word) {
    if (op == kOpFunction && !constants_done) {
      put(kOpConstant, {type, offset, 0x80808080u});
      put(kOpConstant, {type, ones, 0x01010101u});
      put(kOpConstant, {type, seven, 7u});
      constants_done = true;
    }
    if (!isSignedDot(op, count)) {
      std::memcpy(out + written, word, count * sizeof(uint32_t));
      written += count;
      return;
    }
    const uint32_t result = word[2], a = word[3], b = word[4], packing = word[5];
    const uint32_t unsigned_b = bound++, product = bound++, sum = bound++, surplus = bound++;
    put(kOpBitwiseXor, {type, unsigned_b, b, offset});
    put(kOpSUDot, {type, product, a, unsigned_b, packing});
    put(kOpSUDot, {type, sum, a, ones, packing});
    put(kOpShiftLeft, {type, surplus, sum, seven});
    put(kOpISub, {type, result, product, surplus});
  });
  out[3] = bound;
  return written;
}

}  // namespace nib
