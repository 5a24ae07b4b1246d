#include "model/archive/gguf/source.h"
#include "model/archive/gguf/parts.h"

#include "model/archive/error.h"
#include "model/archive/gguf/names.h"
#include "model/archive/gguf/texts.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace nib::model {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxParts = 1000;
constexpr uint64_t kMaxExperts = 4096;
// The GGUF file of a folder, or the first of its parts.
fs::path onlyFile(const fs::path& folder) {
  std::vector<std::string> names;
  for (const std::string& name : listFolder(folder)) {
    if (!name.ends_with(".gguf")) continue;
    if (!isPartName(name) || name.compare(name.size() - kPartEnding, 6, "-00001") == 0) names.push_back(name);
  }
  if (names.size() == 1) return folder / names[0];
  throw Error(shown(folder) + ": contains " + std::to_string(names.size()) + " GGUF files: name one of them");
}

}  // namespace

GgufSource::Part::Part(File opened, const std::string& where)
    : file(std::move(opened)),
      header([this](uint64_t offset, std::span<std::byte> out) { file.read(offset, out); }, file.bytes(), where) {}

GgufSource::GgufSource(const fs::path& path) {
  std::error_code error;
  openParts(fs::is_directory(path, error) ? onlyFile(path) : path);
  addTensors();
  indexNames();
}

void GgufSource::openParts(const fs::path& path) {
  parts_.push_back(std::make_unique<const Part>(File::openToRead(path), shown(path)));
  const GgufHeader& first = parts_[0]->header;
  const uint64_t count = first.whole("split.count").value_or(0);
  if (count <= 1) return;
  if (count > kMaxParts) first.fail("is one of " + std::to_string(count) + " parts, more than 1000");
  if (first.whole("split.no").value_or(0) != 0) first.fail("is not the first part of its model: name that one");
  const std::string name = path.filename().native();
  if (name.size() <= kPartEnding || !name.ends_with(partName("", 0, count))) {
    first.fail("is one of " + std::to_string(count) + " parts, and its name does not end with " +
               partName("", 0, count) + ": give the parts their names");
  }
  const std::string stem = name.substr(0, name.size() - kPartEnding);
  uint64_t tensors = first.tensors().size();
  for (uint64_t p = 1; p < count; ++p) {
    const fs::path next = path.parent_path() / partName(stem, p, count);
    if (!fs::exists(next)) throw Error(shown(next) + ": does not exist, and " + shown(path) + " has that part");
    const Part& part = *parts_.emplace_back(std::make_unique<const Part>(File::openToRead(next), shown(next)));
    if (part.header.whole("split.no") != p || part.header.whole("split.count") != count) {
      part.header.fail("is not part " + std::to_string(p + 1) + " of " + std::to_string(count));
    }
    tensors += part.header.tensors().size();
  }
  const std::optional<uint64_t> all = first.whole("split.tensors.count");
  if (all && *all != tensors) {
    first.fail("has " + std::to_string(*all) + " tensors in all parts, which hold " + std::to_string(tensors));
  }
}

void GgufSource::addTensors() {
  const GgufHeader& header = parts_[0]->header;
  const std::optional<std::string_view> architecture = header.text("general.architecture");
  if (!architecture && header.text("general.type") == "imatrix") {
    header.fail("is an importance matrix, for quantize --imatrix, and not a model");
  }
  if (!architecture) header.fail("has no \"general.architecture\"");
  const bool has_experts = header.whole(std::string(*architecture) + ".expert_count").value_or(0) != 0;
  for (const GgufFamily& family : ggufFamilies()) {
    if (*architecture == family.architecture && has_experts == family.has_experts) return addFamilyTensors(family);
  }
  for (uint32_t p = 0; p < parts_.size(); ++p) {
    const std::vector<GgufHeader::Tensor>& stored_tensors = parts_[p]->header.tensors();
    for (uint32_t i = 0; i < stored_tensors.size(); ++i) tensors_.push_back({stored_tensors[i].name, p, i, {}});
  }
  surroundings_.notes.push_back(shown(parts_[0]->file.path()) + ": is of the architecture " + quoteText(*architecture) +
                                (has_experts ? " with experts" : "") + ", of which nibble knows no network");
}

void GgufSource::addFamilyTensors(const GgufFamily& family) {
  GgufNetworkFacts facts;
  facts.tied = true;
  const std::pair<std::string_view, std::vector<float>*> divisors[] = {{"rope_freqs.weight", &facts.rope_divisors},
                                                                       {"rope_factors_short.weight", &facts.rope_short},
                                                                       {"rope_factors_long.weight", &facts.rope_long}};
  for (uint32_t p = 0; p < parts_.size(); ++p) {
    const GgufHeader& header = parts_[p]->header;
    for (uint32_t i = 0; i < header.tensors().size(); ++i) {
      const GgufHeader::Tensor& tensor = header.tensors()[i];
      const auto rope = std::find_if(std::begin(divisors), std::end(divisors),
                                     [&](const auto& one) { return one.first == tensor.name; });
      if (rope != std::end(divisors)) {
        if (tensor.type->dense != Dtype::kF32 || tensor.bytes > 4096) {
          header.fail(quoteText(tensor.name) + ": is no F32");
        }
        rope->second->resize(size_t(tensor.bytes / 4));
        parts_[p]->file.read(tensor.offset, std::as_writable_bytes(std::span(*rope->second)));
        continue;
      }
      if (isExpertStack(tensor.name)) {
        addExperts(family, p, i);
        continue;
      }
      const std::optional<std::string> name = nameOfGguf(family, {tensor.name});
      if (!name) {
        header.fail("tensor " + quoteText(tensor.name) + ": is none of a network " + family.architecture +
                    " that nibble knows");
      }
      if (tensor.name == "token_embd.weight" && tensor.dims.size() == 2) facts.vocabulary = tensor.dims[1];
      facts.tied = facts.tied && tensor.name != "output.weight";
      facts.biased = facts.biased || tensor.name == "blk.0.attn_q.bias";
      tensors_.push_back({*name, p, i, family.pairs_rows ? orderOf(*name, tensor) : RowOrder()});
      if (family.norm_offset == 0 || !isNormWeight(*name)) continue;
      if (tensor.type->dense != Dtype::kF32) header.fail("tensor " + quoteText(tensor.name) + ": is no F32");
      tensors_.back().addend = -family.norm_offset;
    }
  }
  surroundings_.config_json = ggufConfigText(parts_[0]->header, family, facts);
  for (const TextFile& text : ggufTokenizerTexts(parts_[0]->header, surroundings_.notes)) {
    surroundings_.side_files.push_back({text.name, parts_[0]->file.path(), text.text});
  }
}

void GgufSource::addExperts(const GgufFamily& family, uint32_t part, uint32_t index) {
  const GgufHeader& header = parts_[part]->header;
  const GgufHeader::Tensor& tensor = header.tensors()[index];
  const std::string key = std::string(family.architecture) + ".expert_count";
  const uint64_t experts = parts_[0]->header.whole(key).value_or(0);
  if (experts == 0 || experts > kMaxExperts || tensor.dims.size() != 3 || tensor.dims[2] != experts) {
    header.fail("tensor " + quoteText(tensor.name) + ": is not the matrices of " + std::to_string(experts) +
                " experts, as many as " + quoteText(key) + " says");
  }
  for (uint32_t expert = 0; expert < experts; ++expert) {
    const std::optional<std::string> name = nameOfGguf(family, {tensor.name, expert});
    if (!name) {
      header.fail("tensor " + quoteText(tensor.name) + ": is none of a network " + family.architecture +
                  " that nibble knows");
    }
    tensors_.push_back({*name, part, index, {}, experts, expert});
  }
}

RowOrder GgufSource::orderOf(const std::string& name, const GgufHeader::Tensor& tensor) const {
  const HeadRows kind = headRowsOf(name);
  if (kind == HeadRows::kNone) return {};
  const GgufHeader& header = parts_[0]->header;
  const std::string arch(*header.text("general.architecture"));
  const uint64_t heads = header.whole(arch + ".attention.head_count").value_or(0);
  const uint64_t count =
      kind == HeadRows::kKey ? header.whole(arch + ".attention.head_count_kv").value_or(heads) : heads;
  const uint64_t rows = tensor.dims.size() == 1 ? tensor.dims[0] : tensor.dims[1];
  if (count == 0 || rows % (2 * count) != 0 || tensor.dims.size() > 2) {
    header.fail("tensor " + quoteText(tensor.name) + ": its rows are not those of " + std::to_string(count) + " heads");
  }
  return {tensor.bytes / rows, rows / count};
}

TensorInfo GgufSource::info(size_t i) const {
  const Tensor& tensor = tensors_[i];
  const GgufHeader::Tensor& in_file = stored(tensor);
  const uint64_t bytes = in_file.bytes / tensor.parts;
  TensorInfo info{tensor.name, Dtype::kU8, {}, bytes, tensor.part, in_file.offset + bytes * tensor.which, 0};
  info.shape.assign(in_file.dims.rbegin() + (tensor.parts > 1 ? 1 : 0), in_file.dims.rend());
  if (in_file.type->dense) {
    info.dtype = *in_file.type->dense;
  } else {
    info.blocks = in_file.type->id;
    info.shape.back() = info.shape.back() / in_file.type->block * in_file.type->bytes;
  }
  return info;
}

void GgufSource::read(size_t i, uint64_t offset, std::span<std::byte> out) const {
  const Tensor& tensor = tensors_[i];
  const GgufHeader::Tensor& in_file = stored(tensor);
  const uint64_t begin = in_file.offset + in_file.bytes / tensor.parts * tensor.which;
  const File& file = parts_[tensor.part]->file;
  if (tensor.addend != 0) {
    // Whole elements, of which the caller may want a part.
    const uint64_t first = offset / sizeof(float) * sizeof(float);
    const uint64_t end = (offset + out.size() + sizeof(float) - 1) / sizeof(float) * sizeof(float);
    std::vector<std::byte> values(size_t(end - first));
    file.read(begin + first, values);
    addToFloats(values, tensor.addend);
    std::memcpy(out.data(), values.data() + (offset - first), out.size());
    return;
  }
  if (!tensor.order) return file.read(begin + offset, out);
  tensor.order.forEach(offset, out.size(), [&](uint64_t at, uint64_t from, uint64_t count) {
    file.read(begin + at, out.subspan(size_t(from - offset), size_t(count)));
  });
}

std::vector<fs::path> GgufSource::files() const {
  std::vector<fs::path> paths;
  for (const auto& part : parts_) paths.push_back(part->file.path());
  return paths;
}

Metadata GgufSource::metadata(uint32_t file) const {
  const GgufHeader& header = parts_[file]->header;
  Metadata list = header.shown();
  // nibble's own texts are not shortened, because a conversion copies them.
  for (auto& [key, value] : list) {
    if (key == "nibble.version" || key == "nibble.command" || key == "nibble.source") value = *header.text(key);
  }
  return list;
}

void GgufSource::fingerprint(Hasher& hasher) const {
  hasher.add(uint64_t{parts_.size()});
  for (const auto& part : parts_) {
    const uint64_t bytes = part->file.bytes(), begin = std::min(part->header.dataAt(), bytes);
    hasher.add(bytes);
    const Hash128 hash = part->header.hash();
    hasher.add(hash.high);
    hasher.add(hash.low);
    addSamples(hasher, begin, bytes - begin,
               [&](uint64_t at, std::span<std::byte> sample) { part->file.read(at, sample); });
  }
}

const SourceKind kGgufSource = {
    "GGUF",
    [](const fs::path& path, std::string_view start) {
      if (!start.empty()) return start.starts_with("GGUF");
      std::error_code error;
      if (!fs::is_directory(path, error)) return false;
      bool has_gguf = false;
      for (const std::string& name : listFolder(path)) {
        if (name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json")) return false;
        has_gguf = has_gguf || name.ends_with(".gguf");
      }
      return has_gguf;
    },
    [](const fs::path& path) -> std::unique_ptr<TensorSource> { return std::make_unique<GgufSource>(path); }};

}  // namespace nib::model
