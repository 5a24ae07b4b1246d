// Cases of factor: every stage and block size, with and without an order, over widths with tails. Matrices are
// covariances, positive definite by construction. All are judged by bounds on what a run computes from its operands.
#include <algorithm>
#include <cmath>

#include "selftest/bounds.h"
#include "selftest/lists.h"

namespace nib::selftest {
namespace {

using Desc = NibFactorDesc;

constexpr uint32_t kStages = 3;
constexpr uint32_t kNaN = 0x7fc00000u;

uint32_t blockOf(const Desc& d) { return d.block != 0 ? d.block : 64; }

Case factor(uint32_t stage, uint32_t cols, uint32_t block, uint32_t flags, uint64_t seed) {
  Case c;
  c.recipe = Recipe::kUniform;
  c.seed = seed;
  c.n = cols;
  Desc& d = c.describe<Desc>(NIB_OP_FACTOR);
  d.flags = flags;
  d.stage = stage;
  d.cols = cols;
  d.block = block;
  d.damp = seed % 3 == 0 ? 0 : 0.01f;
  return c;
}

void list(const NibFormatInfo*, Extent extent, std::vector<Case>& list) {
  Counter counter;
  for (const uint32_t cols : {130u, 256u, 1u, 5u, 33u, 64u, 67u, 200u, 323u}) {
    for (uint32_t stage = 0; stage < kStages; ++stage) {
      for (const uint32_t block : {0u, 32u}) {
        ++counter.i;
        const bool quick = cols == 130 || block == (cols % 2 != 0 ? 0u : 32u);
        if (extent == Extent::kQuick && !quick) continue;
        const bool ordered = stage == NIB_FACTOR_PREPARE && counter.pick(2) != 0;
        Case c = factor(stage, cols, block, ordered ? uint32_t(NIB_FACTOR_ORDER) : 0u, counter.i);
        // Whole blocks, as the runs after the first have them, and others.
        if (counter.i % 4 == 2) c.n = (cols + 1) / 2;
        if (counter.i % 4 == 3 && cols > 64) c.n = cols / 64 * 64;
        list.push_back(c);
        if (stage != NIB_FACTOR_PREPARE || cols < 33) continue;
        c.as<Desc>().flags ^= NIB_FACTOR_ORDER;
        list.push_back(c);
      }
    }
  }
}

const char* stageName(uint32_t stage) {
  return stage == NIB_FACTOR_PREPARE ? "prepare" : stage == NIB_FACTOR_CHOLESKY ? "cholesky" : "invert";
}

std::string name(const Case& c, const Desc& d) {
  return std::string(" ") + stageName(d.stage) + " block " + std::to_string(blockOf(d)) +
         (d.flags & NIB_FACTOR_ORDER ? " order" : "") + (d.damp != 0 ? " damp" : "") +
         dimsName(d.cols, d.cols, 0, c.n) + dataName(c);
}

uint32_t bitsOf(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}

// A covariance: r^|i - j| times magnitudes and signs of the columns. element(i, j), i <= j.
struct Covariance {
  std::vector<float> powers, scales;

  Covariance(uint32_t cols, uint64_t seed) {
    Random random(seed);
    const float r = 0.5f + 0.4f * float(random.unit());
    float power = 1;
    for (uint32_t i = 0; i < cols; ++i) {
      powers.push_back(power);
      power = power * r < 0x1p-40f ? 0 : power * r;
      const float scale = 0.5f + float(random.unit());
      scales.push_back(random.below(2) != 0 ? scale : -scale);
    }
  }
  float element(uint64_t i, uint64_t j) const { return powers[size_t(j - i)] * scales[size_t(i)] * scales[size_t(j)]; }
};

// A column of zeros.
bool isDead(const Case& c, uint64_t col) { return c.seed % 2 == 0 && col % 29 == 3; }

void fillInput(const Case& c, const Desc& d, const NibMemory& memory, Words& range) {
  if (d.stage != NIB_FACTOR_PREPARE) return;
  const Covariance h(d.cols, c.seed);
  // The matrix has another magnitude, so that the unit is not 1. Elements above the diagonal are not read.
  const float magnitude = std::ldexp(1.0f, int(c.seed % 41) - 20);
  uint32_t* source = range.data() + memory.part[NIB_PART_SOURCE].offset_bytes / 4;
  uint32_t* diagonal = range.data() + memory.part[NIB_PART_DIAGONAL].offset_bytes / 4;
  for (uint64_t row = 0; row < d.cols; ++row) {
    for (uint64_t col = 0; col < d.cols; ++col) {
      const float x = isDead(c, row) || isDead(c, col) ? 0.0f : h.element(col, std::max(row, col)) * magnitude;
      source[row * d.cols + col] = col > row ? kNaN : bitsOf(x);
    }
    diagonal[row] = source[row * d.cols + row];
  }
  if (!(d.flags & NIB_FACTOR_ORDER)) return;
  Random random(c.seed + 1);
  uint32_t* order = range.data() + memory.part[NIB_PART_ORDER].offset_bytes / 4;
  for (uint32_t i = 0; i < d.cols; ++i) {
    const uint32_t other = random.below(i + 1);
    order[i] = order[other];
    order[other] = i;
  }
}

// Above the diagonal the stage's operand; below it and beyond the run's columns NaN.
void fillOutput(const Case& c, const Desc& d, const NibMemory& memory, Words& range) {
  if (d.stage == NIB_FACTOR_PREPARE) return;
  uint32_t* result = range.data() + memory.part[NIB_PART_RESULT].offset_bytes / 4;
  std::fill_n(result, size_t(d.cols) * d.cols, kNaN);
  const Covariance h(d.cols, c.seed);
  Random random(c.seed + 1);
  for (uint64_t row = 0; row < c.n; ++row) {
    for (uint64_t col = row; col < c.n; ++col) {
      const float uniform = float(random.unit() * 2 - 1);
      const float triangle = col == row ? 1.5f + uniform / 2 : uniform / 8;
      result[row * d.cols + col] = bitsOf(d.stage == NIB_FACTOR_CHOLESKY ? h.element(row, col) : triangle);
    }
  }
  std::memset(range.data() + memory.part[NIB_PART_FACTOR_INFO].offset_bytes / 4, 0, sizeof(NibFactorInfo));
}

void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  if (role == NIB_ROLE_INPUT) fillInput(c, d, memory, range);
  if (role == NIB_ROLE_OUTPUT) fillOutput(c, d, memory, range);
}

Lines lines(const Desc& d, const NibMemory&, NibRole, NibPart part) {
  if (part == NIB_PART_SOURCE || part == NIB_PART_RESULT) return linesOfDense(NIB_TYPE_F32, d.cols);
  return {};
}

// --------------------------------------------------------------------------------------------- bound
using Doubles = std::vector<double>;

struct Judge {
  const Desc& d;
  const Judged& judged;
  FarthestSoFar farthest{1e30};
  uint64_t first = 0, size = 0;  // the run's block
  uint64_t step = 1;             // every step-th row is judged

  uint64_t wordOf(NibPart part) const { return judged.memory.part[part].offset_bytes / 4; }
  double element(const uint32_t* range, uint64_t row, uint64_t col) const {
    return elementOf(range + wordOf(NIB_PART_RESULT), NIB_TYPE_F32, row * d.cols + col);
  }
  double before(uint64_t row, uint64_t col) const { return element(judged.before[NIB_ROLE_OUTPUT], row, col); }
  double after(uint64_t row, uint64_t col) const { return element(judged.output, row, col); }
  void add(uint64_t row, uint64_t col, double got, double exact, double bound) {
    farthest.add(wordOf(NIB_PART_RESULT) + row * d.cols + col, got, exact, bound + 0x1p-100);
  }
  template <class Visit>
  void forRows(uint64_t end, Visit&& visit) {
    for (uint64_t row = 0; row < end; row += step) visit(row);
    if (step > 1 && end > 0) visit(end - 1);
  }

  void info() {
    NibFactorInfo got;
    std::memcpy(&got, judged.output + wordOf(NIB_PART_FACTOR_INFO), sizeof got);
    const uint32_t* diagonal = judged.before[NIB_ROLE_INPUT] + wordOf(NIB_PART_DIAGONAL);
    double sum = 0;
    uint32_t live = 0;
    for (uint64_t i = 0; i < d.cols; ++i) {
      const double x = elementOf(diagonal, NIB_TYPE_F32, i);
      if (std::abs(x) < 0x1p-126) continue;
      sum += x;
      ++live;
    }
    const double mean = live != 0 ? sum / live : 1;
    const uint64_t at = wordOf(NIB_PART_FACTOR_INFO);
    farthest.add(at, got.failed, 0, 0x1p-149);
    farthest.add(at + 1, got.dead, d.cols - live, 0x1p-149);
    farthest.add(at + 4, double(got.mean), mean, (d.cols + 8.0) * 0x1p-24 * mean);
    // From here on by the mean that was found.
    const double unit = std::ldexp(1.0, std::min(std::ilogb(got.mean), 126));
    farthest.add(at + 3, double(got.unit), unit, 0x1p-149);
    farthest.add(at + 2, double(got.damp), double(d.damp) * double(got.mean) / unit, 0x1p-22 * double(got.damp));
    for (uint64_t i = 5; i < 8; ++i) farthest.add(at + i, judged.output[at + i], 0, 0x1p-149);
  }

  void prepared() {
    NibFactorInfo info;
    std::memcpy(&info, judged.output + wordOf(NIB_PART_FACTOR_INFO), sizeof info);
    const uint32_t* input = judged.before[NIB_ROLE_INPUT];
    const uint32_t* order = d.flags & NIB_FACTOR_ORDER ? input + wordOf(NIB_PART_ORDER) : nullptr;
    forRows(judged.n, [&](uint64_t row) {
      for (uint64_t col = 0; col < d.cols; ++col) {
        if (col < row) {
          farthest.add(wordOf(NIB_PART_RESULT) + row * d.cols + col, after(row, col), 0, 0x1p-149);
          continue;
        }
        const uint64_t a = order != nullptr ? order[row] : row, b = order != nullptr ? order[col] : col;
        double x = elementOf(input + wordOf(NIB_PART_SOURCE), NIB_TYPE_F32, std::max(a, b) * d.cols + std::min(a, b));
        if (col != row) {
          add(row, col, after(row, col), x / double(info.unit), 0);
          continue;
        }
        if (std::abs(x) < 0x1p-126) x = double(info.mean);
        const double y = x / double(info.unit) + double(info.damp);
        add(row, col, after(row, col), y, 0x1p-22 * (std::abs(y) + double(info.damp)));
      }
    });
  }

  // The inverse of the block of M in double, zeros below the diagonal.
  Doubles inverseOfBlock() const {
    Doubles v(size_t(size * size));
    for (uint64_t j = 0; j < size; ++j) {
      for (uint64_t i = j + 1; i-- > 0;) {
        double sum = i == j ? 1 : 0;
        for (uint64_t k = i + 1; k <= j; ++k) sum -= after(first + i, first + k) * v[size_t(k * size + j)];
        v[size_t(i * size + j)] = sum / after(first + i, first + i);
      }
    }
    return v;
  }

  // M M^T of the block is A; rows of M above it times the block's M^T are those of A; what is left of the rest.
  void factored() {
    const double terms = double(size) + 8;
    for (uint64_t i = 0; i < size; ++i) {
      for (uint64_t j = i; j < size; ++j) {
        double sum = 0, magnitudes = 0;
        for (uint64_t k = j; k < size; ++k) {
          const double product = after(first + i, first + k) * after(first + j, first + k);
          sum += product;
          magnitudes += std::abs(product);
        }
        add(first + i, first + j, sum, before(first + i, first + j), terms * 0x1p-23 * magnitudes);
      }
    }
    const Doubles v = inverseOfBlock();
    forRows(first, [&](uint64_t row) {
      Doubles through(size_t(size), 0.0);  // |A| |V^T|
      for (uint64_t k = 0; k < size; ++k) {
        for (uint64_t c = 0; c <= k; ++c) {
          through[size_t(c)] += std::abs(before(row, first + k) * v[size_t(c * size + k)]);
        }
      }
      for (uint64_t c = 0; c < size; ++c) {
        double sum = 0, magnitudes = 0;
        for (uint64_t k = c; k < size; ++k) {
          const double m = after(first + c, first + k);
          sum += after(row, first + k) * m;
          magnitudes += through[size_t(k)] * std::abs(m);
        }
        add(row, first + c, sum, before(row, first + c), terms * 0x1p-22 * magnitudes);
      }
    });
    Doubles panel(size_t(first * size));
    for (uint64_t row = 0; row < first; ++row) {
      for (uint64_t k = 0; k < size; ++k) panel[size_t(row * size + k)] = after(row, first + k);
    }
    forRows(first, [&](uint64_t row) {
      for (uint64_t col = row; col < first; ++col) {
        double exact = before(row, col), magnitudes = std::abs(exact);
        for (uint64_t k = 0; k < size; ++k) {
          const double product = panel[size_t(row * size + k)] * panel[size_t(col * size + k)];
          exact -= product;
          magnitudes += std::abs(product);
        }
        add(row, col, after(row, col), exact, terms * 0x1p-23 * magnitudes);
      }
    });
  }

  // M U = I of the block; above it U = - U M U.
  void inverted() {
    const double terms = double(size) + 8;
    for (uint64_t i = 0; i < size; ++i) {
      for (uint64_t j = i; j < size; ++j) {
        double sum = 0, magnitudes = 0;
        for (uint64_t k = i; k <= j; ++k) {
          const double product = before(first + i, first + k) * after(first + k, first + j);
          sum += product;
          magnitudes += std::abs(product);
        }
        add(first + i, first + j, sum, i == j, terms * 0x1p-23 * magnitudes);
      }
    }
    Doubles panel(size_t(first * size)), magnitudes(size_t(first * size));
    for (uint64_t row = 0; row < first; ++row) {
      for (uint64_t k = 0; k < size; ++k) {
        const double m = before(row, first + k);
        for (uint64_t j = k; j < size; ++j) {
          const double product = m * after(first + k, first + j);
          panel[size_t(row * size + j)] += product;
          magnitudes[size_t(row * size + j)] += std::abs(product);
        }
      }
    }
    forRows(first, [&](uint64_t row) {
      Doubles exact(size_t(size), 0.0), all(size_t(size), 0.0);
      for (uint64_t k = row; k < first; ++k) {
        const double u = before(row, k);
        for (uint64_t j = 0; j < size; ++j) {
          exact[size_t(j)] -= u * panel[size_t(k * size + j)];
          all[size_t(j)] += std::abs(u) * magnitudes[size_t(k * size + j)];
        }
      }
      for (uint64_t j = 0; j < size; ++j) {
        add(row, first + j, after(row, first + j), exact[size_t(j)],
            (terms + double(first - row)) * 0x1p-23 * all[size_t(j)]);
      }
    });
  }

  // Whether a run may write an element of the result.
  bool isWritten(uint64_t row, uint64_t col) const {
    if (d.stage == NIB_FACTOR_PREPARE) return row < judged.n;
    return col >= row && col < judged.n && (col >= first || d.stage == NIB_FACTOR_CHOLESKY);
  }

  void untouched() {
    const uint32_t* earlier = judged.before[NIB_ROLE_OUTPUT];
    if (earlier == nullptr) return;
    const auto same = [&](uint64_t at) {
      if (earlier[at] != judged.output[at]) farthest.add(at, HUGE_VAL, elementOf(earlier, NIB_TYPE_F32, at), 1);
    };
    for (uint64_t row = 0; row < d.cols; ++row) {
      for (uint64_t col = 0; col < d.cols; ++col) {
        if (!isWritten(row, col)) same(wordOf(NIB_PART_RESULT) + row * d.cols + col);
      }
    }
    const bool informed = d.stage == NIB_FACTOR_PREPARE && judged.n != 0;
    const uint64_t all = judged.memory.range[NIB_ROLE_OUTPUT].size_bytes / 4;
    const uint64_t end = informed ? wordOf(NIB_PART_FACTOR_INFO) : all;
    for (uint64_t at = uint64_t(d.cols) * d.cols; at < end; ++at) same(at);
  }
};

Farthest farthest(const Desc& d, const Judged& judged) {
  Judge judge{d, judged};
  judge.untouched();
  if (judged.n == 0) return judge.farthest.result();
  judge.first = (judged.n - 1) / blockOf(d) * blockOf(d);
  judge.size = judged.n - judge.first;
  const double rows = d.stage == NIB_FACTOR_PREPARE ? judged.n : double(judge.first);
  const double products = d.stage == NIB_FACTOR_PREPARE ? rows * d.cols : rows * rows / 2 * double(judge.size);
  judge.step = 1 + uint64_t(products / double(std::max<uint64_t>(judged.most_products, 1)));
  if (d.stage == NIB_FACTOR_PREPARE) {
    judge.info();
    judge.prepared();
  } else if (d.stage == NIB_FACTOR_CHOLESKY) {
    judge.factored();
  } else {
    judge.inverted();
  }
  return judge.farthest.result();
}

// --------------------------------------------------------------------------------------------- other sizes
void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  if (format != nullptr) return;
  const auto add = [&](uint32_t cols, uint32_t block) {
    for (uint32_t stage = 0; stage < kStages; ++stage) {
      const bool ordered = stage == NIB_FACTOR_PREPARE && cols % 2 == 0;
      list.push_back(factor(stage, cols, block, ordered ? uint32_t(NIB_FACTOR_ORDER) : 0u, 900 + cols));
    }
  };
  switch (purpose) {
    case Large::kTails: add(451, 0); break;
    case Large::kSlices: add(1030, 0); break;
    case Large::kWindows:
      if (options.extent == Extent::kFull) add(6010, 0);  // 138 MiB
      break;
    case Large::kNarrowWindows:
      add(704, 0);
      add(211, 32);
      break;
    case Large::kPlans:
      for (const uint32_t cols : {896u, 4096u, 11008u, 14336u, 18944u, 1023u}) {
        add(cols, 0);
        add(cols, 32);
      }
  }
}

void verify(const NibFormatInfo* format, std::vector<NamedCase>& list) {
  if (format != nullptr) return;
  for (uint32_t stage = 0; stage < kStages; ++stage) {
    list.push_back({std::string("factor ") + stageName(stage), factor(stage, 290, 0, 0, 1)});
  }
  list.push_back({"factor prepare order", factor(NIB_FACTOR_PREPARE, 290, 0, NIB_FACTOR_ORDER, 1)});
}

void listBench(const BenchRequest& request, BenchList& rows) {
  if (request.part != BenchPart::kQuick || request.given) return;
  for (uint32_t stage = 0; stage < kStages; ++stage) {
    rows.add(kQuickDense, request.shape, factor(stage, 4096, 0, 0, 0), 4096);
  }
}

void nameBench(const Case&, const Desc& d, RowNames& names) {
  names.type = names.source = typeName(NIB_TYPE_F32);
  names.granularity = granularityName(NIB_GRANULARITY_TENSOR);
  names.modes.push_back(stageName(d.stage));
  names.m = d.cols;
  names.k = d.cols;
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_FACTOR,
    .list = list,
    .name = name,
    .kind = [](const Desc& d) { return uint64_t(d.stage | d.flags << 2 | blockOf(d) << 3); },
    .fill = fill,
    .lines = lines,
    .bounded = [](const Case&, const Desc&) { return true; },
    .farthest = farthest,
    .large = addLarge,
    .verify = verify,
    .bench = {.list = listBench, .names = nameBench},
};

}  // namespace

NIB_DEFINE_CASES(factor, NibFactorDesc, kCases)

}  // namespace nib::selftest
