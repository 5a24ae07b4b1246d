// Describes where a range differs from the expected bytes.
#include <bit>
#include <cstdio>

#include "base/names.h"
#include "selftest/op_cases.h"

namespace nib::selftest {
namespace {

// By NibPart.
constexpr const char* kParts[] = {
    "codes",        "scales",       "zeros",       "status",       "scratch",        "nested scales",
    "packed codes", "packed zeros", "reference",   "candidate",    "bias",           "input scales",
    "input zeros",  "table",        "heads",       "counts",       "order",          "input codes",
    "source",       "residual in",  "result",      "residual out", "result scales",  "gain",
    "second",       "indices",      "keys",        "values",       "result indices", "error",
    "mask",         "log sum",      "factor info", "diagonal",     "factor",         "loss"};

struct Place {
  NibPart part = NIB_PART_COUNT;  // none: the range has no parts
  uint64_t offset_bytes = 0;      // within it
};

Place placeOf(const NibMemory& memory, NibRole role, uint64_t byte) {
  for (uint32_t p = 0; p < std::size(kParts); ++p) {
    const NibMemoryPart& part = memory.part[p];
    if (part.role == role && byte >= part.offset_bytes && byte - part.offset_bytes < part.size_bytes) {
      return {NibPart(p), byte - part.offset_bytes};
    }
  }
  return {NIB_PART_COUNT, byte};
}

// ", codes, row 3, column 8".
std::string placeText(const Case& c, const NibMemory& memory, NibRole role, uint64_t bit) {
  const Place place = placeOf(memory, role, bit / 8);
  std::string text = place.part != NIB_PART_COUNT ? std::string(", ") + kParts[place.part] : std::string();
  const Lines lines = findCases(c.op())->lines(c, memory, role, place.part);
  if (lines.element_bits == 0) return text;
  const uint64_t at = place.offset_bytes * 8 + bit % 8;
  if (lines.row_bits == 0) return text + ", element " + std::to_string(at / lines.element_bits);
  return text + ", row " + std::to_string(at / lines.row_bits) + ", column " +
         std::to_string(at % lines.row_bits / lines.element_bits);
}

}  // namespace

std::string difference(const Case& c, const NibMemory& memory, NibRole role, const uint32_t* got,
                       const Words& expected) {
  uint64_t begin = 0, end = expected.size();
  if (role == NIB_ROLE_AUX) {
    const NibMemoryPart& status = memory.part[NIB_PART_STATUS];
    begin = status.offset_bytes / 4;
    end = begin + status.size_bytes / 4;
  }
  uint64_t bad = 0, first = 0;
  for (uint64_t i = end; i > begin; --i) {
    if (got[i - 1] == expected[i - 1]) continue;
    ++bad;
    first = i - 1;
  }
  if (bad == 0) return {};
  const uint64_t bit = first * 32 + uint64_t(std::countr_zero(got[first] ^ expected[first]));
  char text[160];
  std::snprintf(text, sizeof text, " (word %llu): device 0x%08x, reference 0x%08x; %llu of %llu words differ",
                (unsigned long long)first, got[first], expected[first], (unsigned long long)bad,
                (unsigned long long)(end - begin));
  return roleName(role) + placeText(c, memory, role, bit) + text;
}

std::string Farthest::text(const Case& c, const NibMemory& memory) const {
  const NibRole role = writtenRole(c);
  const Lines lines = findCases(c.op())->lines(c, memory, role, NIB_PART_COUNT);
  char values[120];
  std::snprintf(values, sizeof values, ": device %.9g, exact %.9g, error / bound %.3g", got, exact, ratio);
  return roleName(role) + placeText(c, memory, role, index * lines.element_bits) + values;
}

}  // namespace nib::selftest
