// Where a binding's operands lie: parts that it moves, and memory that overlaps.
#include "base/names.h"
#include "formats/geometry.h"
#include "plan/op.h"

namespace nib {

NibResult moveParts(const OpRow& op, const uint64_t* part_offset_bytes, const Log& log, NibMemory* memory) {
  for (uint32_t p = 0; p < NIB_PART_COUNT; ++p) {
    const uint64_t offset = part_offset_bytes[p];
    NibMemoryPart& part = memory->part[p];
    if (offset == 0) continue;
    if (part.size_bytes == 0) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: part_offset_bytes[%u]: the op has no such part", op.name, p);
    }
    if (p == NIB_PART_STATUS || p == NIB_PART_SCRATCH) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                      "%s: part_offset_bytes[%u]: status and scratch cannot be moved, move the aux range", op.name, p);
    }
    if (offset % 4 != 0) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: part_offset_bytes[%u] %llu must be a multiple of 4", op.name, p,
                      (unsigned long long)offset);
    }
    // The part must end within a range; sizes beyond 2^62 cannot be.
    if (offset > (uint64_t(1) << 62)) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: part_offset_bytes[%u] %llu is beyond the end of any range",
                      op.name, p, (unsigned long long)offset);
    }
    part.offset_bytes = offset;
  }
  // A role's range now ends with its last part.
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    uint64_t end = 0;
    bool moved = false;
    for (uint32_t p = 0; p < NIB_PART_COUNT; ++p) {
      const NibMemoryPart& part = memory->part[p];
      if (part.size_bytes == 0 || part.role != role) continue;
      moved = moved || part_offset_bytes[p] != 0;
      if (part.offset_bytes + part.size_bytes > end) end = part.offset_bytes + part.size_bytes;
    }
    if (moved) memory->range[role].size_bytes = wholeWordsBytes(end);
  }
  return NIB_SUCCESS;
}

namespace {

constexpr uint32_t kWholeRange = UINT32_MAX;

// Memory that the op reads or writes: one part, or the whole range of a role none of whose parts is moved.
struct Interval {
  const void* memory;
  uint64_t begin, end;
  uint32_t role;
  uint32_t part;  // or kWholeRange
};

uint32_t intervalsOf(const NibMemory& memory, const OperandRange (&ranges)[NIB_ROLE_COUNT],
                     const uint64_t* part_offset_bytes, Interval* intervals) {
  uint32_t count = 0;
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    const OperandRange& range = ranges[role];
    if (memory.range[role].size_bytes == 0) continue;
    bool moved = false;
    for (uint32_t p = 0; p < NIB_PART_COUNT; ++p) {
      moved = moved || (part_offset_bytes[p] != 0 && memory.part[p].role == role);
    }
    // NibRun.offset_bytes may move the op's bytes anywhere within the caller's range, so all of it counts.
    if (!moved) {
      intervals[count++] = {range.memory, range.begin, range.begin + range.size_bytes, role, kWholeRange};
      continue;
    }
    for (uint32_t p = 0; p < NIB_PART_COUNT; ++p) {
      const NibMemoryPart& part = memory.part[p];
      if (part.size_bytes == 0 || part.role != role) continue;
      const uint64_t begin = range.begin + part.offset_bytes;
      intervals[count++] = {range.memory, begin, begin + part.size_bytes, role, p};
    }
  }
  return count;
}

// Whether the overlap of two whole ranges of the host is an op that works in place: parts that overlap begin at the
// same byte, and one of the two may be written over the other. A device's ranges may move with every run.
bool worksInPlace(const OpRow& op, const NibOpDesc* desc, const NibMemory& memory, const Interval& written,
                  const Interval& other) {
  bool found = false;
  for (uint32_t w = 0; w < NIB_PART_COUNT; ++w) {
    const NibMemoryPart& to = memory.part[w];
    for (uint32_t p = 0; to.role == written.role && to.size_bytes != 0 && p < NIB_PART_COUNT; ++p) {
      const NibMemoryPart& from = memory.part[p];
      if (from.role != other.role || from.size_bytes == 0) continue;
      const uint64_t a = written.begin + to.offset_bytes, b = other.begin + from.offset_bytes;
      if (a >= b + from.size_bytes || b >= a + to.size_bytes) continue;
      if (a != b || !op.mayAlias(desc, NibPart(w), NibPart(p))) return false;
      found = true;
    }
  }
  return found;
}

}  // namespace

NibResult checkOverlaps(const OpRow& op, const NibOpDesc* desc, const NibMemory& memory,
                        const OperandRange (&ranges)[NIB_ROLE_COUNT], const uint64_t* part_offset_bytes,
                        const Log& log) {
  const uint32_t written = op.written(desc);
  Interval intervals[uint32_t(NIB_PART_COUNT) + NIB_ROLE_COUNT];
  const uint32_t count = intervalsOf(memory, ranges, part_offset_bytes, intervals);
  for (uint32_t i = 0; i < count; ++i) {
    for (uint32_t j = 0; j < i; ++j) {
      const Interval& a = intervals[i];
      const Interval& b = intervals[j];
      if (a.memory != b.memory || a.begin >= b.end || b.begin >= a.end) continue;
      const bool whole = a.part == kWholeRange && b.part == kWholeRange;
      const bool a_written = a.role == written || a.role == NIB_ROLE_AUX;
      const bool b_written = b.role == written || b.role == NIB_ROLE_AUX;
      if (!whole && !a_written && !b_written) continue;
      if (a.part != kWholeRange && b.part != kWholeRange && a.begin == b.begin &&
          ((a_written && op.mayAlias(desc, NibPart(a.part), NibPart(b.part))) ||
           (b_written && op.mayAlias(desc, NibPart(b.part), NibPart(a.part))))) {
        continue;
      }
      if (whole && a.memory == nullptr && a.role == written && worksInPlace(op, desc, memory, a, b)) continue;
      if (whole && a.memory == nullptr && b.role == written && worksInPlace(op, desc, memory, b, a)) continue;
      if (whole) {
        return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: the %s and %s ranges overlap", op.name, roleName(b.role),
                        roleName(a.role));
      }
      return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                      "%s: part %d of %s and part %d of %s overlap, and one of them is written", op.name, int(b.part),
                      roleName(b.role), int(a.part), roleName(a.role));
    }
  }
  return NIB_SUCCESS;
}

}  // namespace nib
