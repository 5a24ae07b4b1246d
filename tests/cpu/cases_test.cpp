// The case lists are complete: every op has cases for every format that it takes, and names describe cases correctly.
#include <doctest/doctest.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "memory_checks.h"
#include "plan/op.h"
#include "run_op.h"
#include "selftest/op_cases.h"

using namespace nib;
using namespace nib::tests;
using selftest::Case;
using selftest::Extent;

namespace {

std::vector<Case> everyCase(uint32_t op) {
  std::vector<Case> list = selftest::casesOf(NibOp(op), 0, Extent::kFull);
  for (uint32_t f = 0; const NibFormatInfo* format = nibFormatAt(f); ++f) {
    for (const Case& c : selftest::casesOf(NibOp(op), format->format, Extent::kFull)) list.push_back(c);
  }
  return list;
}

#if defined(NIB_TESTS_SOME_FORMATS)
constexpr bool kEveryFormat = false;
#else
constexpr bool kEveryFormat = true;
#endif

// All that the op's file lists for the formats of this build, with the cases that also need formats it lacks.
std::vector<Case> listedCases(const selftest::CasesRow& row) {
  std::vector<Case> list;
  row.list(nullptr, Extent::kFull, list);
  for (uint32_t f = 0; row.by_format && nibFormatAt(f) != nullptr; ++f) row.list(nibFormatAt(f), Extent::kFull, list);
  return list;
}

bool isTaken(const Case& c) {
  NibMemory memory{sizeof(NibMemory)};
  return nibGetMemory(c.desc(), nullptr, &memory) == NIB_SUCCESS;
}

// Whether the op takes weights of the format, with any granularity and flags, instead of those of its cases.
bool takes(const std::vector<Case>& list, const NibFormatInfo& format) {
  const std::vector<NibWeights> ways = allWeights(format);
  std::set<std::string> tried;  // descriptions but for the weights' format differ little
  for (const Case& c : list) {
    if (c.weights() == nullptr || c.n > 40) continue;
    for (const NibWeights& weights : ways) {
      Case other = c;
      NibWeights* of = selftest::findCases(c.op())->weights(other);
      const bool like =
          of->granularity == weights.granularity && of->group_size == weights.group_size && of->flags == weights.flags;
      *of = weights;
      if (like && isTaken(other)) return true;
    }
  }
  return false;
}

}  // namespace

TEST_CASE("every op of kernels.list has cases, and they are its own") {
  uint32_t count = 0;
  for (uint32_t i = 0; const OpRow* op = opAt(i); ++i, ++count) {
    INFO(op->name);
    REQUIRE(selftest::casesAt(i) != nullptr);
    CHECK(selftest::casesAt(i)->op == op->op);
    CHECK(selftest::findCases(op->op) == selftest::casesAt(i));
    const std::vector<Case> all = everyCase(op->op), listed = listedCases(*selftest::casesAt(i));
    for (const Case& c : all) {
      CHECK(c.op() == op->op);
      CHECK(c.descBytes() == op->desc_bytes);
      CHECK_MESSAGE(isTaken(c), c.name());
    }
    // Only cases whose formats this build lacks are left out.
    size_t lacking = 0;
    for (const Case& c : listed) {
      if (selftest::hasFormats(c)) continue;
      ++lacking;
      CHECK_MESSAGE(!isTaken(c), c.name());
    }
    CHECK(all.size() + lacking == listed.size());
    if (kEveryFormat) {
      CHECK(!all.empty());
      CHECK(lacking == 0);
    } else if (all.empty()) {
      MESSAGE("skipped: this build lacks the formats of every case of ", op->name);
    }
  }
  CHECK(selftest::casesAt(count) == nullptr);
}

TEST_CASE("every op has cases for every format that it takes, in quick lists too, and lists hold no other format's") {
  for (uint32_t i = 0; const OpRow* op = opAt(i); ++i) {
    const selftest::CasesRow& row = *selftest::casesAt(i);
    const std::vector<Case> all = everyCase(op->op);
    for (uint32_t f = 0; const NibFormatInfo* format = nibFormatAt(f); ++f) {
      INFO(op->name, " ", format->name);
      std::set<uint32_t> of_full, of_quick;
      for (const Extent extent : {Extent::kFull, Extent::kQuick}) {
        std::set<uint32_t>& formats = extent == Extent::kFull ? of_full : of_quick;
        for (const Case& c : selftest::casesOf(NibOp(op->op), row.by_format ? format->format : 0, extent)) {
          if (c.weights() != nullptr) formats.insert(c.weights()->format);
          CHECK(c.format() == (row.by_format ? format->format : 0u));
        }
      }
      const bool taken = takes(all, *format);
      CHECK(of_full.count(format->format) == size_t(taken));
      CHECK(of_quick.count(format->format) == size_t(taken));
      if (row.by_format) CHECK(of_full.size() == size_t(taken));
    }
  }
}

TEST_CASE("every format has cases of several ops") {
  for (uint32_t f = 0; const NibFormatInfo* format = nibFormatAt(f); ++f) {
    uint32_t ops = 0;
    for (const selftest::OpFormat& what : selftest::opFormats()) ops += what.format == format->format;
    INFO(format->name);
    CHECK(ops >= 4);
  }
}

TEST_CASE("a quick list is a part of the full one, no two cases have one name, and thinning keeps every kind") {
  for (const selftest::OpFormat& what : selftest::opFormats()) {
    INFO(what.name);
    std::set<std::string> full;
    const std::vector<Case> list = selftest::casesOf(NibOp(what.op), what.format, Extent::kFull);
    for (const Case& c : list) CHECK_MESSAGE(full.insert(c.name()).second, c.name());
    for (const Case& c : selftest::casesOf(NibOp(what.op), what.format, Extent::kQuick)) {
      CHECK(c.name().rfind(selftest::opName(what.op), 0) == 0);
    }
    const auto kindsOf = [](const std::vector<Case>& cases) {
      std::set<uint64_t> kinds;
      for (const Case& c : cases) kinds.insert(selftest::findCases(c.op())->kind(c));
      return kinds;
    };
    CHECK(kindsOf(selftest::thinned(list, 1000)) == kindsOf(list));
  }
}

TEST_CASE("a case's data have its ranges' sizes and are the same when they are made again") {
  for (const selftest::OpFormat& what : selftest::opFormats()) {
    for (const Case& c : selftest::thinned(selftest::casesOf(NibOp(what.op), what.format, Extent::kQuick), 1000)) {
      INFO(c.name());
      NibMemory memory{sizeof(NibMemory)};
      REQUIRE(nibGetMemory(c.desc(), nullptr, &memory) == NIB_SUCCESS);
      const selftest::Images one = selftest::makeImages(c, memory), two = selftest::makeImages(c, memory);
      bool reads = false;
      for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
        CHECK(one.role[role].size() == (memory.range[role].size_bytes + 3) / 4);
        CHECK(one.role[role] == two.role[role]);
        for (const uint32_t word : one.role[role])
          reads = reads || (role != NIB_ROLE_AUX && word != selftest::kUntouched);
      }
      CHECK(reads);
    }
  }
}

TEST_CASE("a description of another type is not given out") {
  Case c;
  c.describe<NibMinMaxDesc>(NIB_OP_MINMAX).rows = 3;
  CHECK(c.as<NibMinMaxDesc>().rows == 3);
  CHECK_THROWS_AS(c.as<NibQuantizeDesc>(), std::logic_error);
  CHECK_THROWS_AS(Case().as<NibMinMaxDesc>(), std::logic_error);
}

TEST_CASE("a failed case says which word is the first that differs, where it lies, and both values") {
  Case c;
  NibDequantizeDesc& d = c.describe<NibDequantizeDesc>(NIB_OP_DEQUANTIZE);
  d.rows = c.n = 3;
  d.cols = 5;
  d.result_type = NIB_TYPE_F16;
  d.weights = weights(nibFormatAt(0)->format, NIB_GRANULARITY_COLUMN, 0);
  NibMemory memory{sizeof(NibMemory)};
  REQUIRE(nibGetMemory(c.desc(), nullptr, &memory) == NIB_SUCCESS);
  const selftest::Images expected = selftest::makeImages(c, memory);
  // Rows of 5 halves take 3 words: half 4 of row 1 is the low half of word 5.
  std::vector<uint32_t> got = expected.role[NIB_ROLE_OUTPUT];
  CHECK(selftest::difference(c, memory, NIB_ROLE_OUTPUT, got.data(), expected.role[NIB_ROLE_OUTPUT]) == "");
  got[5] ^= 0x00000100u;
  got[7] ^= 1u;
  CHECK(selftest::difference(c, memory, NIB_ROLE_OUTPUT, got.data(), expected.role[NIB_ROLE_OUTPUT]) ==
        "output, row 1, column 4 (word 5): device 0xa5a5a4a5, reference 0xa5a5a5a5; 2 of 9 words differ");
  // The second of five scales of four bytes.
  got = expected.role[NIB_ROLE_WEIGHTS];
  const size_t scale = size_t(memory.part[NIB_PART_SCALES].offset_bytes / 4) + 1;
  got[scale] ^= 0x80000000u;
  const std::string text =
      selftest::difference(c, memory, NIB_ROLE_WEIGHTS, got.data(), expected.role[NIB_ROLE_WEIGHTS]);
  CHECK(text.rfind("weights, scales, element 1 (word " + std::to_string(scale) + "): device 0x", 0) == 0);
}

TEST_CASE("verifying a device has cases of every kernel family, each with a name of its own") {
  std::set<std::string> names;
  for (const selftest::NamedCase& named : selftest::verifyCases()) {
    CHECK_MESSAGE(names.insert(named.name).second, named.name);
    CHECK(named.name.rfind(selftest::opName(named.c.op()), 0) == 0);
  }
  CHECK(names.size() > nibFormatCount() * 2);
}
