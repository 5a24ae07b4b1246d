// Changes to modules when they are loaded, word by word.
#include <cstring>
#include <initializer_list>

#include "plan/pipeline_store.h"

namespace nib {

namespace {

constexpr uint32_t kOpExtension = 10, kOpExtInstImport = 11, kOpMemoryModel = 14, kOpEntryPoint = 15;
constexpr uint32_t kOpExecutionMode = 16, kOpCapability = 17, kOpConstant = 43, kOpFunction = 54, kOpISub = 130;
constexpr uint32_t kOpShiftLeft = 196, kOpBitwiseXor = 198, kOpSDot = 4450, kOpSUDot = 4452;
constexpr uint32_t kHeaderWords = 5;

// Visits (op, words, the first word) of every instruction. False if the module is malformed.
template <class Visit>
bool forEachInstruction(const uint32_t* spirv, uint32_t words, const Visit& visit) {
  for (uint32_t at = kHeaderWords; at < words;) {
    const uint32_t count = spirv[at] >> 16;
    if (count == 0 || at + count > words) return false;
    visit(spirv[at] & 0xffffu, count, spirv + at);
    at += count;
  }
  return true;
}

// The changed module.
struct Writer {
  uint32_t* out;
  uint32_t written = 0;

  void copy(const uint32_t* words, uint32_t count) {
    std::memcpy(out + written, words, count * sizeof(uint32_t));
    written += count;
  }
  void put(uint32_t op, std::initializer_list<uint32_t> operands) {
    out[written++] = uint32_t(operands.size() + 1) << 16 | op;
    for (const uint32_t operand : operands) out[written++] = operand;
  }
};

bool isSignedDot(uint32_t op, uint32_t count) { return op == kOpSDot && count == 6; }

constexpr uint32_t kConstantWords = 4, kXorWords = 5, kDotWords = 6, kShiftWords = 5, kSubtractWords = 5;

}  // namespace

uint32_t declareFloatModes(const uint32_t* spirv, uint32_t words, const FloatModes& modes, uint32_t* out) {
  constexpr uint32_t kCapabilityDenormPreserve = 4464, kCapabilityRoundingModeRte = 4467;
  constexpr uint32_t kModeDenormPreserve = 4459, kModeRoundingModeRte = 4462;
  Writer module{out};
  module.copy(spirv, kHeaderWords);
  uint32_t entry_id = 0;
  bool capability_done = false, extension_done = false, mode_done = false;
  const bool valid = forEachInstruction(spirv, words, [&](uint32_t op, uint32_t count, const uint32_t* word) {
    if (!capability_done && op != kOpCapability) {
      if (modes.round_even) module.put(kOpCapability, {kCapabilityRoundingModeRte});
      if (modes.keep_halves || modes.keep_floats) module.put(kOpCapability, {kCapabilityDenormPreserve});
      capability_done = true;
    }
    if (!extension_done && (op == kOpExtInstImport || op == kOpMemoryModel)) {
      constexpr char kName[24] = "SPV_KHR_float_controls";
      uint32_t name[6];
      std::memcpy(name, kName, sizeof name);
      module.put(kOpExtension, {name[0], name[1], name[2], name[3], name[4], name[5]});
      extension_done = true;
    }
    if (op == kOpEntryPoint && entry_id == 0) entry_id = word[2];
    if (!mode_done && entry_id != 0 && op != kOpEntryPoint) {
      if (modes.round_even) module.put(kOpExecutionMode, {entry_id, kModeRoundingModeRte, 32});
      if (modes.keep_halves) module.put(kOpExecutionMode, {entry_id, kModeDenormPreserve, 16});
      if (modes.keep_floats) module.put(kOpExecutionMode, {entry_id, kModeDenormPreserve, 32});
      mode_done = true;
    }
    module.copy(word, count);
  });
  return valid && mode_done && extension_done && capability_done ? module.written : 0;
}

uint32_t mixedDotWords(const uint32_t* spirv, uint32_t words) {
  uint32_t dots = 0;
  forEachInstruction(spirv, words,
                     [&](uint32_t op, uint32_t count, const uint32_t*) { dots += isSignedDot(op, count) ? 1 : 0; });
  return 3 * kConstantWords + dots * (kXorWords + kDotWords + kShiftWords + kSubtractWords);
}

uint32_t useMixedDots(const uint32_t* spirv, uint32_t words, uint32_t* out) {
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
  uint32_t bound = spirv[3];
  Writer module{out};
  module.copy(spirv, kHeaderWords);
  const uint32_t offset = bound++, ones = bound++, seven = bound++;
  bool constants_done = false;
  forEachInstruction(spirv, words, [&](uint32_t op, uint32_t count, const uint32_t* word) {
    if (op == kOpFunction && !constants_done) {
      module.put(kOpConstant, {type, offset, 0x80808080u});
      module.put(kOpConstant, {type, ones, 0x01010101u});
      module.put(kOpConstant, {type, seven, 7u});
      constants_done = true;
    }
    if (!isSignedDot(op, count)) {
      module.copy(word, count);
      return;
    }
    const uint32_t result = word[2], a = word[3], b = word[4], packing = word[5];
    const uint32_t unsigned_b = bound++, product = bound++, sum = bound++, surplus = bound++;
    module.put(kOpBitwiseXor, {type, unsigned_b, b, offset});
    module.put(kOpSUDot, {type, product, a, unsigned_b, packing});
    module.put(kOpSUDot, {type, sum, a, ones, packing});
    module.put(kOpShiftLeft, {type, surplus, sum, seven});
    module.put(kOpISub, {type, result, product, surplus});
  });
  out[3] = bound;
  return module.written;
}

}  // namespace nib
