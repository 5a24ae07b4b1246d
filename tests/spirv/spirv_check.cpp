#include "spirv_check.h"

#include <nibble/nibble.h>
#include <spirv/unified1/GLSL.std.450.h>
#include <spirv/unified1/spirv.hpp>

#include <cstring>
#include <string_view>

#include "spirv_reader.h"

namespace nib::spirv {
namespace {

constexpr uint32_t kMaxBindings = 4;
constexpr uint32_t kMaxPushBytes = 128;

// spv::CapabilityCooperativeMatrixKHR, which the SPIRV-Headers of Debian 12 lack.
constexpr uint32_t kCapabilityCooperativeMatrixKHR = 6022;

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
      {0, {spv::CapabilityShader}},
      {NIB_FEATURE_SUBGROUP,
       {spv::CapabilityGroupNonUniform, spv::CapabilityGroupNonUniformArithmetic, spv::CapabilityGroupNonUniformBallot,
        spv::CapabilityGroupNonUniformShuffle}},
      {NIB_FEATURE_STORAGE16, {spv::CapabilityStorageBuffer16BitAccess}},
      {NIB_FEATURE_F16, {spv::CapabilityFloat16}},
      {NIB_FEATURE_DOT4, {spv::CapabilityDotProductInput4x8BitPacked, spv::CapabilityDotProduct}},
      // An integer matrix's elements have an 8-bit type: the context counts a device without shaderInt8 as one without
      // cooperative matrices.
      {NIB_FEATURE_COOPMAT, {kCapabilityCooperativeMatrixKHR, spv::CapabilityVulkanMemoryModel, spv::CapabilityInt8}},
  };
  return kTable;
}

#define NIB_OP_ROW(op) \
  { spv::op, #op }
#define NIB_FUNCTION_ROW(function) \
  { GLSLstd450##function, #function }

// The device chooses the order, so the result is not determined; never allowed.
constexpr Named kFloatAtomics[] = {NIB_OP_ROW(OpAtomicFMinEXT), NIB_OP_ROW(OpAtomicFMaxEXT),
                                   NIB_OP_ROW(OpAtomicFAddEXT)};

// Results that devices may give differently.
constexpr Named kInexact[] = {NIB_OP_ROW(OpFConvert),
                              NIB_OP_ROW(OpQuantizeToF16),
                              NIB_OP_ROW(OpFDiv),
                              NIB_OP_ROW(OpFRem),
                              NIB_OP_ROW(OpFMod),
                              NIB_OP_ROW(OpMatrixTimesScalar),
                              NIB_OP_ROW(OpVectorTimesMatrix),
                              NIB_OP_ROW(OpMatrixTimesVector),
                              NIB_OP_ROW(OpMatrixTimesMatrix),
                              NIB_OP_ROW(OpOuterProduct),
                              NIB_OP_ROW(OpDot),
                              NIB_OP_ROW(OpDPdx),
                              NIB_OP_ROW(OpGroupNonUniformFAdd),
                              NIB_OP_ROW(OpGroupNonUniformFMul),
                              NIB_OP_ROW(OpGroupNonUniformFMin),
                              NIB_OP_ROW(OpGroupNonUniformFMax)};

// Exact if rounded once, so nothing may be fused with them.
constexpr Named kNeedsNoContraction[] = {NIB_OP_ROW(OpFAdd), NIB_OP_ROW(OpFSub), NIB_OP_ROW(OpFMul),
                                         NIB_OP_ROW(OpVectorTimesScalar)};

// The functions of GLSL.std.450 with one right answer. Not among them: Round (ties as the device likes), NMin and the
// like (for NaN), Fma, all that has an error bound, and packing to half (SwiftShader does not round to nearest).
constexpr uint32_t kExactFunctions[] = {
    GLSLstd450RoundEven, GLSLstd450Trunc,  GLSLstd450FAbs,     GLSLstd450SAbs,     GLSLstd450FSign,
    GLSLstd450SSign,     GLSLstd450Floor,  GLSLstd450Ceil,     GLSLstd450FMin,     GLSLstd450UMin,
    GLSLstd450SMin,      GLSLstd450FMax,   GLSLstd450UMax,     GLSLstd450SMax,     GLSLstd450FClamp,
    GLSLstd450UClamp,    GLSLstd450SClamp, GLSLstd450FindILsb, GLSLstd450FindSMsb, GLSLstd450FindUMsb};

// Functions whose error a device may choose within wide bounds, or without any. No kernel uses them: exp_log.glsl
// replaces them.
constexpr Named kTranscendental[] = {NIB_FUNCTION_ROW(Sin),   NIB_FUNCTION_ROW(Cos),   NIB_FUNCTION_ROW(Tan),
                                     NIB_FUNCTION_ROW(Asin),  NIB_FUNCTION_ROW(Acos),  NIB_FUNCTION_ROW(Atan),
                                     NIB_FUNCTION_ROW(Sinh),  NIB_FUNCTION_ROW(Cosh),  NIB_FUNCTION_ROW(Tanh),
                                     NIB_FUNCTION_ROW(Asinh), NIB_FUNCTION_ROW(Acosh), NIB_FUNCTION_ROW(Atanh),
                                     NIB_FUNCTION_ROW(Atan2), NIB_FUNCTION_ROW(Pow),   NIB_FUNCTION_ROW(Exp),
                                     NIB_FUNCTION_ROW(Log),   NIB_FUNCTION_ROW(Exp2),  NIB_FUNCTION_ROW(Log2)};

constexpr Named kFunctionNames[] = {
    NIB_FUNCTION_ROW(Round),       NIB_FUNCTION_ROW(Fract),        NIB_FUNCTION_ROW(Sqrt),
    NIB_FUNCTION_ROW(InverseSqrt), NIB_FUNCTION_ROW(FMix),         NIB_FUNCTION_ROW(Fma),
    NIB_FUNCTION_ROW(Ldexp),       NIB_FUNCTION_ROW(PackHalf2x16), NIB_FUNCTION_ROW(UnpackHalf2x16),
    NIB_FUNCTION_ROW(Length),      NIB_FUNCTION_ROW(Normalize)};

#undef NIB_OP_ROW
#undef NIB_FUNCTION_ROW

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
      if (in.op != spv::OpVariable || in.operands.size() < 3) continue;
      const uint32_t variable = in.operands[1];
      const uint32_t pointee = module_.operand(in.operands[0], 2);
      switch (in.operands[2]) {
        case spv::StorageClassInput:
        case spv::StorageClassWorkgroup:
        case spv::StorageClassPrivate:
        case spv::StorageClassFunction: break;
        case spv::StorageClassPushConstant: push_bytes = module_.sizeOf(pointee); break;
        case spv::StorageClassStorageBuffer: {
          const auto set = module_.decoration(variable, spv::DecorationDescriptorSet);
          const auto binding = module_.decoration(variable, spv::DecorationBinding);
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
      const auto spec_id = module_.decoration(number, spv::DecorationSpecId);
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
      if (constant.op == spv::OpSpecConstantTrue || constant.op == spv::OpSpecConstantFalse) {
        found = "nib_bool";
        bits = constant.op == spv::OpSpecConstantTrue ? 1 : 0;
      } else if (module_.id(type).op == spv::OpTypeInt && module_.operand(type, 1) == 32) {
        found = module_.operand(type, 2) == 0 ? "uint" : "int";
      } else if (module_.id(type).op == spv::OpTypeFloat && module_.operand(type, 1) == 32) {
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
      if (in.op == spv::OpEntryPoint && in.operands.size() > 2) {
        ++entries;
        if (in.operands[0] != spv::ExecutionModelGLCompute) fault("the entry point is no compute shader");
        if (stringOperand(in.operands.subspan(2)) != "main") fault("the entry point is not named main");
      }
      // Vulkan allows it with maintenance4 only, which nobody declared. SPIR-V 1.6 (target vulkan1.3) makes glslang use
      // it.
      if (in.op == spv::OpExecutionModeId && in.operands.size() > 1 &&
          in.operands[1] == spv::ExecutionModeLocalSizeId) {
        fault("LocalSizeId needs the feature maintenance4; a target below vulkan1.3 does without");
      }
    }
    if (entries != 1) fault(std::to_string(entries) + " entry points");
    const auto spec_id = module_.decoration(localSizeConstant(), spv::DecorationSpecId);
    if (!spec_id || *spec_id != 0) fault("the workgroup size is not specialization id 0");
  }

  void floatAtomics() {
    for (const Instruction& in : module_.instructions()) {
      if (const char* name = nameIn(kFloatAtomics, in.op)) fault(std::string(name) + at(in));
    }
  }

  void transcendental() {
    for (const Instruction& in : module_.instructions()) {
      if (in.op != spv::OpExtInst || in.operands.size() < 4 || !isGlslSet(in.operands[2])) continue;
      if (const char* name = nameIn(kTranscendental, in.operands[3])) {
        fault("GLSL.std.450 " + std::string(name) + at(in));
      }
    }
  }

  void bitExact(bool fma) {
    for (const Instruction& in : module_.instructions()) {
      const bool folded = in.op == spv::OpSpecConstantOp && in.operands.size() > 2;
      const uint32_t op = folded ? in.operands[2] : in.op;
      if (const char* name = nameIn(kInexact, op)) fault(std::string(name) + at(in));
      if (const char* name = nameIn(kNeedsNoContraction, op)) {
        if (in.operands.size() < 2 || !module_.decoration(in.operands[1], spv::DecorationNoContraction)) {
          fault(std::string(name) + " without NoContraction" + at(in));
        }
      }
      if (op == spv::OpTypeFloat && in.operands.size() > 1 && in.operands[1] != 32) {
        fault("float" + std::to_string(in.operands[1]) + " arithmetic");
      }
      if (op == spv::OpExtInst && in.operands.size() > 3) function(in, fma);
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

  bool isGlslSet(uint32_t number) const {
    const Id& set = module_.id(number);
    return set.operands.size() > 1 && stringOperand(set.operands.subspan(1)) == "GLSL.std.450";
  }

  void function(const Instruction& in, bool fma) {
    if (!isGlslSet(in.operands[2])) {
      fault("an instruction of a set other than GLSL.std.450" + at(in));
      return;
    }
    for (uint32_t exact : kExactFunctions) {
      if (in.operands[3] == exact) return;
    }
    if (fma && in.operands[3] == GLSLstd450Fma) return;
    if (nameIn(kTranscendental, in.operands[3]) != nullptr) return;  // transcendental() reports it
    const char* name = nameIn(kFunctionNames, in.operands[3]);
    fault("GLSL.std.450 " + (name != nullptr ? std::string(name) : std::to_string(in.operands[3])) + at(in));
  }

  // The id of the x component of the workgroup size, 0 if it is no constant of its own.
  uint32_t localSizeConstant() const {
    for (uint32_t number = 0; number < module_.idCount(); ++number) {
      if (module_.decoration(number, spv::DecorationBuiltIn) == spv::BuiltInWorkgroupSize)
        return module_.operand(number, 2);
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
  checker.transcendental();
  if (promise != Promise::kBound) checker.bitExact(promise == Promise::kBytesWholeFma);
  return checker.faults;
}

}  // namespace nib::spirv
