// Cases of attention: heads of every size, groups of every kind, one token and many, sequences of every length, and
// indices that are wrong, over dense and quantized caches. All are judged by the bound. Cache rows that no token sees
// hold NaN and infinity.
#include <nibble/formats.h>

#include <cmath>

#include "selftest/bounds.h"
#include "selftest/caches.h"
#include "selftest/lists.h"

namespace nib::selftest {
namespace {

using Desc = NibAttentionDesc;

constexpr Recipe kData[] = {Recipe::kNormal, Recipe::kUniform, Recipe::kRelu};

struct Heads {
  uint32_t heads, key_heads, head_size;
};

Case attention(uint32_t tokens, const Heads& heads, uint32_t cache_rows, uint32_t source, uint32_t cache,
               uint32_t result, Recipe recipe, uint64_t seed) {
  Case c;
  c.recipe = recipe;
  c.seed = seed;
  c.n = tokens;
  Desc& d = c.describe<Desc>(NIB_OP_ATTENTION);
  d.tokens = tokens;
  d.heads = heads.heads;
  d.key_heads = heads.key_heads;
  d.head_size = heads.head_size;
  d.cache_rows = cache_rows;
  d.source_type = source;
  d.cache_type = cache;
  d.result_type = result;
  return c;
}

// --------------------------------------------------------------------------------------------- indices
// The kind of the tokens, chosen by the case's seed.
enum class Pattern {
  kWindow,  // the last tokens of one sequence that fills the cache, with a sliding window
  kCausal,  // the same without; the bench's seed gives this one
  kFull,    // every token sees the whole cache
  kBatch,   // tokens alternate between sequences of different lengths
  kPieces,  // sequences one after the other, each of some neighbouring tokens
  kWrong,   // numbers beyond the cache, among right ones
  kBad,     // one of the sequences holds NaN and infinity: only its own tokens may be affected
  kCount
};
constexpr const char* kPatternNames[] = {"window", "causal", "full", "batch", "pieces", "wrong", "bad"};

Pattern patternOf(const Case& c) { return Pattern(c.seed % uint64_t(Pattern::kCount)); }

struct Entry {
  uint32_t first, length, position, visible;
};

Entry wrongEntry(Random& random, uint32_t cache_rows) {
  const auto any = [&]() -> uint32_t {
    switch (random.below(5)) {
      case 0: return UINT32_MAX - random.below(3);
      case 1: return 0x7fffffffu + random.below(3);
      case 2: return cache_rows + random.below(3) - 1;
      case 3: return random.bits();
      default: return random.below(cache_rows + 1);
    }
  };
  return {any(), any(), any(), any()};
}

// Sequence i of those that share the cache evenly, of which the last part of the rows is unused.
Entry ofSequence(uint32_t i, uint32_t sequences, uint32_t cache_rows) {
  const uint32_t share = std::max(cache_rows / sequences, 1u), first = std::min(i * share, cache_rows - 1);
  const uint32_t length = std::max(1u, share - std::min(share - 1, share / 4 * (i % 3)));
  return {first, length, length - 1, 0};
}

std::vector<Entry> entriesOf(const Case& c, const Desc& d) {
  std::vector<Entry> list;
  Random random(c.seed * 77 + 5);
  const uint32_t rows = d.cache_rows, sequences = std::min(3u, rows), window = std::max(1u, rows / 3);
  for (uint32_t t = 0; t < d.tokens; ++t) {
    const uint32_t position = rows > d.tokens ? rows - d.tokens + t : uint32_t(uint64_t(rows) * t / d.tokens);
    switch (patternOf(c)) {
      case Pattern::kCausal: list.push_back({0, rows, position, 0}); break;
      case Pattern::kWindow:
        list.push_back({0, rows, position, position + 1 > window ? position + 1 - window : 0});
        break;
      case Pattern::kFull: list.push_back({0, rows, UINT32_MAX, 0}); break;
      case Pattern::kBatch:
      case Pattern::kBad: list.push_back(ofSequence(t * 7 % sequences, sequences, rows)); break;
      case Pattern::kPieces: {
        Entry e = ofSequence(uint32_t(uint64_t(sequences) * t / d.tokens), sequences, rows);
        e.position = random.below(e.length);
        if (t % 5 == 2) e.visible = random.below(e.length);
        list.push_back(e);
        break;
      }
      default:
        list.push_back(t % 3 == 1 ? Entry{0, rows, position, 0} : wrongEntry(random, rows));
        if (t % 7 == 3) list.back() = {0, 0, 0, 0};
    }
  }
  return list;
}

// Rows [from, to) of the cache that a token sees, from the header's words.
struct Visible {
  uint64_t from = 0, to = 0;
};

Visible visibleOf(const Entry& e, uint32_t cache_rows) {
  Visible v;
  bool any = false;
  if (e.first >= cache_rows) return v;
  const uint64_t last = std::min<uint64_t>({uint64_t(e.position), uint64_t(e.length) - 1, cache_rows - 1u - e.first});
  if (e.length != 0 && e.visible <= last) any = true;
  if (any) v = {uint64_t(e.first) + e.visible, uint64_t(e.first) + last + 1};
  return v;
}

// --------------------------------------------------------------------------------------------- list
constexpr Heads kHeads[] = {{4, 4, 64},  {8, 2, 128}, {3, 1, 8},   {6, 2, 24},  {7, 1, 72},
                            {2, 2, 256}, {9, 1, 80},  {34, 2, 16}, {12, 3, 96}, {1, 1, 40}};
struct Size {
  uint32_t tokens, cache_rows;
};
constexpr Size kSizes[] = {{1, 700}, {1, 1}, {2, 129}, {5, 64}, {17, 300}, {33, 33}, {70, 140}, {16, 600}};

bool isDense(const Desc& d) { return d.cache.format == NIB_FORMAT_DENSE; }

Case coded(uint32_t tokens, const Heads& heads, uint32_t cache_rows, uint32_t source, const NibWeights& cache,
           uint32_t result, Recipe recipe, uint64_t seed) {
  Case c = attention(tokens, heads, cache_rows, source, 0, result, recipe, seed);
  c.as<Desc>().cache = cache;
  return c;
}

bool fits(const NibWeights& cache, const Heads& heads) {
  return heads.head_size % (cache.group_size != 0 ? cache.group_size : 32) == 0;
}

constexpr Heads kCodedHeads[] = {{4, 4, 64},  {8, 2, 128}, {34, 2, 16}, {9, 1, 80},
                                 {12, 3, 96}, {2, 2, 256}, {7, 1, 32}};

void listCoded(Extent extent, std::vector<Case>& list) {
  Counter counter;
  for (const NibWeights& cache : cacheWays()) {
    for (const Size& size : kSizes) {
      for (const Heads& heads : kCodedHeads) {
        if (!fits(cache, heads)) continue;
        ++counter.i;
        // Every size of every format is in the quick list.
        const bool quick = counter.i % 5 == 2;
        if (!quick && (extent == Extent::kQuick || counter.i % 3 != 0)) continue;
        Case c = coded(size.tokens, heads, size.cache_rows, counter.pick(3), cache, uint32_t(counter.i / 2 % 3),
                       kData[counter.pick(5) % 3], counter.i / 2);
        Desc& d = c.as<Desc>();
        const uint32_t cols = heads.heads * heads.head_size;
        if (counter.pick(5) == 3) d.source_stride = cols + 8;
        if (counter.pick(7) == 5) d.result_stride = cols + 16;
        if (counter.pick(3) == 1) d.cap = counter.pick(2) != 0 ? 50.0f : 1.5f;
        if (counter.pick(8) == 5) d.flags = NIB_ATTENTION_SINGLE;
        c.n = rowsOfRun(counter, size.tokens);
        list.push_back(c);
      }
    }
  }
}

void list(const NibFormatInfo*, Extent extent, std::vector<Case>& list) {
  Counter counter;
  for (const Size& size : kSizes) {
    for (const Heads& heads : kHeads) {
      for (uint32_t type = 0; type < 3; ++type) {
        ++counter.i;
        if (extent == Extent::kQuick && counter.pick(6) != 0) continue;
        if (extent == Extent::kFull && counter.i % 2 != 0 && type == 1) continue;
        Case c = attention(size.tokens, heads, size.cache_rows, counter.pick(3), type, uint32_t(counter.i % 3),
                           kData[counter.pick(5) % 3], counter.i);
        Desc& d = c.as<Desc>();
        const uint32_t cols = heads.heads * heads.head_size, key_cols = heads.key_heads * heads.head_size;
        if (counter.i % 5 == 3) d.source_stride = cols + 8;
        if (counter.i % 5 == 1) d.key_stride = key_cols + 8 * (1 + counter.pick(3));
        if (counter.i % 7 == 2) d.value_stride = key_cols + 24;
        if (counter.i % 6 == 5) d.result_stride = cols + 16;
        if (counter.i % 4 == 1) d.scale = 1;
        if (counter.i % 3 == 1) d.cap = counter.i % 2 != 0 ? 50.0f : 1.5f;
        if (counter.i % 8 == 5) d.flags = NIB_ATTENTION_SINGLE;
        c.n = rowsOfRun(counter, size.tokens);
        list.push_back(c);
      }
    }
  }
  listCoded(extent, list);
}

std::string headsName(const Desc& d) {
  std::string text = std::to_string(d.heads);
  if (d.key_heads != d.heads) text += ":" + std::to_string(d.key_heads);
  return text + " heads of " + std::to_string(d.head_size);
}

std::string name(const Case& c, const Desc& d) {
  std::string text = " " + headsName(d) + " " + kPatternNames[size_t(patternOf(c))];
  if (d.flags & NIB_ATTENTION_SINGLE) text += " single";
  if (d.cap != 0) text += " cap " + std::to_string(d.cap);
  if (d.scale != 0) text += " scale " + std::to_string(d.scale);
  text += std::string(" ") + typeName(d.source_type) + " x " +
          (isDense(d) ? typeName(d.cache_type) : cacheName(d.cache)) + " -> " + typeName(d.result_type);
  for (const auto& [what, stride] :
       {std::pair{" key stride ", d.key_stride}, std::pair{" value stride ", d.value_stride},
        std::pair{" result stride ", d.result_stride}}) {
    if (stride != 0) text += what + std::to_string(stride);
  }
  return text + dimsName(d.tokens, d.cache_rows, d.source_stride, c.n) + dataName(c);
}

uint64_t strideOf(uint32_t stride, uint32_t heads, const Desc& d) {
  return stride != 0 ? stride : uint64_t(heads) * d.head_size;
}
uint64_t sourceStride(const Desc& d) { return strideOf(d.source_stride, d.heads, d); }
uint64_t resultStride(const Desc& d) { return strideOf(d.result_stride, d.heads, d); }
uint64_t keyStride(const Desc& d) { return strideOf(d.key_stride, d.key_heads, d); }
uint64_t valueStride(const Desc& d) { return strideOf(d.value_stride, d.key_heads, d); }
uint64_t sizeOf(uint32_t type) { return type == NIB_TYPE_F32 ? 4 : 2; }

// Rows of the cache that hold NaN and infinity.
std::vector<bool> emptyRows(const Case& c, const Desc& d) {
  std::vector<bool> empty(d.cache_rows, true);
  for (const Entry& e : entriesOf(c, d)) {
    const Visible v = visibleOf(e, d.cache_rows);
    for (uint64_t row = v.from; row < v.to; ++row) empty[size_t(row)] = false;
  }
  if (patternOf(c) == Pattern::kBad && d.tokens > 1) {
    const Visible v =
        visibleOf(ofSequence(1 % std::min(3u, d.cache_rows), std::min(3u, d.cache_rows), d.cache_rows), d.cache_rows);
    for (uint64_t row = v.from; row < v.to; row += 3) empty[size_t(row)] = true;
  }
  return empty;
}

// Rows that no token sees have codes of NaN if the format has such, and of any number otherwise.
void fillCodes(const Case& c, const Desc& d, const NibMemoryPart& p, uint64_t seed, Words& range) {
  const uint32_t cols = d.key_heads * d.head_size;
  fillPart(range, p, codedCache(c.recipe, d.cache, d.cache_rows, cols, seed));
  const std::vector<bool> empty = emptyRows(c, d);
  const size_t words = size_t(cacheRowBytes(d.cache, cols) / 4), first = size_t(p.offset_bytes / 4);
  const size_t codes = cols * nibFormatById(d.cache.format)->bits / 32;
  const bool fp8 = d.cache.format == NIB_FORMAT_FP8;
  for (size_t row = 0; row < empty.size(); ++row) {
    if (!empty[row]) continue;
    // Scales of 1.
    for (size_t i = 0; i < words; ++i)
      range[first + row * words + i] = i >= codes ? 0x3c003c00u : fp8 ? 0x7f7fff7fu : 0x5a5a5a5au;
  }
}

void fillCache(const Case& c, const Desc& d, const NibMemoryPart& p, uint64_t stride, uint64_t seed, Words& range) {
  if (!isDense(d)) return fillCodes(c, d, p, seed, range);
  fillPart(range, p, makeNumbers(c.recipe, d.cache_type, p.size_bytes, seed));
  const std::vector<bool> empty = emptyRows(c, d);
  uint8_t* data = reinterpret_cast<uint8_t*>(range.data()) + p.offset_bytes;
  const uint64_t bytes = sizeOf(d.cache_type);
  const uint32_t nan = d.cache_type == NIB_TYPE_F32 ? 0x7fc00000u : d.cache_type == NIB_TYPE_F16 ? 0x7e00u : 0x7fc0u;
  const uint32_t infinity = d.cache_type == NIB_TYPE_F32   ? 0x7f800000u
                            : d.cache_type == NIB_TYPE_F16 ? 0x7c00u
                                                           : 0x7f80u;
  for (uint64_t row = 0; row < d.cache_rows; ++row) {
    if (!empty[size_t(row)]) continue;
    for (uint64_t col = 0; col < uint64_t(d.key_heads) * d.head_size; ++col) {
      std::memcpy(data + (row * stride + col) * bytes, col % 2 != 0 ? &infinity : &nan, size_t(bytes));
    }
  }
}

void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  if (role == NIB_ROLE_WEIGHTS) {
    fillCache(c, d, memory.part[NIB_PART_KEYS], keyStride(d), c.seed + 1, range);
    fillCache(c, d, memory.part[NIB_PART_VALUES], valueStride(d), c.seed + 2, range);
  }
  if (role == NIB_ROLE_INPUT) {
    const NibMemoryPart& source = memory.part[NIB_PART_SOURCE];
    fillPart(range, source, makeNumbers(Recipe::kUniform, d.source_type, source.size_bytes, c.seed));
    const std::vector<Entry> entries = entriesOf(c, d);
    Words words(entries.size() * 4);
    std::memcpy(words.data(), entries.data(), words.size() * 4);
    fillPart(range, memory.part[NIB_PART_INDICES], words);
  }
}

Lines lines(const Desc& d, const NibMemory&, NibRole role, NibPart part) {
  switch (part) {
    case NIB_PART_KEYS:
    case NIB_PART_VALUES:
      if (!isDense(d)) return Lines{cacheRowBytes(d.cache, d.key_heads * d.head_size) * 8, 32};
      return linesOfDense(d.cache_type, part == NIB_PART_KEYS ? keyStride(d) : valueStride(d));
    case NIB_PART_SOURCE: return linesOfDense(d.source_type, sourceStride(d));
    case NIB_PART_INDICES: return Lines{128, 32};
    default: return role == NIB_ROLE_OUTPUT ? linesOfDense(d.result_type, resultStride(d)) : Lines{};
  }
}

// --------------------------------------------------------------------------------------------- bound
struct Judge {
  const Desc& d;
  const Judged& judged;
  FarthestSoFar farthest{1e30};
  std::vector<float> decoded_keys = decoded(NIB_PART_KEYS), decoded_values = decoded(NIB_PART_VALUES);

  // For a quantized cache; empty if it is dense.
  std::vector<float> decoded(NibPart which) const {
    if (isDense(d)) return {};
    return decodedCache(d.cache, d.cache_rows, d.key_heads * d.head_size, part(NIB_ROLE_WEIGHTS, which));
  }
  double coded(const std::vector<float>& values, uint64_t row, uint64_t col) const {
    return double(values[size_t(row * d.key_heads * d.head_size + col)]);
  }
  const uint8_t* part(NibRole role, NibPart which) const {
    return reinterpret_cast<const uint8_t*>(judged.before[role]) + judged.memory.part[which].offset_bytes;
  }
  double key(uint64_t row, uint64_t col) const {
    if (!isDense(d)) return coded(decoded_keys, row, col);
    return elementOf(part(NIB_ROLE_WEIGHTS, NIB_PART_KEYS), d.cache_type, row * keyStride(d) + col);
  }
  double value(uint64_t row, uint64_t col) const {
    if (!isDense(d)) return coded(decoded_values, row, col);
    return elementOf(part(NIB_ROLE_WEIGHTS, NIB_PART_VALUES), d.cache_type, row * valueStride(d) + col);
  }
  Entry entry(uint64_t token) const {
    Entry e;
    std::memcpy(&e, part(NIB_ROLE_INPUT, NIB_PART_INDICES) + token * sizeof e, sizeof e);
    return e;
  }

  void zeros(uint64_t token, uint32_t head) {
    for (uint32_t i = 0; i < d.head_size; ++i) {
      const uint64_t at = token * resultStride(d) + uint64_t(head) * d.head_size + i;
      farthest.add(at, elementOf(judged.output, d.result_type, at), 0, 0x1p-149);
    }
  }

  // A result of a token and a head, which sees a key or more.
  void head(uint64_t token, uint32_t head, const Visible& v) {
    const uint64_t from = token * sourceStride(d) + uint64_t(head) * d.head_size;
    const uint64_t key_col = uint64_t(head) / (d.heads / d.key_heads) * d.head_size;
    const uint8_t* source = part(NIB_ROLE_INPUT, NIB_PART_SOURCE);
    const double scale = d.scale != 0 ? double(d.scale) : double(float(1 / std::sqrt(double(d.head_size))));
    std::vector<double> query(d.head_size), scores;
    double query_norm = 0, key_norm = 0, largest = -HUGE_VAL;
    for (uint32_t i = 0; i < d.head_size; ++i) {
      query[i] = elementOf(source, d.source_type, from + i);
      query_norm += query[i] * query[i];
    }
    for (uint64_t row = v.from; row < v.to; ++row) {
      double sum = 0, norm = 0;
      for (uint32_t i = 0; i < d.head_size; ++i) {
        const double k = key(row, key_col + i);
        sum += query[i] * k;
        norm += k * k;
      }
      if (!std::isfinite(sum)) return;  // such results are undefined
      sum *= scale;
      scores.push_back(d.cap != 0 ? double(d.cap) * std::tanh(sum / double(d.cap)) : sum);
      key_norm = std::max(key_norm, norm);
      largest = std::max(largest, scores.back());
    }
    double total = 0;
    for (double& s : scores) total += s = std::exp(s - largest);
    const double e = (d.head_size + 8.0) * 0x1p-23 * scale * std::sqrt(query_norm * key_norm) + double(d.cap) * 0x1p-20;
    const double relative = 2 * e + double(v.to - v.from) * 0x1p-22 + 0x1p-18;
    std::vector<double> sums(d.head_size), most(d.head_size);
    for (uint64_t row = v.from; row < v.to; ++row) {
      for (uint32_t i = 0; i < d.head_size; ++i) {
        const double x = value(row, key_col + i);
        sums[i] += scores[size_t(row - v.from)] * x;
        most[i] = std::max(most[i], std::abs(x));
      }
    }
    for (uint32_t i = 0; i < d.head_size; ++i) {
      const double y = sums[i] / total;
      const double rounding = d.result_type == NIB_TYPE_F32 ? 0 : halfUlp(d.result_type) * (1 + relative);
      const uint64_t at = token * resultStride(d) + uint64_t(head) * d.head_size + i;
      farthest.add(at, elementOf(judged.output, d.result_type, at), y,
                   most[i] * relative + rounding * std::abs(y) + leastOf(d.result_type) + double(v.to) * 0x1p-126);
    }
  }

  // Elements between the rows and after the last row keep their bytes.
  void untouched() {
    const uint32_t* before = judged.before[NIB_ROLE_OUTPUT];
    if (before == nullptr) return;
    const uint64_t bytes = sizeOf(d.result_type), cols = uint64_t(d.heads) * d.head_size;
    const uint64_t count = judged.memory.part[NIB_PART_RESULT].size_bytes / bytes;
    for (uint64_t at = 0; at < count; ++at) {
      if (at / resultStride(d) < judged.n && at % resultStride(d) < cols) continue;
      const auto same = [&](const uint32_t* data) { return reinterpret_cast<const uint8_t*>(data) + at * bytes; };
      if (std::memcmp(same(before), same(judged.output), size_t(bytes)) != 0) {
        farthest.add(at, HUGE_VAL, elementOf(before, d.result_type, at), 1);
      }
    }
  }
};

Farthest farthest(const Desc& d, const Judged& judged) {
  Judge judge{d, judged};
  // The mean of keys that tokens see.
  double keys = 0;
  for (uint64_t t = 0; t < judged.n; ++t) {
    const Visible v = visibleOf(judge.entry(t), d.cache_rows);
    keys += double(v.to - v.from);
  }
  const double products = keys * 2 * d.head_size * d.heads;
  const uint64_t pairs = uint64_t(judged.n) * d.heads;
  const uint64_t step = 1 + uint64_t(products / double(std::max<uint64_t>(judged.most_products, 1)));
  const auto judgePair = [&](uint64_t pair) {
    const uint64_t token = pair / d.heads;
    const Visible v = visibleOf(judge.entry(token), d.cache_rows);
    if (v.from == v.to) {
      judge.zeros(token, uint32_t(pair % d.heads));
    } else {
      judge.head(token, uint32_t(pair % d.heads), v);
    }
  };
  for (uint64_t pair = 0; pair < pairs; pair += step) judgePair(pair);
  if (pairs > 1 && step > 1) judgePair(pairs - 1);
  judge.untouched();
  return judge.farthest.result();
}

// --------------------------------------------------------------------------------------------- other sizes
// With a pattern instead of a seed.
Case plain(uint32_t tokens, const Heads& heads, uint32_t cache_rows, uint32_t type, Pattern pattern) {
  return attention(tokens, heads, cache_rows, type, type, type, Recipe::kUniform,
                   uint64_t(Pattern::kCount) * 100 + uint64_t(pattern));
}

Case plainCoded(uint32_t tokens, const Heads& heads, uint32_t cache_rows, const NibWeights& cache, Pattern pattern) {
  return coded(tokens, heads, cache_rows, NIB_TYPE_F32, cache, NIB_TYPE_F32, Recipe::kUniform,
               uint64_t(Pattern::kCount) * 100 + uint64_t(pattern));
}

constexpr Heads kModels[] = {{32, 8, 128}, {32, 32, 128}, {64, 8, 128}, {8, 4, 256},
                             {14, 2, 64},  {12, 12, 64},  {71, 1, 64}};

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  if (format != nullptr) return;
  switch (purpose) {
    case Large::kTails:
      list.push_back(plain(67, {6, 2, 72}, 529, NIB_TYPE_F32, Pattern::kCausal));
      list.push_back(plain(3, {5, 1, 128}, 1030, NIB_TYPE_F16, Pattern::kPieces));
      break;
    case Large::kSlices:
      list.push_back(plain(96, {8, 2, 64}, 1200, NIB_TYPE_F16, Pattern::kCausal));
      list.push_back(plain(1, {16, 8, 128}, 4000, NIB_TYPE_F32, Pattern::kFull));
      list.push_back(plainCoded(96, {8, 2, 64}, 1200,
                                weightsOf(NIB_FORMAT_INT8, NIB_GRANULARITY_GROUP, 32, 0, NIB_TYPE_F16),
                                Pattern::kCausal));
      break;
    case Large::kWindows: {
      if (options.extent == Extent::kQuick) break;
      // Keys of 144 MiB, few of which are read.
      Case c = plain(2, {4, 2, 64}, 36u << 10, NIB_TYPE_F32, Pattern::kFull);
      c.as<Desc>().key_stride = 1024;
      list.push_back(c);
      break;
    }
    case Large::kNarrowWindows:
      // Keys and values of several windows; queries of several; both.
      list.push_back(plain(1, {4, 2, 64}, 3000, NIB_TYPE_F32, Pattern::kFull));
      list.push_back(plain(40, {4, 2, 64}, 1100, NIB_TYPE_F32, Pattern::kPieces));
      list.push_back(plain(300, {16, 2, 32}, 60, NIB_TYPE_F32, Pattern::kWindow));
      list.push_back(plain(150, {16, 2, 32}, 1500, NIB_TYPE_F16, Pattern::kBatch));
      for (const NibWeights& cache : cacheWays()) {
        if (!fits(cache, {4, 4, 192})) continue;
        list.push_back(plainCoded(1, {4, 4, 192}, 1300, cache, Pattern::kFull));
        list.push_back(plainCoded(40, {4, 4, 192}, 900, cache, Pattern::kPieces));
      }
      break;
    case Large::kPlans:
      for (const Heads& heads : kModels) {
        for (const uint32_t tokens : {1u, 7u, 512u, 2048u}) {
          // No cache beyond 128 MiB: its plan has no small problem.
          for (const uint32_t rows : {200u, 512u, 4096u, 16384u}) {
            if (uint64_t(rows) * heads.key_heads * heads.head_size > (1u << 24)) continue;
            list.push_back(plain(tokens, heads, rows, (tokens + rows / 512) % 3, Pattern::kCausal));
          }
        }
      }
      for (const NibWeights& cache : cacheWays()) {
        for (const Heads& heads : kModels) {
          if (!fits(cache, heads)) continue;
          for (const uint32_t tokens : {1u, 512u}) {
            list.push_back(plainCoded(tokens, heads, 4096, cache, Pattern::kCausal));
          }
        }
      }
  }
}

void verify(const NibFormatInfo* format, std::vector<NamedCase>& list) {
  if (format != nullptr) return;
  for (uint32_t type = 0; type < 3; ++type) {
    for (const uint32_t tokens : {1u, 37u}) {
      Case c = plain(tokens, {8, 2, 128}, 600, type, Pattern::kCausal);
      if (type == NIB_TYPE_BF16) c.as<Desc>().cap = 50;
      list.push_back({"attention " + headsName(c.as<Desc>()) + " " + typeName(type) + ", " + std::to_string(tokens) +
                          (tokens == 1 ? " token" : " tokens"),
                      c});
    }
  }
  for (const NibWeights& cache : cacheWays()) {
    for (const uint32_t tokens : {1u, 37u}) {
      constexpr Heads kVerified{8, 2, 128};
      if (!fits(cache, kVerified)) continue;
      list.push_back(
          {"attention " + cacheName(cache) + ", " + std::to_string(tokens) + (tokens == 1 ? " token" : " tokens"),
           plainCoded(tokens, kVerified, 600, cache, Pattern::kCausal)});
    }
  }
}

// A token of a model of 8 billion weights, a prompt, and a size that is fast on a CPU.
void listBench(const BenchRequest& request, BenchList& rows) {
  if (request.part != BenchPart::kQuick || request.given) return;
  const auto add = [&](uint32_t tokens, const Heads& heads, uint32_t cache_rows) {
    Case c = attention(tokens, heads, cache_rows, NIB_TYPE_F16, NIB_TYPE_F16, NIB_TYPE_F16, Recipe::kNormal, 0);
    rows.add(kQuickDense, request.shape, c, tokens);
  };
  add(1, {32, 8, 128}, 4096);
  add(512, {32, 8, 128}, 512);
  add(16, {8, 2, 64}, 256);
  for (const NibWeights& cache : cacheWays()) {
    if (cache.group_size != 0 && cache.group_size != 32) continue;
    for (const uint32_t tokens : {1u, 512u}) {
      const Case c =
          coded(tokens, {32, 8, 128}, tokens == 1 ? 4096 : 512, NIB_TYPE_F16, cache, NIB_TYPE_F16, Recipe::kNormal, 0);
      rows.add(kQuickDense, request.shape, c, tokens);
    }
  }
}

void nameBench(const Case&, const Desc& d, RowNames& names) {
  names.type = typeName(d.cache_type);
  names.granularity = granularityName(NIB_GRANULARITY_ROW);
  if (!isDense(d)) names.describe(d.cache);
  names.source = typeName(d.source_type);
  names.result = typeName(d.result_type);
  names.m = d.heads * d.head_size;
  names.n = d.tokens;
  names.k = d.cache_rows;
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_ATTENTION,
    .list = list,
    .name = name,
    .kind =
        [](const Desc& d) {
          const bool many = d.tokens >= 16 && d.flags == 0;
          const uint64_t kind = (many ? 1u : 0u) + (d.tokens == 1 ? 2u : 0u);
          if (isDense(d)) return kind + (d.cap != 0 ? 4u : 0u);
          return kind + (d.cache_rows > 256 ? 4u : 0u) + (uint64_t(d.cache.format) << 16 | d.cache.flags << 3);
        },
    .fill = fill,
    .weights = [](Desc& d) { return &d.cache; },
    .by_format = false,
    .lines = lines,
    .bounded = [](const Case&, const Desc&) { return true; },
    .farthest = farthest,
    .large = addLarge,
    .verify = verify,
    .bench = {.list = listBench, .names = nameBench},
};

}  // namespace

NIB_DEFINE_CASES(attention, NibAttentionDesc, kCases)

}  // namespace nib::selftest
