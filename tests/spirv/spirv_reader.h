// A small SPIR-V reader: enough of a compute module's structure to compare it with its C++ side and with the rules for
// bit-exact kernels. It trusts nothing: a malformed module gives an error, never a read outside its words.
#ifndef NIB_TESTS_SPIRV_READER_H
#define NIB_TESTS_SPIRV_READER_H

#include <spirv/unified1/spirv.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace nib::spirv {

struct Instruction {
  uint32_t op;
  std::span<const uint32_t> operands;  // all words after the first
  size_t word;                         // its place in the module
};

// The definition and decorations of a result id.
struct Id {
  uint32_t op = 0;
  std::span<const uint32_t> operands;           // of the instruction that defines it
  std::map<uint32_t, uint32_t> decorations;     // decoration -> first literal (0 = none)
  std::map<uint32_t, uint32_t> member_offsets;  // of a struct
};

class Module {
 public:
  // The words must outlive the module. error() says what is wrong with them, "" if nothing.
  explicit Module(std::span<const uint32_t> words) { read(words); }

  const std::string& error() const { return error_; }
  const std::vector<Instruction>& instructions() const { return instructions_; }
  const std::set<uint32_t>& capabilities() const { return capabilities_; }

  // An id the module does not define is one of opcode 0.
  const Id& id(uint32_t number) const {
    static const Id kNone;
    return number < ids_.size() ? ids_[number] : kNone;
  }
  uint32_t idCount() const { return static_cast<uint32_t>(ids_.size()); }

  std::optional<uint32_t> decoration(uint32_t number, spv::Decoration which) const {
    const auto& all = id(number).decorations;
    const auto found = all.find(which);
    return found == all.end() ? std::nullopt : std::optional<uint32_t>(found->second);
  }

  // Operand of the instruction that defines an id, 0 beyond its end.
  uint32_t operand(uint32_t number, size_t index) const {
    const auto& operands = id(number).operands;
    return index < operands.size() ? operands[index] : 0;
  }

  // Bytes of a type with an explicit layout, 0 if it has none.
  uint32_t sizeOf(uint32_t type, uint32_t depth = 0) const {
    if (depth > 16) return 0;
    const Id& t = id(type);
    switch (t.op) {
      case spv::OpTypeInt:
      case spv::OpTypeFloat: return operand(type, 1) / 8;
      case spv::OpTypeVector: return operand(type, 2) * sizeOf(operand(type, 1), depth + 1);
      case spv::OpTypeArray: {
        const auto stride = decoration(type, spv::DecorationArrayStride);
        const uint32_t length = operand(type, 2);
        return stride && id(length).op == spv::OpConstant ? *stride * operand(length, 2) : 0;
      }
      case spv::OpTypeStruct: {
        uint32_t size = 0;
        for (uint32_t i = 0; i + 1 < t.operands.size(); ++i) {
          const auto offset = t.member_offsets.find(i);
          if (offset == t.member_offsets.end()) return 0;
          const uint32_t end = offset->second + sizeOf(t.operands[i + 1], depth + 1);
          size = end > size ? end : size;
        }
        return size;
      }
      default: return 0;
    }
  }

 private:
  void read(std::span<const uint32_t> words) {
    if (words.size() < 5 || words[0] != spv::MagicNumber) {
      error_ = "no SPIR-V header";
      return;
    }
    const uint32_t bound = words[3];
    if (bound > 1u << 20) {
      error_ = "id bound " + std::to_string(bound) + " is not believable";
      return;
    }
    ids_.resize(bound);
    for (size_t at = 5; at < words.size();) {
      const uint32_t count = words[at] >> spv::WordCountShift;
      if (count == 0 || count > words.size() - at) {
        error_ = "instruction at word " + std::to_string(at) + " runs beyond the module";
        return;
      }
      const Instruction instruction{words[at] & spv::OpCodeMask, words.subspan(at + 1, count - 1), at};
      instructions_.push_back(instruction);
      note(instruction);
      at += count;
    }
    if (instructions_.empty() || instructions_.back().op != spv::OpFunctionEnd)
      error_ = "the module does not end with a function";
  }

  void note(const Instruction& instruction) {
    const auto& operands = instruction.operands;
    const auto at = [&](size_t i) { return i < operands.size() ? operands[i] : 0; };
    switch (instruction.op) {
      case spv::OpCapability: capabilities_.insert(at(0)); return;
      case spv::OpDecorate:
        if (at(0) < ids_.size()) ids_[at(0)].decorations[at(1)] = at(2);
        return;
      case spv::OpMemberDecorate:
        if (at(0) < ids_.size() && at(2) == spv::DecorationOffset) ids_[at(0)].member_offsets[at(1)] = at(3);
        return;
      case spv::OpTypeBool:
      case spv::OpTypeInt:
      case spv::OpTypeFloat:
      case spv::OpTypeVector:
      case spv::OpTypeMatrix:
      case spv::OpTypeArray:
      case spv::OpTypeRuntimeArray:
      case spv::OpTypeStruct:
      case spv::OpTypePointer:
      case spv::OpExtInstImport: define(at(0), instruction); return;
      case spv::OpConstant:
      case spv::OpSpecConstantTrue:
      case spv::OpSpecConstantFalse:
      case spv::OpSpecConstant:
      case spv::OpSpecConstantComposite:
      case spv::OpSpecConstantOp:
      case spv::OpVariable: define(at(1), instruction); return;
      default: return;
    }
  }

  void define(uint32_t number, const Instruction& instruction) {
    if (number >= ids_.size()) return;
    ids_[number].op = instruction.op;
    ids_[number].operands = instruction.operands;
  }

  std::string error_;
  std::vector<Instruction> instructions_;
  std::set<uint32_t> capabilities_;
  std::vector<Id> ids_;
};

}  // namespace nib::spirv
#endif
