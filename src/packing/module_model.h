// How likely each word of a module is, after the words before it. Packing and unpacking run the same code: the encoder
// reads words where the decoder writes them.
//
// A word is one of a few guesses, or it is spelled out. Two guides point at instructions, of a base or of this module,
// after which things went as they do now; their operands, with ids translated, are the first guesses. Others are what
// came last in the same context. Ids appear in contexts by their names, so that the same code with other ids looks the
// same.
#ifndef NIB_PACKING_MODULE_MODEL_H
#define NIB_PACKING_MODULE_MODEL_H

#include <cstdint>

#include "packing/bit_model.h"
#include "packing/candidates.h"
#include "packing/grammar.h"
#include "packing/id_lists.h"

namespace nib::packing {

// A program knows this of a module before it unpacks it.
struct ModuleSize {
  uint32_t words, bound, version;
};

class ModuleModel {
 public:
  static constexpr uint32_t kMaxModules = 3;
  static constexpr uint32_t kHeaderWords = 5;
  static constexpr uint32_t kMagic = 0x07230203;

  // Words of memory for a module after its bases.
  static uint64_t memoryWords(const ModuleSize* modules, uint32_t count) {
    uint64_t words = 0;
    for (uint32_t i = 0; i < count; ++i) words += 2 * uint64_t(modules[i].words) + perModule(modules[i]);
    return words;
  }

  // `memory` is zeros. The modules are coded in this order, at most kMaxModules.
  void reset(const ModuleSize* modules, uint32_t count, uint32_t* memory) {
    bits_.reset();
    for (auto& table : guesses_) table.reset();
    expected_types_.reset();
    after_six_.reset();
    after_three_.reset();
    instruction_count_ = run_count_ = 0;
    uint64_t words = 0;
    for (uint32_t i = 0; i < count; ++i) words += modules[i].words;
    places_ = memory;
    shapes_ = places_ + words;
    memory = shapes_ + words;
    for (uint32_t i = 0; i < count; ++i) {
      Module& m = modules_[i];
      m.size = modules[i];
      m.ids_memory = memory;
      m.translation = memory + uint64_t(IdLists::kArrays) * m.size.bound;
      memory += perModule(m.size);
    }
  }

  // Codes the next module, number `which`. False if it is malformed.
  template <class Coder>
  bool run(Coder& coder, uint32_t which, uint32_t* words);

 private:
  static constexpr uint32_t kGuides = 2, kContexts = 5, kNone = ~0u;
  static constexpr uint32_t kNewId = 2, kFirstContext = 3;  // sources of guesses: guides, a new id, contexts
  static constexpr uint32_t kModuleShift = 30;              // in places_
  // Sets of weights.
  static constexpr uint32_t kLengthSet = 3000, kDigitSet = 3040, kChoiceSet = 3080;

  struct Module {
    ModuleSize size;
    const uint32_t* words;
    uint32_t* ids_memory;
    uint32_t* translation;  // for each guide: an id of this module -> the one that took its place, and in which run;
                            // from a base to the module, the guides share the first one
    const uint32_t* names;  // of ids, when the module is complete
  };
  struct Guide {
    uint32_t at = kNone;  // the instruction that it expects next
    uint32_t length = 0;  // instructions that agreed
    uint32_t misses = 0;  // bits of the last words, the newest lowest
    uint32_t run = 0;
  };
  // A word that is being coded, and what precedes it.
  struct Place {
    uint32_t op, index;  // operand; kNone = the first word
    Operand kind;
    uint32_t slot;   // hash of both
    uint32_t known;  // the word, if the coder encodes
    bool isId() const { return kind != Operand::kLiteral; }
  };

  static uint64_t perModule(const ModuleSize& m) { return uint64_t(IdLists::kArrays + 2 * kGuides) * m.bound; }

  template <class Coder>
  uint32_t codeWord(Coder& coder, Place place);
  template <class Coder>
  uint32_t spell(Coder& coder, const Place& place);
  template <class Coder>
  uint32_t spellId(Coder& coder, const Place& place);
  template <class Coder>
  uint32_t codeNumber(Coder& coder, uint32_t context_a, uint32_t context_b, uint32_t number);

  bool guideGuess(uint32_t guide, const Place& place, uint32_t* guess) const;
  uint32_t* translationOf(uint32_t guide, const Place& place) const;
  void learn(const Place& place, const uint32_t (&contexts)[kContexts], uint32_t word);
  void endInstruction(uint32_t first_word);
  void follow(Guide& guide, uint32_t instruction, uint32_t first_word);
  void startGuide(Guide& guide, uint32_t instruction) { guide = {instruction, 1, guide.misses, ++run_count_}; }
  uint32_t moduleAt(uint32_t instruction) const { return places_[instruction] >> kModuleShift; }
  const uint32_t* wordsAt(uint32_t instruction) const {
    return modules_[moduleAt(instruction)].words + (places_[instruction] & ((1u << kModuleShift) - 1));
  }

  // Learned from the bases and the module.
  BitModel bits_;
  GuessTable<14> guesses_[kContexts];
  GuessTable<14> expected_types_;
  NewestTable<13> after_six_, after_three_;                 // instructions by those before them
  uint32_t *places_, *shapes_;                              // of instructions: module and word; a hash without ids
  uint32_t instruction_count_, run_count_, first_of_last_;  // the last: the first instruction of the last module
  Module modules_[kMaxModules];

  // The state of the module that is being coded.
  uint32_t which_;
  IdLists ids_;
  NewestTable<12> ordinals_, local_ordinals_;
  Guide guides_[kGuides];
  uint32_t names_so_far_, shape_so_far_;  // of the instruction
  uint32_t last_names_[2], last_shapes_[6];
};

// ------------------------------------------------------------------------------------------------------------ guides

// The place of the guide's operand in its module's translation, NULL if it has none.
inline uint32_t* ModuleModel::translationOf(uint32_t guide, const Place& place) const {
  const uint32_t at = guides_[guide].at;
  if (at == kNone || place.index == kNone || !place.isId()) return nullptr;
  const uint32_t* const old = wordsAt(at);
  if ((old[0] & 0xffff) != place.op || old[0] >> 16 <= place.index + 1) return nullptr;
  const Module& from = modules_[moduleAt(at)];
  const uint32_t id = old[1 + place.index];
  if (moduleAt(at) != which_) guide = 0;
  return id < from.size.bound ? from.translation + (uint64_t(guide) * from.size.bound + id) * 2 : nullptr;
}

inline bool ModuleModel::guideGuess(uint32_t guide, const Place& place, uint32_t* guess) const {
  const uint32_t at = guides_[guide].at;
  if (at == kNone) return false;
  const uint32_t* const old = wordsAt(at);
  *guess = old[0];
  if (place.index == kNone) return true;
  if ((old[0] & 0xffff) != place.op || old[0] >> 16 <= place.index + 1) return false;
  const uint32_t word = old[1 + place.index];
  *guess = word;
  if (!place.isId()) return true;
  const uint32_t* const translation = translationOf(guide, place);
  if (translation == nullptr) return false;
  *guess = translation[0];
  if (const Module& from = modules_[moduleAt(at)]; moduleAt(at) != which_) {
    if (*guess == 0 && from.names[word] != 0) *guess = ids_.named(from.names[word]);
    if (*guess == 0 && place.kind != Operand::kResult) *guess = ids_.nextId();
    return *guess != 0;
  }
  if (*guess != 0 && translation[1] == guides_[guide].run) return true;
  *guess = word;
  return place.kind != Operand::kResult;
}

inline void ModuleModel::follow(Guide& guide, uint32_t instruction, uint32_t first_word) {
  if (guide.at == kNone) return;
  if (shapes_[guide.at] == last_shapes_[0]) {
    ++guide.at;
    ++guide.length;
  } else if (wordsAt(guide.at)[0] == first_word && guide.length > 0) {
    ++guide.at;
    guide.length = guide.length > 8 ? 4 : 0;
  } else {
    guide.length = 0;
    if (&guide != guides_) guide.at = kNone;
  }
  if (guide.at != kNone && guide.at >= instruction) guide = {kNone, 0, guide.misses, guide.run};
}

inline void ModuleModel::endInstruction(uint32_t first_word) {
  const uint32_t instruction = instruction_count_++;
  shapes_[instruction] = shape_so_far_;
  for (uint32_t i = 5; i > 0; --i) last_shapes_[i] = last_shapes_[i - 1];
  last_shapes_[0] = shape_so_far_;
  last_names_[1] = last_names_[0];
  last_names_[0] = names_so_far_;
  const uint32_t* const s = last_shapes_;
  const uint32_t three = joined(s[0], s[1], s[2]), six = joined(three, s[3], s[4], s[5]);
  for (Guide& guide : guides_) follow(guide, instruction, first_word);
  const uint32_t after_six = after_six_.find(six), after_three = after_three_.find(three);
  Guide& steady = guides_[0];
  Guide& quick = guides_[1];
  if (steady.at == kNone || steady.length == 0) {
    if (after_six != kNone) {
      startGuide(steady, after_six + 1);
    } else if (steady.at == kNone && after_three != kNone) {
      startGuide(steady, after_three + 1);
    }
  }
  if ((quick.at == kNone || quick.length == 0 || quick.at == steady.at) && after_three != kNone &&
      after_three + 1 != steady.at) {
    startGuide(quick, after_three + 1);
  }
  // An instruction that is still to come is no guide.
  for (Guide& guide : guides_) {
    if (guide.at != kNone && guide.at > instruction) guide.at = kNone;
  }
  after_six_.set(six, instruction);
  after_three_.set(three, instruction);
}

// ------------------------------------------------------------------------------------------------------------- words

// A number in the manner of Elias: how many digits, then the digits.
template <class Coder>
uint32_t ModuleModel::codeNumber(Coder& coder, uint32_t context_a, uint32_t context_b, uint32_t number) {
  const uint64_t value = uint64_t(number) + 1;
  uint32_t digits = 0;
  if constexpr (Coder::kEncodes) {
    while (value >> digits > 1) ++digits;
  }
  uint32_t count = 0;
  for (; count < 32; ++count) {
    const uint32_t contexts[2] = {joined(context_a, count, 1u), joined(context_b, count, 2u)};
    if (bits_.code(coder, contexts, kLengthSet + count, count < digits) == 0) break;
  }
  uint64_t result = 1;
  for (uint32_t i = count; i-- > 0;) {
    const uint32_t before = count - i <= 6 ? uint32_t(result) : i;
    const uint32_t contexts[2] = {joined(context_a, before, count, 3u), joined(context_b, before, count, 4u)};
    result = result << 1 | bits_.code(coder, contexts, kDigitSet + count, uint32_t(value >> i & 1));
  }
  return uint32_t(result - 1);
}

template <class Coder>
uint32_t ModuleModel::spellId(Coder& coder, const Place& place) {
  const uint32_t slot = place.slot, known = place.known;
  if (place.kind == Operand::kResult) {
    const uint32_t contexts[2] = {joined(slot, 81u), joined(slot, last_shapes_[0], 82u)};
    if (bits_.code(coder, contexts, kChoiceSet, ids_.waits(known)) == 0) {
      return codeNumber(coder, joined(slot, 85u), joined(slot, 86u), known);
    }
    uint32_t rank = 0;
    if constexpr (Coder::kEncodes) rank = ids_.waitingRank(known);
    return ids_.waitingAt(codeNumber(coder, joined(slot, 83u), joined(slot, last_shapes_[0], 84u), rank));
  }
  // Its type first, then its place in the list of that type.
  uint32_t type =
      place.kind == Operand::kType ? 0 : ids_.named(expected_types_.value(joined(slot, shape_so_far_, 88u)));
  const uint32_t as_expected[2] = {joined(slot, 91u), joined(slot, shape_so_far_, 92u)};
  const bool is_known = ids_.isKnown(known);
  if (bits_.code(coder, as_expected, kChoiceSet + 1, is_known && ids_.type(known) == type) == 0) {
    const uint32_t as_known[2] = {joined(slot, 93u), joined(slot, shape_so_far_, 94u)};
    if (bits_.code(coder, as_known, kChoiceSet + 2, is_known) == 0) {
      return codeNumber(coder, joined(slot, 95u), joined(slot, 96u), known);
    }
    type = codeNumber(coder, joined(slot, 101u), joined(slot, shape_so_far_, 102u), ids_.type(known));
    if (type != 0 && !ids_.isValid(type)) return 0;
  }
  uint32_t rank = 0;
  if constexpr (Coder::kEncodes) rank = ids_.rankOf(known);
  return ids_.atRank(type, codeNumber(coder, joined(slot, 97u), joined(slot, type, 98u), rank));
}

template <class Coder>
uint32_t ModuleModel::spell(Coder& coder, const Place& place) {
  if (place.isId()) return spellId(coder, place);
  if (place.index != kNone) {
    return codeNumber(coder, joined(place.slot, 77u), joined(place.slot, names_so_far_, 78u), place.known);
  }
  const uint32_t op = codeNumber(coder, 1234u, joined(last_shapes_[0], 1235u), place.known & 0xffff) & 0xffff;
  return codeNumber(coder, joined(op, 1236u), joined(op, 1237u), place.known >> 16) << 16 | op;
}

template <class Coder>
uint32_t ModuleModel::codeWord(Coder& coder, Place place) {
  const uint32_t slot = place.slot = joined(place.op, place.index < 6 ? place.index : 6 + (place.index & 1));
  const uint32_t* const s = last_shapes_;
  const uint32_t three = joined(s[0], s[1], s[2]);
  const uint32_t contexts[kContexts] = {
      joined(slot, names_so_far_, last_names_[0], last_names_[1]), joined(slot, names_so_far_, s[0], 7u),
      joined(slot, names_so_far_, 9u), joined(slot, three, 11u), joined(slot, names_so_far_, joined(three, s[3]), 13u)};

  Candidates guesses;
  for (uint32_t guide = 0; guide < kGuides; ++guide) {
    uint32_t guess = 0;
    if (!guideGuess(guide, place, &guess)) continue;
    const Guide& g = guides_[guide];
    guesses.add(guess, guide, (g.length < 15 ? g.length : 15) | (g.misses & 3) << 4);
  }
  if (place.kind == Operand::kResult) guesses.add(ids_.nextId(), kNewId, 0);
  for (const uint32_t context : {0u, 4u, 1u, 2u, 3u}) {
    const uint32_t confidence = guesses_[context].confidence(contexts[context]);
    if (confidence == 0) continue;
    uint32_t guess = guesses_[context].value(contexts[context]);
    if (place.isId()) {
      // Context 3 remembers distances, the others names.
      guess = context != 3 ? ids_.named(guess) : guess < ids_.nextId() ? ids_.nextId() - guess : 0;
      if (guess == 0) continue;
    }
    guesses.add(guess, kFirstContext + context, confidence);
  }
  if (place.kind == Operand::kId) guesses.add(ids_.nextId(), kNewId, 0);

  const uint32_t of_place = place.index == kNone ? 200 : place.isId() ? 400 : 600;
  const uint32_t misses = joined(guides_[0].misses & 255, guides_[1].misses & 15);
  uint32_t wrong = 0;
  for (uint32_t i = 0; i < guesses.count; ++i) {
    const uint32_t source = guesses.source[i], confidence = guesses.confidence[i];
    const uint32_t flag[5] = {joined(source, confidence, i, guesses.agreeing),
                              joined(slot, source, confidence >> 1, i + 100 * guesses.count),
                              joined(names_so_far_, joined(source, i), source != 0 ? 0 : confidence >> 2),
                              joined(slot, three, i, wrong), joined(misses, source, i)};
    if (bits_.code(coder, flag, source * 16 + i + of_place, guesses.value[i] == place.known) != 0) {
      learn(place, contexts, guesses.value[i]);
      return guesses.value[i];
    }
    wrong |= 1u << source;
  }
  const uint32_t word = spell(coder, place);
  learn(place, contexts, word);
  return word;
}

inline void ModuleModel::learn(const Place& place, const uint32_t (&contexts)[kContexts], uint32_t word) {
  for (uint32_t guide = 0; guide < kGuides; ++guide) {
    uint32_t guess = 0;
    const bool hit = guideGuess(guide, place, &guess) && guess == word;
    guides_[guide].misses = guides_[guide].misses << 1 | (hit ? 0 : 1);
  }
  for (uint32_t guide = 0; guide < kGuides; ++guide) {
    if (uint32_t* const translation = translationOf(guide, place); translation != nullptr) {
      translation[0] = word;
      translation[1] = guides_[guide].run;
    }
  }
  for (uint32_t context = 0; context < kContexts; ++context) {
    const uint32_t value = !place.isId() ? word : context == 3 ? ids_.nextId() - word : ids_.name(word);
    if (place.isId() && context != 3 && value == 0) continue;
    guesses_[context].learn(contexts[context], value);
  }
  if ((place.kind == Operand::kId || place.kind == Operand::kType) && ids_.isKnown(word)) {
    expected_types_.learn(joined(place.slot, shape_so_far_, 88u), ids_.name(ids_.type(word)));
  }
  const uint32_t name = place.kind == Operand::kResult ? 0 : place.isId() ? ids_.name(word) : word;
  names_so_far_ = joined(names_so_far_, name);
  shape_so_far_ = joined(shape_so_far_, place.kind == Operand::kType || !place.isId() ? name : 0);
}

// ------------------------------------------------------------------------------------------------------------ module

template <class Coder>
bool ModuleModel::run(Coder& coder, uint32_t which, uint32_t* words) {
  constexpr uint32_t kOpTypeStruct = 30, kOpSpecConstantTrue = 48, kOpSpecConstant = 50, kOpFunction = 54;
  constexpr uint32_t kOpFunctionParameter = 55, kOpFunctionEnd = 56, kOpVariable = 59, kOpLabel = 248;
  which_ = which;
  Module& module = modules_[which];
  module.words = words;
  ids_.reset(module.size.bound, module.ids_memory);
  ordinals_.reset();
  for (uint32_t& name : last_names_) name = 0;
  for (uint32_t& shape : last_shapes_) shape = 0;
  for (Guide& guide : guides_) guide = {};
  if (instruction_count_ != 0) {
    // A base ends, this module begins as that one did.
    guides_[0] = {first_of_last_, 8, 0, ++run_count_};
    for (uint32_t base = 0; base < which; ++base) {
      for (uint32_t i = 0; i < 2 * modules_[base].size.bound; ++i) modules_[base].translation[i] = 0;
    }
  }
  first_of_last_ = instruction_count_;
  if (module.size.words < kHeaderWords || module.size.bound == 0) return false;
  words[0] = kMagic;
  words[1] = module.size.version;
  words[2] = codeNumber(coder, 501u, 502u, words[2]);
  words[3] = module.size.bound;
  words[4] = codeNumber(coder, 503u, 504u, words[4]);

  bool in_function = false;
  for (uint32_t at = kHeaderWords; at < module.size.words;) {
    names_so_far_ = shape_so_far_ = 1;
    const uint32_t first = words[at] = codeWord(coder, {0xffff, kNone, Operand::kLiteral, 0, words[at]});
    const uint32_t op = first & 0xffff, count = first >> 16;
    if (count == 0 || count > module.size.words - at) return false;
    places_[instruction_count_] = at | which << kModuleShift;
    names_so_far_ = shape_so_far_ = joined(op, count);
    uint32_t result = 0, type = 0, name = names_so_far_, shallow = names_so_far_;
    OperandKinds kinds(op);
    for (uint32_t i = 0; i + 1 < count; ++i) {
      uint32_t& word = words[at + 1 + i];
      const Operand kind = kinds.kind();
      word = codeWord(coder, {op, i, kind, 0, word});
      kinds.pass(word);
      if (kind == Operand::kResult) {
        result = word;
      } else if (kind == Operand::kId) {
        ids_.use(word);
        name = joined(name, ids_.shallowName(word));
      } else {
        if (kind == Operand::kType) ids_.use(type = word);
        const uint32_t part = kind == Operand::kType ? ids_.name(word) : word;
        name = joined(name, part);
        shallow = joined(shallow, part);
      }
    }
    if (op == kOpFunction) {
      in_function = true;
      local_ordinals_.reset();
    }
    if (result != 0) {
      ids_.define(result, type);
      // These differ by their number alone.
      if (op == kOpVariable || op == kOpFunction || op == kOpFunctionParameter || op == kOpTypeStruct ||
          (op >= kOpSpecConstantTrue && op <= kOpSpecConstant)) {
        auto& ordinals = in_function && op != kOpFunction ? local_ordinals_ : ordinals_;
        const uint32_t before = ordinals.find(name), ordinal = before == kNone ? 0 : before;
        ordinals.set(name, ordinal + 1);
        name = shallow = joined(name, ordinal);
      }
      if (op < kOpFunction) shallow = name;
      if (op != kOpLabel) ids_.setName(result, name, shallow);
    }
    if (op == kOpFunctionEnd) in_function = false;
    endInstruction(first);
    at += count;
  }
  module.names = module.ids_memory;
  return true;
}

}  // namespace nib::packing
#endif
