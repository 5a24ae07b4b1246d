// Describes where a range differs from the expected bytes.
#include <bit>
#include <cstdio>

#include "base/names.h"
#include "selftest/op_cases.h"

namespace nib::selftest {
namespace {

struct Position {
  NibPart part = NIB_PART_COUNT;  // NIB_PART_COUNT: the range has no parts
  uint64_t offset_bytes = 0;      // within the part, or else within the range
};

Position positionOf(const NibMemory& memory, NibRole role, uint64_t byte) {
  for (uint32_t p = 0; p < NIB_PART_COUNT; ++p) {
    const NibMemoryPart& part = memory.part[p];
    if (part.role == role && byte >= part.offset_bytes && byte - part.offset_bytes < part.size_bytes) {
      return {NibPart(p), byte - part.offset_bytes};
    }
  }
  return {NIB_PART_COUNT, byte};
}

// ", codes, row 3, column 8".
std::string positionText(const Case& c, const NibMemory& memory, NibRole role, uint64_t bit) {
  const Position position = positionOf(memory, role, bit / 8);
  std::string text = position.part != NIB_PART_COUNT ? std::string(", ") + partName(position.part) : std::string();
  const Lines lines = findCases(c.op())->lines(c, memory, role, position.part);
  if (lines.element_bits == 0) return text;
  const uint64_t at = position.offset_bytes * 8 + bit % 8;
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
  return roleName(role) + positionText(c, memory, role, bit) + text;
}

std::string Farthest::text(const Case& c, const NibMemory& memory) const {
  const NibRole role = writtenRole(c);
  const Lines lines = findCases(c.op())->lines(c, memory, role, NIB_PART_COUNT);
  char values[120];
  std::snprintf(values, sizeof values, ": device %.9g, exact %.9g, error / bound %.3g", got, exact, ratio);
  return roleName(role) + positionText(c, memory, role, index * lines.element_bits) + values;
}

}  // namespace nib::selftest
