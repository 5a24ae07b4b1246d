#include "model/mixed/costs.h"

#include "kit/file.h"
#include "model/archive/error.h"
#include "model/archive/hash.h"
#include "model/archive/json_document.h"

#include <cmath>
#include <span>

namespace nib::model {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFile = "costs.json";
constexpr const char* kPurpose = "the losses of layers";

bool owns(const std::string& name) { return name == kFile; }

// The hash is of all that the file says but the hash itself.
std::string hashOf(Json json) {
  json.erase("hash");
  Hasher hasher;
  hasher.add(std::string_view(writeJson(json)));
  return hasher.digest().hex();
}

double finite(const Json& json) {
  const double value = json.get<double>();
  if (!std::isfinite(value)) throw Error("a cost is not finite");
  return value;
}

}  // namespace

MeasuredCosts::MeasuredCosts(std::filesystem::path folder, std::string identity, bool resume)
    : folder_(std::move(folder)), path_(folder_ / kFile), identity_(std::move(identity)), resume_(resume) {
  ResumeFolder::check(folder_, kPurpose, owns);
  if (std::filesystem::exists(folder_)) begin();
  if (resume) read();
}

void MeasuredCosts::check(const std::filesystem::path& folder) { ResumeFolder::check(folder, kPurpose, owns); }

void MeasuredCosts::begin() {
  if (!files_) files_.emplace(folder_, kPurpose, owns, resume_);
}

// A file that is not of this run, or damaged, is ignored: what it says is measured again.
void MeasuredCosts::read() {
  const kit::Bytes bytes = kit::detail::readFile(path_.string());
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.empty()) return;
  try {
    const Json json = readJsonText(text, shown(path_));
    if (!json.is_object() || json.value("identity", "") != identity_) return;
    if (json.value("hash", "") != hashOf(json)) throw Error("the file is damaged");
    for (const auto& [key, value] : json.at("divergences").items()) {
      divergences_[key] = {finite(value.at(0)), finite(value.at(1))};
    }
    for (const auto& [key, value] : json.at("weighted_errors").items()) weighted_errors_[key] = finite(value);
  } catch (const std::exception&) {
    divergences_.clear();
    weighted_errors_.clear();
  }
}

std::optional<MeasuredCosts::Divergence> MeasuredCosts::divergence(const std::string& key) const {
  const auto found = divergences_.find(key);
  return found != divergences_.end() ? std::optional(found->second) : std::nullopt;
}

std::optional<double> MeasuredCosts::weightedError(const std::string& key) const {
  const auto found = weighted_errors_.find(key);
  return found != weighted_errors_.end() ? std::optional(found->second) : std::nullopt;
}

void MeasuredCosts::addDivergence(const std::string& key, const Divergence& value) {
  divergences_[key] = value;
  save();
}

void MeasuredCosts::addWeightedErrors(const std::map<std::string, double>& values) {
  for (const auto& [key, value] : values) weighted_errors_[key] = value;
  save();
}

void MeasuredCosts::save() const {
  Json json = {{"identity", identity_}, {"divergences", Json::object()}, {"weighted_errors", Json::object()}};
  std::vector<std::pair<std::string, Json>> divergences, errors;
  for (const auto& [key, value] : divergences_) divergences.emplace_back(key, Json::array({value.mean, value.error}));
  for (const auto& [key, value] : weighted_errors_) errors.emplace_back(key, value);
  json["divergences"] = jsonObject(std::move(divergences));
  json["weighted_errors"] = jsonObject(std::move(errors));
  json["hash"] = hashOf(json);
  const std::string text = writeJson(json) + "\n";
  kit::detail::writeFile(path_.string(), std::as_bytes(std::span(text)));
}

void MeasuredCosts::remove() const {
  if (files_) files_->remove();
}

}  // namespace nib::model
