#include "packing/pack.h"

#include <memory>

#include "base/hash.h"
#include "packing/module_model.h"
#include "packing/range_encoder.h"

namespace nib::packing {

namespace {

// Calls visit(word, kind) for every operand. False if an instruction is malformed or not in the grammar.
template <class Visit>
bool forEachOperand(std::vector<uint32_t>& words, const Visit& visit) {
  for (size_t at = ModuleModel::kHeaderWords; at < words.size();) {
    const uint32_t op = words[at] & 0xffff, count = words[at] >> 16;
    if (count == 0 || count > words.size() - at || patternOf(op) == nullptr) return false;
    OperandKinds kinds(op);
    for (size_t i = 1; i < count; ++i) {
      const uint32_t word = words[at + i];
      visit(words[at + i], kinds.kind());
      kinds.pass(word);
    }
    at += count;
  }
  return true;
}

}  // namespace

bool renumber(std::vector<uint32_t>& words) {
  std::vector<uint32_t> numbers(words[3], 0);
  uint32_t next = 1;
  bool valid = true;
  const bool known = forEachOperand(words, [&](uint32_t word, Operand kind) {
    if (kind == Operand::kLiteral) return;
    if (word == 0 || word >= numbers.size()) {
      valid = false;
    } else if (numbers[word] == 0) {
      numbers[word] = next++;
    }
  });
  if (!known || !valid) return false;
  forEachOperand(words, [&](uint32_t& word, Operand kind) {
    if (kind != Operand::kLiteral) word = numbers[word];
  });
  words[3] = next;
  return true;
}

const char* problemOf(const std::vector<uint32_t>& words) {
  if (words.size() < ModuleModel::kHeaderWords || words[0] != ModuleModel::kMagic) {
    return "no little-endian SPIR-V module";
  }
  if (words[3] == 0 || words[3] > 1u << 22 || words.size() > 1u << 28) return "too large";
  for (size_t at = ModuleModel::kHeaderWords; at < words.size(); at += words[at] >> 16) {
    if (words[at] >> 16 == 0 || words[at] >> 16 > words.size() - at) return "cut or damaged";
  }
  return nullptr;
}

std::vector<uint8_t> pack(const std::vector<const std::vector<uint32_t>*>& bases, const std::vector<uint32_t>& words) {
  std::vector<std::vector<uint32_t>> modules;
  for (const std::vector<uint32_t>* base : bases) modules.push_back(*base);
  modules.push_back(words);
  std::vector<ModuleSize> sizes;
  for (const std::vector<uint32_t>& m : modules) sizes.push_back({uint32_t(m.size()), m[3], m[1]});
  const uint32_t count = uint32_t(sizes.size());
  std::vector<uint32_t> memory(size_t(ModuleModel::memoryWords(sizes.data(), count)), 0);
  const auto model = std::make_unique<ModuleModel>();
  model->reset(sizes.data(), count, memory.data());
  for (uint32_t i = 0; i + 1 < count; ++i) {
    RangeEncoder unused;
    model->run(unused, i, modules[i].data());
  }
  RangeEncoder encoder;
  model->run(encoder, count - 1, modules.back().data());
  return encoder.finish();
}

std::vector<uint32_t> asWords(const std::vector<uint8_t>& bytes) {
  std::vector<uint32_t> words((bytes.size() + 3) / 4, 0);
  for (size_t i = 0; i < bytes.size(); ++i) words[i / 4] |= uint32_t(bytes[i]) << i % 4 * 8;
  return words;
}

PackedModule describe(const std::vector<uint32_t>& words, const uint32_t* bytes, uint32_t byte_count) {
  return {
      bytes, nullptr, byte_count, uint32_t(words.size()), words[3], words[1], fnv1a64(words.data(), words.size() * 4)};
}

}  // namespace nib::packing
