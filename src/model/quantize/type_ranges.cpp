#include "model/quantize/type_ranges.h"

#include "model/quantize/scale_of.h"
#include "model/quantize/weight_type.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

namespace nib::model {
namespace {

constexpr uint64_t kChunkElements = 256u << 10;  // stays in a core's cache
constexpr float kBeyondF16 = 65520.0f;           // rounds to infinity
constexpr uint32_t kLargestF16 = 0x7bff;
constexpr float kCoarseF16 = 0x1p-17f;  // below it fp16 has fewer than the 8 bits of bfloat16
constexpr float kLeastSearched = 0.2f;  // of the range of the largest magnitude, that a search of scales tries

// The bits of the largest finite magnitude. T is signed, because processors compare signed words faster. infinity: its
// bits.
template <class T>
T largestBits(const T* values, size_t count, T infinity) {
  T most = 0;
  for (size_t i = 0; i < count; ++i) {
    const T magnitude = T(values[i] & std::numeric_limits<T>::max());
    most = std::max(most, magnitude < infinity ? magnitude : T(0));
  }
  return most;
}

// Groups of `group` elements that follow each other, across calls.
template <class T>
class GroupScan {
 public:
  GroupScan(uint64_t group, T infinity) : group_(group), infinity_(infinity) {}

  void add(std::span<const std::byte> bytes) {
    const T* values = reinterpret_cast<const T*>(bytes.data());
    for (uint64_t i = 0, count = bytes.size() / sizeof(T); i < count;) {
      const uint64_t take = std::min(group_ - filled_, count - i);
      most_ = std::max(most_, largestBits(values + i, size_t(take), infinity_));
      i += take;
      filled_ += take;
      if (filled_ == group_) end();
    }
  }

  GroupMagnitudes result(Dtype dtype) {
    end();
    const auto value = [&](T bits) { return floatValue(dtype, reinterpret_cast<const std::byte*>(&bits)); };
    GroupMagnitudes found;
    found.smallest = smallest_ != 0 ? value(smallest_) : 0.0f;
    found.largest = value(largest_);
    return found;
  }

 private:
  void end() {
    if (most_ > 0) smallest_ = smallest_ == 0 ? most_ : std::min(smallest_, most_);
    largest_ = std::max(largest_, most_);
    most_ = 0;
    filled_ = 0;
  }

  uint64_t group_, filled_ = 0;
  T infinity_, most_ = 0, smallest_ = 0, largest_ = 0;
};

std::string numberText(float value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", double(value));
  return text;
}

void addNote(Decision& decision, const std::string& text) {
  decision.note += (decision.note.empty() ? "" : "; ") + text;
}

}  // namespace

TypeRanges::TypeRanges(const TimedDevice& device, const ModelView& view, const Container& container)
    : device_(device), view_(view), container_(container), decoder_(device, view) {}

void TypeRanges::fit(const ModelView::Tensor& tensor, Decision& decision) {
  if (decision.kind == Decision::kQuantize) fitScales(tensor, decision);
  if (decision.kind == Decision::kCast) fitCast(tensor, decision);
}

void TypeRanges::fitScales(const ModelView::Tensor& tensor, Decision& decision) {
  const WeightSpec& weight = decision.weight;
  if (weight.weights.scale_type != NIB_TYPE_F16) return;
  const uint64_t elements = uint64_t(weight.rows) * weight.cols;
  const uint64_t group = weight.weights.granularity == NIB_GRANULARITY_TENSOR ? elements
                         : weight.weights.granularity == NIB_GRANULARITY_GROUP
                             ? std::gcd(weight.weights.group_size, weight.cols)
                             : weight.cols;
  const GroupMagnitudes found = magnitudes(tensor, decision, group);
  if (found.largest == 0) return;
  const auto storedScale = [&](const WeightSpec& w, float low, float high) {
    NibExtent extent{};
    extent.min = low;
    extent.max = high;
    return scaleOf(w, extent).scale;
  };
  const bool takes_f32 = (nibFormatById(weight.weights.format)->scale_types >> NIB_TYPE_F32 & 1u) != 0;
  WeightSpec wide = weight;
  wide.weights.scale_type = NIB_TYPE_F32;
  if (takes_f32 && container_.refuses(wide, Activations::kNone).empty()) {
    const float least_searched = weight.search_scales ? kLeastSearched : 1.0f;
    const float smallest = std::bit_cast<float>(storedScale(wide, 0, found.smallest)) * least_searched;
    const float largest = std::bit_cast<float>(storedScale(wide, -found.largest, found.largest));
    if (smallest >= kCoarseF16 && largest < kBeyondF16) return;
    decision.weight = wide;
    decision.wide_scales = true;
    addNote(decision,
            "scales of F32, because F16 cannot hold " + numberText(smallest < kCoarseF16 ? smallest : largest));
    return;
  }
  const bool zero = (storedScale(weight, 0, found.smallest) & 0x7fffu) == 0;
  const bool limited = (storedScale(weight, -found.largest, found.largest) & 0x7fffu) == kLargestF16;
  // A part of a stack has no dense form of its own. Its losses are counted later.
  if ((!zero && !limited) || decision.slice) return;
  decision.kind = tensor.weight != nullptr ? Decision::kCast : Decision::kKeep;
  decision.dtype = weight.source;
  decision.beyond_type = true;
  addNote(decision, std::string("F16 cannot hold a scale of ") + nibFormatById(weight.weights.format)->name + " for " +
                        numberText(zero ? found.smallest : found.largest) + ": stays " +
                        std::string(dtypeName(weight.source)));
}

void TypeRanges::fitCast(const ModelView::Tensor& tensor, Decision& decision) {
  if (decision.dtype != Dtype::kF16) return;
  const GroupMagnitudes found = magnitudes(tensor, decision, tensor.elements());
  if (found.largest < kBeyondF16) return;
  const Dtype wide = tensor.weight != nullptr ? Dtype::kF32 : tensor.dtype;
  decision.dtype = wide;
  if (tensor.weight == nullptr) decision.kind = Decision::kKeep;
  decision.beyond_type = true;
  addNote(decision, "holds " + numberText(found.largest) + ", beyond F16: stays " + std::string(dtypeName(wide)));
}

GroupMagnitudes TypeRanges::magnitudes(const ModelView::Tensor& tensor, const Decision& decision, uint64_t group) {
  const Dtype dtype = tensor.weight != nullptr ? Dtype::kF32 : tensor.dtype;
  if (dtype == Dtype::kF32) {
    GroupScan<int32_t> scan(group, 0x7f800000);
    forEachChunk(tensor, decision, dtype, [&](std::span<const std::byte> bytes) { scan.add(bytes); });
    return scan.result(dtype);
  }
  GroupScan<int16_t> scan(group, dtype == Dtype::kF16 ? 0x7c00 : 0x7f80);
  forEachChunk(tensor, decision, dtype, [&](std::span<const std::byte> bytes) { scan.add(bytes); });
  return scan.result(dtype);
}

void TypeRanges::forEachChunk(const ModelView::Tensor& tensor, const Decision& decision, Dtype dtype,
                              const std::function<void(std::span<const std::byte>)>& take) {
  const std::optional<Slice>& slice = decision.slice;
  const WeightSpec& weight = decision.weight;
  const uint64_t size = dtypeBits(dtype) / 8;
  const uint64_t elements = slice ? uint64_t(weight.rows) * weight.cols : tensor.elements();
  const uint64_t unit = slice ? weight.cols : decoder_.unit(tensor);
  const uint64_t chunk = std::max<uint64_t>(kChunkElements / unit, 1) * unit;
  std::vector<std::byte> bytes(size_t(std::min(chunk, elements) * size));
  kit::Buffer decoded;
  if (tensor.weight != nullptr) decoded = kit::Buffer(device_.untimed(), bytes.size());
  for (uint64_t at = 0; at < elements; at += chunk) {
    const uint64_t count = std::min(chunk, elements - at);
    const std::span<std::byte> part(bytes.data(), size_t(count * size));
    if (tensor.weight != nullptr) {
      slice ? decoder_.decodeSlice(tensor, *slice, weight.cols, at, count, decoded)
            : decoder_.decode(tensor, at, count, decoded);
      device_.download(decoded, 0, part.data(), part.size());
    } else if (slice) {
      readSlice(view_.checkpoint(), tensor.index, *slice, weight.cols, uint32_t(size), at, count, part);
    } else {
      view_.checkpoint().read(tensor.index, at * size, part);
    }
    take(part);
  }
}

}  // namespace nib::model
