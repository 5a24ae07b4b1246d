#include "selftest/cases.h"

#include <algorithm>
#include <set>

#include "plan/op.h"
#include "selftest/op_cases.h"

namespace nib::selftest {

#define NIB_OP_ROW(name) extern const CasesRow kCases_##name;
#include "ops.inc"
#undef NIB_OP_ROW

namespace {

#define NIB_OP_ROW(name) &kCases_##name,
const CasesRow* const kRows[] = {
#include "ops.inc"
};
#undef NIB_OP_ROW

const CasesRow& rowOf(const Case& c) {
  const CasesRow* row = findCases(c.op());
  if (row == nullptr) throw std::logic_error("a case of no op");
  return *row;
}

}  // namespace

const CasesRow* casesAt(uint32_t index) { return index < std::size(kRows) ? kRows[index] : nullptr; }

const CasesRow* findCases(uint32_t op) {
  for (const CasesRow* row : kRows) {
    if (row->op == op) return row;
  }
  return nullptr;
}

bool hasFormats(const Case& c) {
  const auto has = [](uint32_t format) { return format == NIB_FORMAT_DENSE || nibFormatById(format) != nullptr; };
  const NibWeights* weights = c.weights();
  return (weights == nullptr || has(weights->format)) && has(rowOf(c).input_format(c));
}

bool canBePlanned(const Case& c) {
  NibMemory memory{sizeof(NibMemory)};
  return nibGetMemory(c.desc(), nullptr, &memory) == NIB_SUCCESS;
}

// --------------------------------------------------------------------------------------------- a case
size_t Case::descBytes() const { return findOp(op())->desc_bytes; }

const NibWeights* Case::weights() const {
  // The row's function takes what it may change.
  return rowOf(*this).weights(const_cast<Case&>(*this));
}

uint32_t Case::format() const { return rowOf(*this).by_format ? weights()->format : 0; }

std::string Case::name() const { return opName(op()) + rowOf(*this).name(*this); }

NibRole writtenRole(const Case& c) { return findOp(c.op())->written(c.desc()); }

bool isBounded(const Case& c) { return rowOf(c).bounded(c); }

Farthest farthest(const Case& c, const NibMemory& memory, const uint32_t* const (&before)[NIB_ROLE_COUNT],
                  const uint32_t* output, uint64_t most_products) {
  return rowOf(c).farthest(c, {c.n, memory, before, output, most_products});
}

Farthest farthest(const Case& c, const NibMemory& memory, const Images& before, const uint32_t* output) {
  const uint32_t* ranges[NIB_ROLE_COUNT];
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) ranges[role] = before.role[role].data();
  return farthest(c, memory, ranges, output);
}

// --------------------------------------------------------------------------------------------- lists
std::vector<Case> casesOf(NibOp op, uint32_t format, Extent extent) {
  std::vector<Case> list;
  const CasesRow* row = findCases(op);
  const NibFormatInfo* info = nibFormatById(format);
  if (row == nullptr || (info == nullptr && format != 0) || (info != nullptr && !row->by_format)) return list;
  row->list(info, extent, list);
  std::erase_if(list, [](const Case& c) { return !hasFormats(c); });
  return list;
}

std::vector<Case> thinned(std::vector<Case> list, uint32_t every) {
  if (every <= 1) return list;
  std::set<uint64_t> kinds;
  std::vector<Case> kept;
  for (size_t i = 0; i < list.size(); ++i) {
    if (kinds.insert(rowOf(list[i]).kind(list[i])).second || i % every == 0) kept.push_back(list[i]);
  }
  return kept;
}

const char* opName(uint32_t op) {
  const OpRow* row = findOp(op);
  return row != nullptr ? row->name : "?";
}

std::vector<std::string> opNames() {
  std::vector<std::string> names;
  for (const CasesRow* row : kRows) names.emplace_back(opName(row->op));
  return names;
}

std::vector<OpFormat> opFormats() {
  std::vector<OpFormat> list;
  for (uint32_t o = 0; const OpRow* op = opAt(o); ++o) {
    if (!casesOf(NibOp(op->op), 0, Extent::kQuick).empty()) list.push_back({op->op, 0, op->name});
    for (uint32_t f = 0; const NibFormatInfo* format = nibFormatAt(f); ++f) {
      // Not every format has layouts beside its own.
      if (casesOf(NibOp(op->op), format->format, Extent::kFull).empty()) continue;
      list.push_back({op->op, format->format, std::string(op->name) + " " + format->name});
    }
  }
  return list;
}

std::vector<Case> largeCases(Large purpose, NibOp op, uint32_t format, const LargeOptions& options) {
  std::vector<Case> list;
  const CasesRow* row = findCases(op);
  if (row == nullptr) return list;
  row->large(purpose, nibFormatById(format), options, list);
  std::erase_if(list, [](const Case& c) { return !canBePlanned(c); });
  return list;
}

std::vector<NamedCase> verifyCases() {
  std::vector<NamedCase> list;
  for (const CasesRow* row : kRows) {
    row->verify(nullptr, list);
    for (uint32_t f = 0; row->by_format && nibFormatAt(f) != nullptr; ++f) row->verify(nibFormatAt(f), list);
  }
  return list;
}

// --------------------------------------------------------------------------------------------- data
std::vector<uint32_t> makeRange(const Case& c, const NibMemory& memory, NibRole role) {
  Words words(wordsOf(memory.range[role].size_bytes), kUntouched);
  if (words.empty()) return words;
  if (role == NIB_ROLE_AUX) fillPart(words, memory.part[NIB_PART_STATUS], Words(4, 0));
  const size_t count = words.size();
  rowOf(c).fill(c, memory, role, words);
  if (words.size() != count) throw std::logic_error("data of another size than the range of " + c.name());
  return words;
}

Images makeImages(const Case& c, const NibMemory& memory) {
  Images images;
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) images.role[role] = makeRange(c, memory, NibRole(role));
  return images;
}

void runReference(const Case& c, const NibMemory& memory, Images& images) {
  NibCpuBinding binding{sizeof(NibCpuBinding)};
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    binding.range[role] = {images.role[role].empty() ? nullptr : images.role[role].data(),
                           memory.range[role].size_bytes};
  }
  runOnHost(c.desc(), binding, c.n, "the reference refuses what the device took: " + c.name());
}

}  // namespace nib::selftest
