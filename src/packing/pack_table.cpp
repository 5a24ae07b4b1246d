// nibble_pack_table ROWS TABLE: writes the kernel table of plan/kernel_table.h as C++. A line of ROWS is
//   C++ FIELDS <tab> SOURCE <tab> SPIR-V FILE
// and its file "-" for a module that this build does not have. The base of a source's modules is their first one; the
// base of these is one of them that has much in common with the others.
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "packing/module_model.h"
#include "packing/pack.h"

using namespace nib;
using namespace nib::packing;

namespace {

using Words = std::vector<uint32_t>;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "nibble_pack_table: %s\n", what.c_str());
  std::exit(1);
}

std::string readFile(const std::string& path) {
  std::FILE* const file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) fail("cannot read " + path);
  std::string bytes;
  char part[65536];
  for (size_t count; (count = std::fread(part, 1, sizeof part, file)) > 0;) bytes.append(part, count);
  const bool failed = std::ferror(file) != 0;
  std::fclose(file);
  if (failed) fail("cannot read " + path);
  return bytes;
}

// The module with its ids in order.
Words readModule(const std::string& path) {
  const std::string bytes = readFile(path);
  Words words(bytes.size() / 4, 0);
  for (size_t i = 0; i < words.size() * 4; ++i) words[i / 4] |= uint32_t(uint8_t(bytes[i])) << i % 4 * 8;
  const char* const problem = bytes.size() % 4 != 0 ? "cut or damaged" : problemOf(words);
  if (problem != nullptr) fail(path + ": " + problem);
  if (!renumber(words)) {
    std::printf("nibble_pack_table: %s has an instruction that src/packing/grammar.h lacks, so it packs badly\n",
                path.c_str());
  }
  return words;
}

std::string format(const char* text, uint64_t number) {
  char out[32];
  std::snprintf(out, sizeof out, text, number);
  return out;
}

constexpr size_t kNone = SIZE_MAX;

// One module of the table.
struct Entry {
  Words words;
  size_t base = kNone;  // index of its base's entry
};

// Which sequences of three instructions a module has.
std::set<uint32_t> sequencesOf(const Words& words) {
  std::set<uint32_t> sequences;
  uint32_t last = 0, before = 0;
  for (size_t at = ModuleModel::kHeaderWords; at < words.size(); at += words[at] >> 16) {
    sequences.insert(joined(words[at], last, before));
    before = last;
    last = words[at];
  }
  return sequences;
}

// The entry that shares most with the others. It is unpacked whenever any is, so it is not a large one.
size_t rootOf(const std::vector<Entry>& entries, const std::vector<size_t>& firsts) {
  constexpr size_t kMaxWords = 12000;
  std::vector<std::set<uint32_t>> sequences;
  for (const size_t first : firsts) sequences.push_back(sequencesOf(entries[first].words));
  size_t root = kNone, most = 0;
  for (size_t i = 0; i < firsts.size(); ++i) {
    if (entries[firsts[i]].words.size() > kMaxWords) continue;
    size_t shared = 0;
    for (const std::set<uint32_t>& others : sequences) {
      for (const uint32_t sequence : sequences[i]) shared += others.count(sequence);
    }
    if (shared > most) most = shared, root = firsts[i];
  }
  return root;
}

std::string arrayOf(size_t index, const Words& words) {
  std::string text = "const uint32_t kBytes" + std::to_string(index) + "[] = {";
  for (size_t i = 0; i < words.size(); ++i) {
    text += (i % 10 == 0 ? "\n" : "") + format("0x%" PRIx64 ",", words[i]);
  }
  return text + "};\n";
}

std::string rowOf(const PackedModule& module, size_t index, const Entry& entry) {
  const std::string base = entry.base == kNone ? "nullptr" : "kModules + " + std::to_string(entry.base);
  return "  {kBytes" + std::to_string(index) + ", " + base + ", " + std::to_string(module.byte_count) + ", " +
         std::to_string(module.words) + ", " + std::to_string(module.bound) + format(", 0x%" PRIx64, module.version) +
         format(", 0x%" PRIx64 "ull},\n", module.hash);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) fail("usage: nibble_pack_table ROWS TABLE");
  const std::string lines = readFile(arguments[1]);
  std::map<std::string, size_t> first_of;
  std::vector<size_t> firsts;
  std::vector<Entry> entries;
  std::string arrays, modules, rows;
  size_t row_count = 0;
  for (size_t at = 0; at < lines.size(); ++row_count) {
    const size_t end = lines.find('\n', at) == std::string::npos ? lines.size() : lines.find('\n', at);
    const std::string line = lines.substr(at, end - at);
    at = end + 1;
    const size_t first = line.find('\t'), second = line.rfind('\t');
    if (first == std::string::npos || first == second) fail("a line of the rows has not three fields: " + line);
    const std::string fields = line.substr(0, first), source = line.substr(first + 1, second - first - 1);
    const std::string file = line.substr(second + 1);
    if (file == "-") {
      rows += "  {" + fields + ", nullptr, 0, nullptr},\n";
      continue;
    }
    const size_t index = entries.size();
    entries.push_back({readModule(file)});
    if (const auto [place, is_new] = first_of.emplace(source, index); is_new) {
      firsts.push_back(index);
    } else {
      entries[index].base = place->second;
    }
    rows += "  {" + fields + ", nullptr, " + std::to_string(entries[index].words.size()) + ", kModules + " +
            std::to_string(index) + "},\n";
  }
  const size_t root = rootOf(entries, firsts);
  for (const size_t first : firsts) {
    if (first != root) entries[first].base = root;
  }
  for (size_t index = 0; index < entries.size(); ++index) {
    const Entry& entry = entries[index];
    std::vector<const Words*> bases;
    for (size_t base = entry.base; base != kNone; base = entries[base].base) {
      bases.insert(bases.begin(), &entries[base].words);
    }
    const std::vector<uint8_t> bytes = pack(bases, entry.words);
    const Words packed = asWords(bytes);
    arrays += arrayOf(index, packed);
    modules += rowOf(describe(entry.words, packed.data(), uint32_t(bytes.size())), index, entry);
  }

  const std::string text =
      "#include <nibble/nibble.h>\n\n#include \"plan/kernel_table.h\"\n\nnamespace nib {\nnamespace {\n" + arrays +
      "extern const packing::PackedModule kModules[];\nconst packing::PackedModule kModules[" +
      std::to_string(entries.size() + 1) + "] = {\n" + modules +
      "};\n}  // namespace\nconst KernelRow kKernelTable[] = {\n" + rows +
      "};\nconst uint32_t kKernelCount = " + std::to_string(row_count) + ";\n}  // namespace nib\n";
  std::FILE* const file = std::fopen(arguments[2], "wb");
  const bool written = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (file == nullptr || std::fclose(file) != 0 || !written) fail(std::string("cannot write ") + arguments[2]);
  return 0;
}
