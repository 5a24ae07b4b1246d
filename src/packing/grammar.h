// Which words of an instruction are ids: as much of SPIR-V's grammar as the packing of modules needs.
#ifndef NIB_PACKING_GRAMMAR_H
#define NIB_PACKING_GRAMMAR_H

#include <cstdint>

namespace nib::packing {

enum class Operand : uint8_t { kLiteral, kId, kType, kResult };

struct OpRange {
  uint16_t first, last;  // opcodes
  // t type, r result, i id, l literal, s string, m memory operands, o opcode and its operands, p pairs of a literal and
  // an id; * repeats the letter before it.
  char pattern[8];
};

// The opcodes of compute shaders. Modules may have others, whose words are taken as literals.
inline constexpr OpRange kOpRanges[] = {
    {1, 1, "tr"},            // Undef
    {10, 10, "l*"},          // Extension
    {11, 11, "rl*"},         // ExtInstImport
    {12, 12, "trili*"},      // ExtInst
    {14, 14, "ll"},          // MemoryModel
    {15, 15, "lisi*"},       // EntryPoint
    {16, 16, "il*"},         // ExecutionMode
    {17, 17, "l"},           // Capability
    {19, 20, "r"},           // TypeVoid, TypeBool
    {21, 21, "rll"},         // TypeInt
    {22, 22, "rl"},          // TypeFloat
    {23, 24, "ril"},         // TypeVector, TypeMatrix
    {28, 28, "rii"},         // TypeArray
    {29, 30, "ri*"},         // TypeRuntimeArray, TypeStruct
    {32, 32, "rli"},         // TypePointer
    {33, 33, "ri*"},         // TypeFunction
    {41, 42, "tr"},          // ConstantTrue, ConstantFalse
    {43, 43, "trl*"},        // Constant
    {44, 44, "tri*"},        // ConstantComposite
    {46, 46, "tr"},          // ConstantNull
    {48, 49, "tr"},          // SpecConstantTrue, SpecConstantFalse
    {50, 50, "trl*"},        // SpecConstant
    {51, 51, "tri*"},        // SpecConstantComposite
    {52, 52, "tro"},         // SpecConstantOp
    {54, 54, "trli"},        // Function
    {55, 55, "tr"},          // FunctionParameter
    {56, 56, ""},            // FunctionEnd
    {57, 57, "tri*"},        // FunctionCall
    {59, 59, "trli"},        // Variable
    {61, 61, "trim"},        // Load
    {62, 62, "iim"},         // Store
    {65, 66, "tri*"},        // AccessChain, InBoundsAccessChain
    {68, 68, "tril"},        // ArrayLength
    {71, 72, "il*"},         // Decorate, MemberDecorate
    {77, 78, "tri*"},        // VectorExtractDynamic, VectorInsertDynamic
    {79, 79, "triil*"},      // VectorShuffle
    {80, 80, "tri*"},        // CompositeConstruct
    {81, 81, "tril*"},       // CompositeExtract
    {82, 82, "triil*"},      // CompositeInsert
    {83, 84, "tri"},         // CopyObject, Transpose
    {109, 124, "tri*"},      // conversions
    {126, 152, "tri*"},      // arithmetic
    {154, 191, "tri*"},      // logic and comparisons
    {194, 205, "tri*"},      // bits
    {224, 225, "iii"},       // ControlBarrier, MemoryBarrier
    {227, 227, "tri*"},      // AtomicLoad
    {228, 228, "iiii"},      // AtomicStore
    {229, 242, "tri*"},      // other atomics
    {245, 245, "tri*"},      // Phi
    {246, 246, "iil"},       // LoopMerge
    {247, 247, "il"},        // SelectionMerge
    {248, 248, "r"},         // Label
    {249, 249, "i"},         // Branch
    {250, 250, "iii"},       // BranchConditional
    {251, 251, "iip"},       // Switch, of 32 bits
    {253, 253, ""},          // Return
    {254, 254, "i"},         // ReturnValue
    {331, 332, "ili*"},      // ExecutionModeId, DecorateId
    {333, 341, "tri*"},      // GroupNonUniformElect ... GroupNonUniformInverseBallot
    {342, 342, "trili"},     // GroupNonUniformBallotBitCount
    {343, 348, "tri*"},      // GroupNonUniformBallotFindLSB ... GroupNonUniformShuffleDown
    {349, 364, "trilii"},    // GroupNonUniformIAdd ... GroupNonUniformLogicalXor
    {365, 366, "tri*"},      // GroupNonUniformQuadBroadcast, GroupNonUniformQuadSwap
    {400, 400, "tri"},       // CopyLogical
    {4450, 4452, "triil"},   // SDot, UDot, SUDot
    {4456, 4456, "riiiii"},  // TypeCooperativeMatrix
    {4457, 4457, "triiim"},  // CooperativeMatrixLoad
    {4458, 4458, "iiiim"},   // CooperativeMatrixStore
    {4459, 4459, "triiil"},  // CooperativeMatrixMulAdd
    {4460, 4460, "tri"},     // CooperativeMatrixLength
    {6035, 6035, "tri*"},    // AtomicFAdd
};

// The pattern of an opcode, NULL if it is not in the table.
inline const char* patternOf(uint32_t op) {
  for (const OpRange& range : kOpRanges) {
    if (op >= range.first && op <= range.last) return range.pattern;
  }
  return nullptr;
}

// Tells the kinds of an instruction's operands, one after the other.
class OperandKinds {
 public:
  explicit OperandKinds(uint32_t op) : next_(patternOf(op)) {
    if (next_ == nullptr) next_ = "l*";
  }
  Operand kind() const {
    switch (*next_ == '*' ? next_[-1] : *next_) {
      case 't': return Operand::kType;
      case 'r': return Operand::kResult;
      case 'i': return Operand::kId;
      case 'p': return odd_ ? Operand::kId : Operand::kLiteral;
      case 'm': return position_ > (mask_ >> 1 & 1) ? Operand::kId : Operand::kLiteral;
      default: return Operand::kLiteral;
    }
  }
  // Goes on behind an operand.
  void pass(uint32_t word) {
    const char letter = *next_;
    if (letter == 's') {
      if (((word - 0x01010101u) & ~word & 0x80808080u) != 0) ++next_;  // a byte of zero ends it
    } else if (letter == 'm') {
      if (position_++ == 0) mask_ = word;
    } else if (letter == 'o') {
      const char* const pattern = patternOf(word);
      next_ = pattern != nullptr && pattern[0] == 't' && pattern[1] == 'r' ? pattern + 2 : "l*";
    } else if (letter == 'p') {
      odd_ = !odd_;
    } else if (letter != '*' && letter != '\0') {
      ++next_;
    }
  }

 private:
  const char* next_;
  bool odd_ = false;
  uint32_t position_ = 0, mask_ = 0;  // of memory operands: a mask, an alignment if it has bit 1, scopes
};

}  // namespace nib::packing
#endif
