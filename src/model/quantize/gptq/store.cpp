#include "model/quantize/gptq/store.h"

#include "kit/file.h"
#include "model/archive/error.h"
#include "model/archive/hash.h"
#include "model/archive/json_document.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace nib::model {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kEnding = ".blob";
constexpr const char* kPurpose = "unfinished layers";

// A hash and the ending, or the file of activations that do not fit in memory.
bool owns(const std::string& name) {
  if (name == "activations") return true;
  const std::string_view digits = std::string_view(name).substr(0, name.size() - std::min(name.size(), kEnding.size()));
  return name.ends_with(kEnding) && digits.size() == Hasher().digest().hex().size() &&
         digits.find_first_not_of("0123456789abcdef") == digits.npos;
}

std::string lineOf(const Json& head) { return head.dump(-1, ' ', false, Json::error_handler_t::replace); }

// The hash is of all that a file says but the hash itself.
std::string hashOf(Json head, std::span<const std::byte> blob) {
  head.erase("hash");
  Hasher hasher;
  hasher.add(std::string_view(lineOf(head)));
  hasher.add(blob);
  return hasher.digest().hex();
}

}  // namespace

BlobStore::BlobStore(std::filesystem::path folder, std::string identity, bool resume)
    : files_(std::move(folder), kPurpose, owns, resume), identity_(std::move(identity)) {}

void BlobStore::check(const std::filesystem::path& folder) { ResumeFolder::check(folder, kPurpose, owns); }

std::filesystem::path BlobStore::pathOf(const std::string& module) const {
  Hasher hasher;
  hasher.add(module);
  return folder() / (hasher.digest().hex() + std::string(kEnding));
}

// A line of JSON, then the blob.
void BlobStore::save(const GptqLayerReport& r, const HostBlob& blob) const {
  Json head = {{"identity", identity_},          {"module", r.module}, {"bytes", blob.bytes.size()}, {"loss", r.loss},
               {"nearest_loss", r.nearest_loss}, {"damp", r.damp},     {"tokens", r.tokens},         {"dead", r.dead},
               {"nearest", r.nearest},           {"note", r.note},     {"order", blob.order}};
  head["hash"] = hashOf(head, blob.bytes);
  const std::string line = lineOf(head) + "\n";
  std::vector<std::byte> bytes(line.size() + blob.bytes.size());
  std::memcpy(bytes.data(), line.data(), line.size());
  std::memcpy(bytes.data() + line.size(), blob.bytes.data(), blob.bytes.size());
  kit::detail::writeFile(pathOf(r.module).string(), bytes);
}

std::optional<BlobStore::Entry> BlobStore::entryOf(const nlohmann::ordered_json& head, const std::string& module,
                                                   std::span<const std::byte> blob) const {
  if (!head.is_object() || head.value("identity", "") != identity_ || head.value("module", "") != module) {
    return std::nullopt;
  }
  Entry entry;
  entry.blob.bytes.assign(blob.begin(), blob.end());
  if (head.value("hash", "") != hashOf(head, entry.blob.bytes)) return std::nullopt;
  entry.blob.order = head.value("order", std::vector<uint32_t>());
  entry.report.module = module;
  entry.report.loss = head.value("loss", 0.0);
  entry.report.nearest_loss = head.value("nearest_loss", 0.0);
  entry.report.damp = head.value("damp", 0.0);
  entry.report.tokens = head.value("tokens", uint64_t(0));
  entry.report.dead = head.value("dead", 0u);
  entry.report.nearest = head.value("nearest", false);
  entry.report.note = head.value("note", "");
  return entry;
}

std::optional<BlobStore::Entry> BlobStore::read(const std::string& module) const {
  const kit::Bytes bytes = kit::detail::readFile(pathOf(module).string(), UINT64_MAX);
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  const std::string_view all(text, bytes.size());
  const size_t end = all.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  // A file that save() did not write completely is ignored.
  try {
    return entryOf(readJsonText(all.substr(0, end), shown(pathOf(module))), module, std::span(bytes).subspan(end + 1));
  } catch (const Error&) {
  } catch (const Json::exception&) {
  }
  return std::nullopt;
}

void BlobStore::remove() const { files_.remove(); }

}  // namespace nib::model
