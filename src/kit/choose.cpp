#include "kit/choose.h"

#include <algorithm>
#include <charconv>

namespace nib::kit::detail {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

std::string listOf(std::span<const DeviceInfo> devices) {
  std::string text;
  for (const DeviceInfo& device : devices) text += std::to_string(device.index) + " = " + device.name + ", ";
  return text + std::to_string(devices.size()) + " = cpu";
}

std::optional<size_t> bestOf(std::span<const DeviceInfo> devices, const std::vector<size_t>& positions) {
  std::optional<size_t> best;
  for (const size_t i : positions) {
    if (usable(devices[i]) && (!best || devices[i].type < devices[*best].type)) best = i;
  }
  return best;
}

}  // namespace

bool usable(const DeviceInfo& device) { return device.tier >= 0 || device.tier_reason.empty(); }

std::optional<size_t> chooseBest(std::span<const DeviceInfo> devices) {
  std::vector<size_t> all(devices.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  return bestOf(devices, all);
}

size_t chooseDevice(std::span<const DeviceInfo> devices, std::string_view selector) {
  const std::string wanted = lower(selector);
  if (wanted.empty()) return chooseBest(devices).value_or(kChooseCpu);
  if (wanted == "cpu") return kChooseCpu;

  std::vector<size_t> matches;
  size_t index = 0;
  const auto [end, error] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), index);
  const bool number = error == std::errc() && end == wanted.data() + wanted.size();
  // "3090" is part of a card's name; "6" is an index out of range.
  if (number && (index <= devices.size() || wanted.size() < 3)) {
    if (index == devices.size()) return kChooseCpu;
    if (index < devices.size()) matches.push_back(index);
  } else {
    for (size_t i = 0; i < devices.size(); ++i) {
      const bool found = lower(devices[i].name).find(wanted) != std::string::npos ||
                         lower(devices[i].driver).find(wanted) != std::string::npos;
      if (found) matches.push_back(i);
    }
  }
  if (matches.empty()) throw NotFound("no device \"" + std::string(selector) + "\"; there is " + listOf(devices));
  const std::optional<size_t> best = bestOf(devices, matches);
  if (!best) {
    const DeviceInfo& device = devices[matches.front()];
    throw Error("device " + std::to_string(device.index) + " (" + device.name +
                ") cannot be used: " + device.tier_reason);
  }
  return *best;
}

}  // namespace nib::kit::detail
