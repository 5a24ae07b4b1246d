#include "spirv_check.h"

#include <nibble/nibble.h>

#include <cstring>
#include <string_view>

#include "spirv_reader.h"

namespace nib::spirv {
namespace {

constexpr uint32_t kMaxBindings = 4;
constexpr uint32_t kMaxPushBytes = 128;

struct Named {
  uint32_t number;
  const char* name;
};

struct FeatureCapabilities {
  uint32_t feature;
  std::vector<uint32_t> capabilities;
};

// Vulkan 1.1 promises Shader; the rest must be declared by the application.
const std::vector<FeatureCapabilities>& featureCapabilities() {
  static const std::vector<FeatureCapabilities> kTable = {
      {0, {1 /* Shader */}},
      {NIB_FEATURE_SUBGROUP,
       {61 /* GroupNonUniform */, 63 /* GroupNonUniformArithmetic */, 64 /* GroupNonUniformBallot */,
        65 /* GroupNonUniformShuffle */}},
      {NIB_FEATURE_STORAGE16, {4433 /* StorageBuffer16BitAccess */}},
      {NIB_FEATURE_F16, {9 /* Float16 */}},
      {NIB_FEATURE_DOT4, {6018 /* DotProductInput4x8BitPacked */, 6019 /* DotProduct */}},
      // An integer matrix's elements have an 8-bit type: the context counts a device without shaderInt8 as one without
      // cooperative matrices.
      {NIB_FEATURE_COOPMAT, {6022 /* CooperativeMatrixKHR */, 5345 /* VulkanMemoryModel */, 39 /* Int8 */}},
  };
  return kTable;
}

// Order is left to the device, so the result is too; never allowed.
constexpr Named kFloatAtomics[] = {{5614, "OpAtomicFMinEXT"}, {5615, "OpAtomicFMaxEXT"}, {6035, "OpAtomicFAddEXT"}};

// Results that devices may give differently.
constexpr Named kInexact[] = {{115, "OpFConvert"},
                              {116, "OpQuantizeToF16"},
                              {136, "OpFDiv"},
                              {140, "OpFRem"},
                              {141, "OpFMod"},
                              {143, "OpMatrixTimesScalar"},
                              {144, "OpVectorTimesMatrix"},
                              {145, "OpMatrixTimesVector"},
                              {146, "OpMatrixTimesMatrix"},
                              {147, "OpOuterProduct"},
                              {148, "OpDot"},
                              {207, "OpDPdx"},
                              {350, "OpGroupNonUniformFAdd"},
                              {352, "OpGroupNonUniformFMul"},
                              {355, "OpGroupNonUniformFMin"},
                              {358, "OpGroupNonUniformFMax"}};

// Exact if rounded once, so nothing may be fused with them.
constexpr Named kNeedsNoContraction[] = {
    {129, "OpFAdd"}, {131, "OpFSub"}, {133, "OpFMul"}, {142, "OpVectorTimesScalar"}};

// The functions of GLSL.std.450 with one right answer. Not among them: Round (ties as the device likes), NMin and the
// like (for NaN), Fma, all that has an error bound, and packing to half (SwiftShader does not round to nearest).
constexpr uint32_t kExactFunctions[] = {2 /* RoundEven */, 3 /* Trunc */,     4 /* FAbs */,      5 /* SAbs */,
                                        6 /* FSign */,     7 /* SSign */,     8 /* Floor */,     9 /* Ceil */,
                                        37 /* FMin */,     38 /* UMin */,     39 /* SMin */,     40 /* FMax */,
                                        41 /* UMax */,     42 /* SMax */,     43 /* FClamp */,   44 /* UClamp */,
                                        45 /* SClamp */,   73 /* FindILsb */, 74 /* FindSMsb */, 75 /* FindUMsb */};

constexpr Named kFunctionNames[] = {{1, "Round"},           {10, "Fract"},  {13, "Sin"},      {14, "Cos"},
                                    {21, "Tanh"},           {26, "Pow"},    {27, "Exp"},      {28, "Log"},
                                    {29, "Exp2"},           {30, "Log2"},   {31, "Sqrt"},     {32, "InverseSqrt"},
                                    {46, "FMix"},           {50, "Fma"},    {53, "Ldexp"},    {58, "PackHalf2x16"},
                                    {62, "UnpackHalf2x16"}, {66, "Length"}, {69, "Normalize"}};

constexpr uint32_t kFunctionFma = 50;

template <size_t N>
const char* nameIn(const Named (&table)[N], uint32_t number) {
  for (const Named& row : table) {
    if (row.number == number) return row.name;
  }
  return nullptr;
}

std::string stringOperand(std::span<const uint32_t> words) {
  std::string text(reinterpret_cast<const char*>(words.data()), words.size_bytes());
  return text.substr(0, text.find('\0'));
}

class Checker {
 public:
  Checker(const Module& module, const KernelInterface& kernel) : module_(module), kernel_(kernel) {}

  void capabilities(uint32_t features) {
    for (uint32_t capability : module_.capabilities()) {
      bool allowed = false;
      for (const FeatureCapabilities& row : featureCapabilities()) {
        if ((row.feature & ~features) != 0) continue;
        for (uint32_t one : row.capabilities) allowed |= one == capability;
      }
      if (!allowed) fault("capability " + std::to_string(capability) + " is not covered by the row's needs");
    }
  }

  // Storage buffers in set 0 alone, and the push block.
  void variables() {
    uint32_t push_bytes = 0;
    for (const Instruction& in : module_.instructions()) {
      if (in.op != kOpVariable || in.operands.size() < 3) continue;
      const uint32_t variable = in.operands[1];
      const uint32_t pointee = module_.operand(in.operands[0], 2);
      switch (in.operands[2]) {
        case kInput:
        case kWorkgroup:
        case kPrivate:
        case kFunction: break;
        case kPushConstant: push_bytes = module_.sizeOf(pointee); break;
        case kStorageBuffer: {
          const auto set = module_.decoration(variable, kDescriptorSet);
          const auto binding = module_.decoration(variable, kBinding);
          if (!set || *set != 0) fault("a storage buffer is not in set 0");
          if (!binding || *binding >= kMaxBindings) fault("a storage buffer's binding is not in 0..3");
          break;
        }
        default: fault("a variable of storage class " + std::to_string(in.operands[2]) + ", no storage buffer");
      }
    }
    if (push_bytes != kernel_.push_bytes) {
      fault("the push block has " + std::to_string(push_bytes) + " bytes, its C++ struct " +
            std::to_string(kernel_.push_bytes));
    }
    if (push_bytes > kMaxPushBytes) fault("the push block is larger than 128 bytes");
  }

  // The C++ side writes specialization data by its own list; a constant it does not know keeps its default for ever.
  void specialization() {
    for (size_t i = 0; i < kernel_.spec_count; ++i) {
      if (kernel_.spec[i].id != i) fault("specialization ids do not ascend from 0 in the C++ list");
    }
    const uint32_t local_size = localSizeConstant();
    for (uint32_t number = 0; number < module_.idCount(); ++number) {
      const auto spec_id = module_.decoration(number, kSpecId);
      if (!spec_id) continue;
      const std::string where = "specialization id " + std::to_string(*spec_id) + ": ";
      if (*spec_id >= kernel_.spec_count) {
        fault(where + "unknown to C++");
        continue;
      }
      const SpecRow& row = kernel_.spec[*spec_id];
      const Id& constant = module_.id(number);
      const uint32_t type = module_.operand(number, 0);
      std::string_view found = "?";
      uint32_t bits = module_.operand(number, 2);
      if (constant.op == kOpSpecConstantTrue || constant.op == kOpSpecConstantFalse) {
        found = "nib_bool";
        bits = constant.op == kOpSpecConstantTrue ? 1 : 0;
      } else if (module_.id(type).op == kOpTypeInt && module_.operand(type, 1) == 32) {
        found = module_.operand(type, 2) == 0 ? "uint" : "int";
      } else if (module_.id(type).op == kOpTypeFloat && module_.operand(type, 1) == 32) {
        found = "float";
      }
      if (found != row.type) fault(where + "type " + std::string(found) + ", in C++ " + row.type);
      // GLSL's local_size_x_id makes a constant of its own, whose default is 1.
      if (number == local_size) continue;
      if (bits != row.bits) fault(where + "default " + std::to_string(bits) + ", in C++ " + std::to_string(row.bits));
    }
  }

  void entryPoint() {
    uint32_t entries = 0;
    for (const Instruction& in : module_.instructions()) {
      if (in.op == kOpEntryPoint && in.operands.size() > 2) {
        ++entries;
        if (in.operands[0] != kExecutionModelGlCompute) fault("the entry point is no compute shader");
        if (stringOperand(in.operands.subspan(2)) != "main") fault("the entry point is not named main");
      }
      // Vulkan allows it with maintenance4 only, which nobody declared. SPIR-V 1.6 (target vulkan1.3) makes glslang use
      // it.
      if (in.op == kOpExecutionModeId && in.operands.size() > 1 && in.operands[1] == kExecutionModeLocalSizeId) {
        fault("LocalSizeId needs the feature maintenance4; a target below vulkan1.3 does without");
      }
    }
    if (entries != 1) fault(std::to_string(entries) + " entry points");
    const auto spec_id = module_.decoration(localSizeConstant(), kSpecId);
    if (!spec_id || *spec_id != 0) fault("the workgroup size is not specialization id 0");
  }

  void floatAtomics() {
    for (const Instruction& in : module_.instructions()) {
      if (const char* name = nameIn(kFloatAtomics, in.op)) fault(std::string(name) + at(in));
    }
  }

  void bitExact(bool fma) {
    for (const Instruction& in : module_.instructions()) {
      const bool folded = in.op == kOpSpecConstantOp && in.operands.size() > 2;
      const uint32_t op = folded ? in.operands[2] : in.op;
      if (const char* name = nameIn(kInexact, op)) fault(std::string(name) + at(in));
      if (const char* name = nameIn(kNeedsNoContraction, op)) {
        if (in.operands.size() < 2 || !module_.decoration(in.operands[1], kNoContraction)) {
          fault(std::string(name) + " without NoContraction" + at(in));
        }
      }
      if (op == kOpTypeFloat && in.operands.size() > 1 && in.operands[1] != 32) {
        fault("float" + std::to_string(in.operands[1]) + " arithmetic");
      }
      if (op == kOpExtInst && in.operands.size() > 3) function(in, fma);
    }
  }

  std::vector<std::string> faults;

 private:
  void fault(std::string text) {
    for (const std::string& known : faults) {
      if (known == text) return;
    }
    faults.push_back(std::move(text));
  }

  static std::string at(const Instruction& in) { return " at word " + std::to_string(in.word); }

  void function(const Instruction& in, bool fma) {
    const Id& set = module_.id(in.operands[2]);
    if (set.operands.size() < 2 || stringOperand(set.operands.subspan(1)) != "GLSL.std.450") {
      fault("an instruction of a set other than GLSL.std.450" + at(in));
      return;
    }
    for (uint32_t exact : kExactFunctions) {
      if (in.operands[3] == exact) return;
    }
    if (fma && in.operands[3] == kFunctionFma) return;
    const char* name = nameIn(kFunctionNames, in.operands[3]);
    fault("GLSL.std.450 " + (name != nullptr ? std::string(name) : std::to_string(in.operands[3])) + at(in));
  }

  // The id of the x component of the workgroup size, 0 if it is no constant of its own.
  uint32_t localSizeConstant() const {
    for (uint32_t number = 0; number < module_.idCount(); ++number) {
      if (module_.decoration(number, kBuiltIn) == kBuiltInWorkgroupSize) return module_.operand(number, 2);
    }
    return 0;
  }

  const Module& module_;
  const KernelInterface& kernel_;
};

}  // namespace

std::vector<std::string> check(std::span<const uint32_t> words, const KernelInterface& kernel, uint32_t features,
                               Promise promise) {
  const Module module(words);
  if (!module.error().empty()) return {module.error()};
  Checker checker(module, kernel);
  checker.entryPoint();
  checker.capabilities(features);
  checker.variables();
  checker.specialization();
  checker.floatAtomics();
  if (promise != Promise::kBound) checker.bitExact(promise == Promise::kBytesWholeFma);
  return checker.faults;
}

}  // namespace nib::spirv
