// Packed SPIR-V: every module comes back as its file has it, damage is an error, and the whole keeps within a budget.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "packing/pack.h"
#include "plan/kernel_code.h"

using namespace nib;
using namespace nib::packing;

namespace {

using Words = std::vector<uint32_t>;

// All formats and ops: 0.4 MB, of 14 MB.
constexpr uint64_t kMaxPackedBytes = 440000;

Words fileWords(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  Words words(bytes.size() / 4, 0);
  for (size_t i = 0; i < words.size() * 4; ++i) words[i / 4] |= uint32_t(uint8_t(bytes[i])) << i % 4 * 8;
  return words;
}

// The files of the table's rows, "-" for modules that this build does not have.
std::vector<std::string> filesOfRows() {
  std::ifstream rows(NIB_TEST_KERNEL_ROWS);
  std::vector<std::string> files;
  for (std::string line; std::getline(rows, line);) files.push_back(line.substr(line.rfind('\t') + 1));
  return files;
}

Unpacked unpacked(const PackedModule& module, Words* words) {
  Array<uint32_t> out{HostMemory()};
  const Unpacked result = unpack(module, HostMemory(), &out);
  if (result == Unpacked::kYes) words->assign(out.begin(), out.end());
  return result;
}

// The smallest module that has two bases.
const PackedModule* smallest() {
  const PackedModule* found = nullptr;
  for (uint32_t i = 0; i < kKernelCount; ++i) {
    const PackedModule* const m = kKernelTable[i].packed;
    if (m != nullptr && m->base != nullptr && m->base->base != nullptr && (found == nullptr || m->words < found->words))
      found = m;
  }
  return found;
}

uint32_t first(uint32_t op, uint32_t count) { return count << 16 | op; }

// As a compiler writes modules, but with ids out of order, and with literals that are equal to ids.
const Words kModule = {0x07230203,
                       0x10300,
                       9,
                       40,
                       0,
                       first(17, 2),
                       7,  // Capability
                       first(15, 7),
                       7,
                       9,
                       0x6e69616d,
                       0,
                       7,
                       30,  // EntryPoint "main", two variables
                       first(16, 6),
                       9,
                       7,
                       9,
                       30,
                       11,  // ExecutionMode
                       first(71, 4),
                       30,
                       9,
                       11,  // Decorate
                       first(19, 2),
                       11,
                       first(33, 3),
                       8,
                       11,  // TypeVoid, TypeFunction
                       first(21, 4),
                       12,
                       9,
                       7,  // TypeInt
                       first(32, 4),
                       13,
                       9,
                       12,
                       first(59, 4),
                       13,
                       7,
                       9,  // TypePointer, Variable
                       first(59, 4),
                       13,
                       30,
                       9,
                       first(43, 4),
                       12,
                       14,
                       30,  // Variable, Constant
                       first(54, 5),
                       11,
                       9,
                       30,
                       8,
                       first(248, 2),
                       15,  // Function, Label
                       first(61, 7),
                       12,
                       16,
                       7,
                       0x12,
                       4,
                       14,  // Load: aligned to 4, visible to scope 14
                       first(251, 7),
                       16,
                       17,
                       14,
                       17,
                       16,
                       15,  // Switch: 14 -> 17, 16 -> 15
                       first(52, 6),
                       12,
                       18,
                       81,
                       14,
                       14,  // SpecConstantOp CompositeExtract, member 14
                       first(248, 2),
                       17,
                       first(253, 1),
                       first(56, 1)};

// 9->1 7->2 30->3 11->4 8->5 12->6 13->7 14->8 15->9 16->10 17->11 18->12.
const Words kRenumbered = {0x07230203,
                           0x10300,
                           9,
                           13,
                           0,
                           first(17, 2),
                           7,
                           first(15, 7),
                           7,
                           1,
                           0x6e69616d,
                           0,
                           2,
                           3,
                           first(16, 6),
                           1,
                           7,
                           9,
                           30,
                           11,
                           first(71, 4),
                           3,
                           9,
                           11,
                           first(19, 2),
                           4,
                           first(33, 3),
                           5,
                           4,
                           first(21, 4),
                           6,
                           9,
                           7,
                           first(32, 4),
                           7,
                           9,
                           6,
                           first(59, 4),
                           7,
                           2,
                           9,
                           first(59, 4),
                           7,
                           3,
                           9,
                           first(43, 4),
                           6,
                           8,
                           30,
                           first(54, 5),
                           4,
                           1,
                           30,
                           5,
                           first(248, 2),
                           9,
                           first(61, 7),
                           6,
                           10,
                           2,
                           0x12,
                           4,
                           8,
                           first(251, 7),
                           10,
                           11,
                           14,
                           11,
                           16,
                           9,
                           first(52, 6),
                           6,
                           12,
                           81,
                           8,
                           14,
                           first(248, 2),
                           11,
                           first(253, 1),
                           first(56, 1)};

}  // namespace

TEST_CASE("every module of the table comes back as its file has it, with its ids in order") {
  const std::vector<std::string> files = filesOfRows();
  REQUIRE(files.size() == kKernelCount);
  for (uint32_t i = 0; i < kKernelCount; ++i) {
    const KernelRow& row = kKernelTable[i];
    CAPTURE(std::string(row.module));
    CHECK((files[i] == "-") == (row.spirv_words == 0));
    if (row.spirv_words == 0) continue;
    Words expected = fileWords(files[i]);
    if (row.packed != nullptr) CHECK_MESSAGE(renumber(expected), "src/packing/grammar.h lacks an instruction");
    KernelCode code{HostMemory()};
    REQUIRE(code.load(row, Log()) == NIB_SUCCESS);
    CHECK(Words(code.words(), code.words() + code.count()) == expected);
    CHECK(kernelHash(row) == fnv1a64(code.words(), size_t(code.count()) * 4));
    CHECK(spirvVersion(row) == code.words()[1]);
  }
}

TEST_CASE("the modules keep within the budget of 440000 bytes") {
  uint64_t bytes = 0, words = 0;
  for (uint32_t i = 0; i < kKernelCount; ++i) {
    if (kKernelTable[i].packed == nullptr) continue;
    bytes += kKernelTable[i].packed->byte_count;
    words += kKernelTable[i].spirv_words;
  }
  MESSAGE(kKernelCount << " modules, " << words * 4 << " bytes of SPIR-V, packed " << bytes);
  CHECK(bytes <= kMaxPackedBytes);
}

TEST_CASE("renumbering changes ids and no literals") {
  Words words = kModule;
  CHECK(renumber(words));
  CHECK(words == kRenumbered);
  Words same = kRenumbered;
  CHECK(renumber(same));
  CHECK(same == kRenumbered);
}

TEST_CASE("a module with an unknown instruction keeps its ids, and comes back") {
  Words words = kModule;
  words.insert(words.end(), {first(9999, 4), 7, 0xffffffffu, 30});
  const Words before = words;
  CHECK_FALSE(renumber(words));
  CHECK(words == before);
  CHECK(problemOf(words) == nullptr);
  for (const bool with_base : {false, true}) {
    const std::vector<uint8_t> base_bytes = pack({}, kModule);
    const std::vector<uint8_t> bytes = with_base ? pack({&kModule}, words) : pack({}, words);
    const Words base_packed = asWords(base_bytes), packed = asWords(bytes);
    const PackedModule base = describe(kModule, base_packed.data(), uint32_t(base_bytes.size()));
    PackedModule module = describe(words, packed.data(), uint32_t(bytes.size()));
    if (with_base) module.base = &base;
    Words back;
    CHECK(unpacked(module, &back) == Unpacked::kYes);
    CHECK(back == words);
  }
}

TEST_CASE("malformed modules cannot be packed") {
  CHECK(problemOf(kModule) == nullptr);
  Words words = kModule;
  words[0] = 0x03022307;
  CHECK(std::string(problemOf(words)) == "no little-endian SPIR-V module");
  words = kModule;
  words.pop_back();
  words.back() = first(248, 2);
  CHECK(std::string(problemOf(words)) == "cut or damaged");
  words.back() = 0;
  CHECK(std::string(problemOf(words)) == "cut or damaged");
}

TEST_CASE("damage of packed modules is an error") {
  const PackedModule* const whole = smallest();
  if (whole == nullptr) {
    MESSAGE("skipped: modules are not packed");
    return;
  }
  Words expected;
  REQUIRE(unpacked(*whole, &expected) == Unpacked::kYes);
  const PackedModule base = *whole->base;
  for (const bool of_base : {false, true}) {
    const PackedModule& damaged = of_base ? base : *whole;
    const Words bytes(damaged.bytes, damaged.bytes + (damaged.byte_count + 3) / 4);
    const uint32_t count = of_base ? std::min<uint32_t>(damaged.byte_count, 50) : damaged.byte_count;
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; ++i) {
      Words changed = bytes;
      changed[i / 4] ^= 1u << (i % 4 * 8 + i % 8);
      PackedModule module = *whole, changed_base = base;
      (of_base ? changed_base : module).bytes = changed.data();
      module.base = &changed_base;
      Words got;
      const Unpacked result = unpacked(module, &got);
      found += result == Unpacked::kDamaged;
      CHECK((result == Unpacked::kDamaged || (result == Unpacked::kYes && got == expected)));
    }
    CHECK(found + 2 >= count);  // the last bits need not matter
  }
  // Rows that lie about their module.
  const uint32_t w = whole->words, b = whole->bound;
  for (const auto& [words, bound] : {std::pair{w - 1, b}, {w + 1, b}, {w, b - 1}, {w, 1u}, {w, 0u}, {4u, b}, {0u, b}}) {
    PackedModule module = *whole;
    module.words = words;
    module.bound = bound;
    Words got;
    CHECK(unpacked(module, &got) == Unpacked::kDamaged);
  }
  for (const uint32_t left : {0u, 1u, whole->byte_count / 2}) {
    PackedModule module = *whole;
    module.byte_count = left;
    Words got;
    CHECK(unpacked(module, &got) == Unpacked::kDamaged);
  }
  PackedModule module = *whole;
  module.base = nullptr;
  Words got;
  CHECK(unpacked(module, &got) == Unpacked::kDamaged);
  module.hash ^= 1;
  module.base = whole->base;
  CHECK(unpacked(module, &got) == Unpacked::kDamaged);
}

TEST_CASE("a damaged kernel is reported by its name") {
  const PackedModule* const whole = smallest();
  if (whole == nullptr) return;
  PackedModule module = *whole;
  module.hash ^= 1;
  const KernelRow row{"some_kernel", "some", 0, "", 0, nullptr, module.words, &module};
  std::string text;
  const NibLog log{[](void* user, NibSeverity, const char* line) { *static_cast<std::string*>(user) = line; }, &text};
  KernelCode code{HostMemory()};
  CHECK(code.load(row, Log(&log)) == NIB_ERROR_UNSUPPORTED);
  CHECK(text == "some_kernel: this program's copy of the kernel is damaged");
}

TEST_CASE("unpacking without memory is an error, and keeps nothing") {
  struct Counting {
    int left = 0, live = 0;
  };
  const PackedModule* const whole = smallest();
  if (whole == nullptr) return;
  for (int allowed = 0;; ++allowed) {
    REQUIRE(allowed < 10);
    Counting counting{allowed, 0};
    const NibAllocator callbacks{[](void* user, size_t size, size_t) -> void* {
                                   Counting& c = *static_cast<Counting*>(user);
                                   if (c.left-- <= 0) return nullptr;
                                   ++c.live;
                                   return std::malloc(size);
                                 },
                                 [](void* user, void* memory) {
                                   --static_cast<Counting*>(user)->live;
                                   std::free(memory);
                                 },
                                 &counting};
    Unpacked result;
    {
      const HostMemory memory(&callbacks);
      Array<uint32_t> out(memory);
      result = unpack(*whole, memory, &out);
      CHECK(counting.live == (out.size() != 0 ? 1 : 0));
    }
    CHECK(counting.live == 0);
    if (result == Unpacked::kYes) break;
    CHECK(result == Unpacked::kOutOfMemory);
  }
}

TEST_CASE("threads unpack the same module at once") {
  const PackedModule* const whole = smallest();
  if (whole == nullptr) return;
  Words expected;
  REQUIRE(unpacked(*whole, &expected) == Unpacked::kYes);
  Words got[4];
  std::vector<std::thread> threads;
  for (Words& words : got) threads.emplace_back([&words, whole] { unpacked(*whole, &words); });
  for (std::thread& thread : threads) thread.join();
  for (const Words& words : got) CHECK(words == expected);
}
