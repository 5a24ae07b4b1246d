// The numbers are from the SPIR-V specification, https://registry.khronos.org/SPIR-V/specs/unified1/SPIRV.html
#include "bench/spirv_count.h"

#include <map>
#include <set>
#include <vector>

namespace nib::bench {
namespace {

enum Op : uint32_t {
  kExtInst = 12,
  kEntryPoint = 15,
  kTypeVector = 23,
  kTypePointer = 32,
  kConstantTrue = 41,
  kConstantFalse = 42,
  kConstant = 43,
  kSpecConstantTrue = 48,
  kSpecConstantFalse = 49,
  kSpecConstant = 50,
  kSpecConstantOp = 52,
  kFunction = 54,
  kFunctionParameter = 55,
  kFunctionEnd = 56,
  kFunctionCall = 57,
  kVariable = 59,
  kLoad = 61,
  kStore = 62,
  kAccessChain = 65,
  kDecorate = 71,
  kIAdd = 128,
  kISub = 130,
  kIMul = 132,
  kUDiv = 134,
  kLogicalEqual = 164,
  kLogicalNotEqual = 165,
  kLogicalOr = 166,
  kLogicalAnd = 167,
  kLogicalNot = 168,
  kSelect = 169,
  kIEqual = 170,
  kINotEqual = 171,
  kUGreaterThan = 172,
  kUGreaterThanEqual = 174,
  kULessThan = 176,
  kULessThanEqual = 178,
  kShiftRightLogical = 194,
  kShiftLeftLogical = 196,
  kBitwiseOr = 197,
  kBitwiseXor = 198,
  kBitwiseAnd = 199,
  kPhi = 245,
  kLoopMerge = 246,
  kLabel = 248,
  kBranch = 249,
  kBranchConditional = 250,
  kSwitch = 251,
  kReturnValue = 254,
};
constexpr uint32_t kSpecId = 1;
constexpr uint32_t kWorkgroup = 4, kFunctionStorage = 7, kStorageBuffer = 12;
constexpr int kMaxDepth = 64;

bool isComputation(uint32_t op) {
  return op == kExtInst || (op >= 109 && op <= 118) ||  // conversions
         (op >= 126 && op <= 152) ||                    // arithmetic
         (op >= 154 && op <= 191) ||                    // logic, selection, comparison
         (op >= 194 && op <= 205) ||                    // bits
         (op >= 227 && op <= 242) ||                    // atomics
         (op >= 333 && op <= 366);                      // subgroups
}

using Value = std::optional<uint32_t>;

// Evaluates operations on 32-bit words and booleans. Nothing: an operand is unknown, or the operation is not supported,
// because no kernel's branch depends on it.
Value fold(uint32_t op, const Value& a, const Value& b, const Value& c) {
  if (op == kLogicalAnd && ((a && !*a) || (b && !*b))) return 0u;
  if (op == kLogicalOr && ((a && *a) || (b && *b))) return 1u;
  if (op == kLogicalNot) return a ? Value(!*a) : Value();
  if (op == kSelect) return a ? (*a ? b : c) : Value();
  if (!a || !b) return {};
  switch (op) {
    case kIAdd: return *a + *b;
    case kISub: return *a - *b;
    case kIMul: return *a * *b;
    case kUDiv: return *b != 0 ? Value(*a / *b) : Value();
    case kShiftRightLogical: return *b < 32 ? Value(*a >> *b) : Value();
    case kShiftLeftLogical: return *b < 32 ? Value(*a << *b) : Value();
    case kBitwiseOr: return *a | *b;
    case kBitwiseXor: return *a ^ *b;
    case kBitwiseAnd: return *a & *b;
    case kLogicalOr: return *a || *b;
    case kLogicalAnd: return *a && *b;
    case kLogicalEqual:
    case kIEqual: return *a == *b;
    case kLogicalNotEqual:
    case kINotEqual: return *a != *b;
    case kUGreaterThan: return *a > *b;
    case kUGreaterThanEqual: return *a >= *b;
    case kULessThan: return *a < *b;
    case kULessThanEqual: return *a <= *b;
    default: return {};
  }
}

struct Instruction {
  uint32_t op;
  std::span<const uint32_t> operands;
  uint32_t at(size_t i) const { return i < operands.size() ? operands[i] : 0; }
};

struct Function {
  std::vector<uint32_t> parameters;
  std::vector<Instruction> body;
  std::map<uint32_t, uint32_t> stores;  // pointer -> number of instructions that store to it
};

struct OpenLoop {
  uint32_t merge;                 // its merge block
  uint64_t operations, accesses;  // counted before the loop
  bool has_inner;                 // contains a loop that accesses memory
};

class Counter {
 public:
  Counter(std::span<const uint32_t> words, std::span<const uint32_t> spec) : spec_(spec) { valid_ = read(words); }

  std::optional<SpirvCount> run() {
    const auto main = functions_.find(entry_);
    if (!valid_ || main == functions_.end()) return std::nullopt;
    walk(main->second, {}, 0);
    return valid_ ? std::optional<SpirvCount>(count_) : std::nullopt;
  }

 private:
  bool read(std::span<const uint32_t> words) {
    if (words.size() < 5 || words[0] != 0x07230203u) return false;
    Function* function = nullptr;
    for (size_t at = 5; at < words.size();) {
      const uint32_t length = words[at] >> 16;
      if (length == 0 || length > words.size() - at) return false;
      const Instruction instruction{words[at] & 0xffffu, words.subspan(at + 1, length - 1)};
      at += length;
      if (instruction.op == kFunction) {
        function = &functions_[instruction.at(1)];
      } else if (instruction.op == kFunctionEnd) {
        function = nullptr;
      } else if (function != nullptr) {
        note(instruction, *function);
      } else {
        note(instruction);
      }
    }
    return function == nullptr;
  }

  // Outside functions.
  void note(const Instruction& i) {
    switch (i.op) {
      case kEntryPoint: entry_ = i.at(1); break;
      case kDecorate:
        if (i.at(1) == kSpecId && i.at(2) < spec_.size()) specialized_[i.at(0)] = spec_[i.at(2)];
        break;
      case kTypeVector: components_[i.at(0)] = i.at(2); break;
      case kTypePointer: storage_[i.at(0)] = i.at(1); break;
      case kVariable: type_[i.at(1)] = i.at(0); break;
      case kConstantTrue: constants_[i.at(1)] = 1; break;
      case kConstantFalse: constants_[i.at(1)] = 0; break;
      case kConstant:
        if (i.operands.size() == 3) constants_[i.at(1)] = i.at(2);
        break;
      case kSpecConstantTrue: constants_[i.at(1)] = specialized(i.at(1), 1); break;
      case kSpecConstantFalse: constants_[i.at(1)] = specialized(i.at(1), 0); break;
      case kSpecConstant: constants_[i.at(1)] = specialized(i.at(1), i.at(2)); break;
      case kSpecConstantOp: constants_[i.at(1)] = fold(i.at(2), known(i.at(3)), known(i.at(4)), known(i.at(5))); break;
      default: break;
    }
  }

  void note(const Instruction& i, Function& function) {
    function.body.push_back(i);
    if (i.op == kFunctionParameter) function.parameters.push_back(i.at(1));
    if (i.op == kFunctionParameter || i.op == kVariable || i.op == kAccessChain) type_[i.at(1)] = i.at(0);
    if (i.op == kStore) ++function.stores[i.at(0)];
  }

  uint32_t specialized(uint32_t id, uint32_t otherwise) const {
    const auto found = specialized_.find(id);
    return found != specialized_.end() ? found->second : otherwise;
  }

  Value known(uint32_t id) const {
    const auto found = constants_.find(id);
    return found != constants_.end() ? found->second : Value();
  }

  uint32_t storageOf(uint32_t pointer) const {
    const auto type = type_.find(pointer);
    const auto storage = type != type_.end() ? storage_.find(type->second) : storage_.end();
    return storage != storage_.end() ? storage->second : UINT32_MAX;
  }
  bool isMemory(uint32_t pointer) const {
    return storageOf(pointer) == kStorageBuffer || storageOf(pointer) == kWorkgroup;
  }

  uint64_t width(uint32_t type) const {
    const auto found = components_.find(type);
    return found != components_.end() ? found->second : 1;
  }

  void enterLoop(uint32_t merge) {
    ++count_.loops;
    open_.push_back({merge, count_.operations, accesses_, false});
  }
  void leaveLoop() {
    const OpenLoop loop = open_.back();
    open_.pop_back();
    if (accesses_ == loop.accesses) return;
    if (!loop.has_inner) count_.looped += count_.operations - loop.operations;
    if (!open_.empty()) open_.back().has_inner = true;
  }
  void access(uint32_t pointer) {
    if (!isMemory(pointer)) return;
    ++accesses_;
    ++count_.operations;
  }

  // Counts one call. arguments: values, or the contents of the variables that pointers point to. Returns the function's
  // result if it is known.
  Value walk(const Function& function, const std::vector<Value>& arguments, int depth) {
    if (depth > kMaxDepth) {
      valid_ = false;
      return {};
    }
    std::map<uint32_t, Value> values;    // of results
    std::map<uint32_t, Value> contents;  // of variables of this function that are written once
    for (size_t i = 0; i < function.parameters.size() && i < arguments.size(); ++i) {
      const uint32_t id = function.parameters[i];
      values[id] = arguments[i];
      if (!function.stores.contains(id)) contents[id] = arguments[i];
    }
    const auto value = [&](uint32_t id) {
      const auto found = values.find(id);
      return found != values.end() ? found->second : known(id);
    };
    std::set<std::pair<uint32_t, uint32_t>> edges;
    std::set<uint32_t> reached, visited;
    uint32_t block = 0;
    bool live = false;
    bool returned = false;
    Value result;
    const auto branchTo = [&](uint32_t to) {
      reached.insert(to);
      edges.insert({block, to});
    };
    for (const Instruction& i : function.body) {
      if (i.op == kLabel) {
        // A loop's blocks are listed between its header and its merge block.
        if (!open_.empty() && open_.back().merge == i.at(0)) leaveLoop();
        live = block == 0 || reached.contains(i.at(0));
        block = i.at(0);
        visited.insert(block);
        continue;
      }
      if (!live) continue;
      switch (i.op) {
        case kBranch: branchTo(i.at(0)); break;
        case kBranchConditional: {
          const Value condition = value(i.at(0));
          if (!condition) ++count_.operations;
          if (!condition || *condition) branchTo(i.at(1));
          if (!condition || !*condition) branchTo(i.at(2));
          break;
        }
        case kSwitch:
          ++count_.operations;
          branchTo(i.at(1));
          for (size_t k = 3; k < i.operands.size(); k += 2) branchTo(i.at(k));
          break;
        case kLoopMerge: enterLoop(i.at(0)); break;
        case kPhi: {
          // Ignores blocks that cannot branch here. A block not visited yet (a back edge) makes the value unknown.
          bool first = true, same = true;
          Value all;
          for (size_t k = 2; k + 1 < i.operands.size(); k += 2) {
            if (visited.contains(i.at(k + 1)) && !edges.contains({i.at(k + 1), block})) continue;
            const Value one = visited.contains(i.at(k + 1)) ? value(i.at(k)) : Value();
            same = same && one && (first || one == all);
            all = one;
            first = false;
          }
          values[i.at(1)] = same ? all : Value();
          break;
        }
        case kLoad:
          access(i.at(2));
          if (const auto content = contents.find(i.at(2)); content != contents.end()) values[i.at(1)] = content->second;
          break;
        case kStore: {
          access(i.at(0));
          if (storageOf(i.at(0)) == kFunctionStorage && function.stores.at(i.at(0)) == 1) {
            contents[i.at(0)] = value(i.at(1));
          }
          break;
        }
        case kFunctionCall: {
          const auto callee = functions_.find(i.at(2));
          if (callee == functions_.end()) {
            valid_ = false;
            return {};
          }
          std::vector<Value> call_arguments;
          for (size_t k = 3; k < i.operands.size(); ++k) {
            const auto content = contents.find(i.at(k));
            call_arguments.push_back(content != contents.end() ? content->second : value(i.at(k)));
          }
          values[i.at(1)] = walk(callee->second, call_arguments, depth + 1);
          // The callee changes variables that it stores to through pointers.
          for (size_t k = 0; k < callee->second.parameters.size(); ++k) {
            if (callee->second.stores.contains(callee->second.parameters[k])) contents.erase(i.at(k + 3));
          }
          break;
        }
        case kReturnValue: {
          const Value one = value(i.at(0));
          result = !returned || one == result ? one : Value();
          returned = true;
          break;
        }
        default:
          if (!isComputation(i.op)) break;
          if (const Value folded = fold(i.op, value(i.at(2)), value(i.at(3)), value(i.at(4))); folded) {
            values[i.at(1)] = folded;
            break;
          }
          count_.operations += width(i.at(0));
      }
    }
    return result;
  }

  std::span<const uint32_t> spec_;
  bool valid_ = false;
  uint32_t entry_ = 0;
  std::map<uint32_t, Function> functions_;
  std::map<uint32_t, uint32_t> specialized_, components_, storage_, type_;
  std::map<uint32_t, Value> constants_;
  std::vector<OpenLoop> open_;
  uint64_t accesses_ = 0;
  SpirvCount count_;
};

}  // namespace

std::optional<SpirvCount> countSpirv(std::span<const uint32_t> words, std::span<const uint32_t> spec) {
  return Counter(words, spec).run();
}

}  // namespace nib::bench
