// Whole matrices by GPTQ: all stages, block after block, on the device and on the CPU device, whose columns beyond a
// block are updated by code of its own, give the bytes of the reference.
#include <nibble/formats.h>

#include <algorithm>

#include "gpu/gpu_test.h"
#include "selftest/op_cases.h"

using namespace nib;
using namespace nib::tests;

namespace {

using selftest::Case;
using Words = std::vector<uint32_t>;

bool has(const NibGptqDesc& d, uint32_t flag) { return (d.flags & flag) != 0; }

struct Matrix {
  NibGptqDesc desc;
  selftest::Images images;  // before the first run
};

Matrix makeMatrix(uint32_t rows, uint32_t cols, const NibWeights& weights, uint32_t flags, uint32_t block,
                  uint64_t seed) {
  Matrix m;
  m.desc = selftest::describe<NibGptqDesc>(NIB_OP_GPTQ);
  m.desc.rows = rows;
  m.desc.cols = cols;
  m.desc.flags = flags;
  m.desc.block = block;
  m.desc.weights = weights;
  Case c;
  c.recipe = selftest::Recipe::kNormal;
  c.seed = seed;
  c.n = rows;
  c.set(m.desc);  // LOAD
  NibMemory memory{sizeof(NibMemory)};
  REQUIRE(nibGetMemory(c.desc(), nullptr, &memory) == NIB_SUCCESS);
  m.images = selftest::makeImages(c, memory);
  c.as<NibGptqDesc>().stage = NIB_GPTQ_COLUMNS;
  const Words input = selftest::makeRange(c, memory, NIB_ROLE_INPUT);
  const NibMemoryPart& factor = memory.part[NIB_PART_FACTOR];
  std::copy_n(input.begin() + std::ptrdiff_t(factor.offset_bytes / 4), size_t(factor.size_bytes / 4),
              m.images.role[NIB_ROLE_INPUT].begin() + std::ptrdiff_t(factor.offset_bytes / 4));
  return m;
}

// Called for every run, stage by stage: LOAD, blocks of COLUMNS, the last of them short, and STORE.
template <class Run>
void forEachRun(const NibGptqDesc& desc, uint32_t block, Run&& run) {
  NibGptqDesc d = desc;
  d.stage = NIB_GPTQ_LOAD;
  run(d, 0u, d.rows);
  d.stage = NIB_GPTQ_COLUMNS;
  for (uint32_t first = 0; first < d.cols; first += block) run(d, first, std::min(block, d.cols - first));
  d.stage = NIB_GPTQ_STORE;
  if (!has(d, NIB_GPTQ_MEASURE)) run(d, 0u, d.rows);
}

uint32_t usualBlock(const NibGptqDesc& d) {
  if (d.block != 0) return d.block;
  const uint32_t group = d.weights.granularity == NIB_GRANULARITY_GROUP ? d.weights.group_size : 0;
  return group == 0 ? 128 : group > 128 ? group / 2 : 128 / group * group;
}

selftest::Images byReference(const Matrix& m) {
  selftest::Images images = m.images;
  forEachRun(m.desc, usualBlock(m.desc), [&](const NibGptqDesc& d, uint32_t first, uint32_t n) {
    NibMemory memory{sizeof(NibMemory)};
    const NibOpDesc* desc = reinterpret_cast<const NibOpDesc*>(&d);
    REQUIRE(nibGetMemory(desc, nullptr, &memory) == NIB_SUCCESS);
    NibCpuBinding binding{sizeof(NibCpuBinding)};
    for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role)
      binding.range[role] = {images.role[role].data(), memory.range[role].size_bytes};
    const NibRun run{sizeof(NibRun), n, first, 0, UINT32_MAX, {}};
    REQUIRE(nibCpuRun(desc, &binding, &run, nullptr, nullptr) == NIB_SUCCESS);
  });
  return images;
}

selftest::Images onDevice(const kit::Device& on, const Matrix& m) {
  kit::Buffer buffers[NIB_ROLE_COUNT];
  kit::Range ranges[NIB_ROLE_COUNT];
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    if (m.images.role[role].empty()) continue;
    buffers[role] = kit::Buffer(on, m.images.role[role].size() * 4);
    on.upload(buffers[role], m.images.role[role]);
    ranges[role] = kit::Range(buffers[role]);
  }
  const kit::Ranges all{ranges[0], ranges[1], ranges[2], ranges[3]};
  forEachRun(m.desc, usualBlock(m.desc), [&](const NibGptqDesc& d, uint32_t first, uint32_t n) {
    const kit::Plan plan(on, reinterpret_cast<const NibOpDesc*>(&d), sizeof d);
    const kit::Binding binding(plan, all);
    kit::RunOptions options;
    options.n = n;
    options.first_row = first;
    on.run(binding, options);
  });
  selftest::Images images;
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    if (!m.images.role[role].empty())
      images.role[role] = on.download<uint32_t>(buffers[role], m.images.role[role].size());
  }
  return images;
}

void checkMatrix(const kit::Device& on, const Matrix& m, const std::string& what) {
  const selftest::Images expected = byReference(m);
  selftest::Images got = onDevice(on, m);
  // Scratch may hold anything.
  got.role[NIB_ROLE_AUX].resize(4);
  for (const uint32_t role : {uint32_t(NIB_ROLE_WEIGHTS), uint32_t(NIB_ROLE_OUTPUT), uint32_t(NIB_ROLE_AUX)}) {
    const Words& a = got.role[role];
    const auto differs = std::mismatch(a.begin(), a.end(), expected.role[role].begin());
    CHECK_MESSAGE(differs.first == a.end(), on.info().name << ": " << what << ", role " << role << ": word "
                                                           << differs.first - a.begin() << " differs");
  }
}

const kit::Device& cpu() {
  static const kit::Device device = kit::Device::cpu();
  return device;
}

struct Way {
  uint32_t rows, cols;
  NibGranularity granularity;
  uint32_t group, weights_flags, flags, block;
};
constexpr uint32_t kKept = NIB_GPTQ_ORDER | NIB_GPTQ_KEEP_ORDER;
constexpr Way kWays[] = {
    {70, 300, NIB_GRANULARITY_GROUP, 32, 0, 0, 0},
    {33, 200, NIB_GRANULARITY_GROUP, 64, NIB_WEIGHTS_ALIGNED, kKept, 64},
    {37, 601, NIB_GRANULARITY_GROUP, 256, 0, 0, 0},
    {5, 290, NIB_GRANULARITY_ROW, 0, 0, NIB_GPTQ_ORDER, 40},
    {67, 260, NIB_GRANULARITY_GROUP, 32, 0, NIB_GPTQ_PARITY, 0},
    {67, 260, NIB_GRANULARITY_GROUP, 64, 0, NIB_GPTQ_ORDER | NIB_GPTQ_GIVEN_SCALES, 32},
    {130, 519, NIB_GRANULARITY_GROUP, 96, 0, kKept | NIB_GPTQ_DEAD, 8},
};

}  // namespace

TEST_SUITE_BEGIN("gptq");

TEST_CASE_FIXTURE(Gpu, "a matrix block after block has the bytes of the reference") {
  uint64_t seed = 1;
  for (const OpFormat& what : opFormats()) {
    if (what.op != NIB_OP_GPTQ || !typeWanted(what.format)) continue;
    const NibFormatInfo* info = nibFormatById(what.format);
    for (const Way& way : kWays) {
      NibWeights weights{};
      uint32_t flags = way.flags;
      if (info == nullptr) {
        flags = (flags & ~uint32_t(NIB_GPTQ_PARITY | NIB_GPTQ_GIVEN_SCALES | NIB_GPTQ_KEEP_ORDER)) | NIB_GPTQ_MEASURE;
      } else {
        if (!(info->granularities >> way.granularity & 1u) || way.group > info->group_max ||
            way.group % info->group_multiple != 0)
          continue;
        uint32_t weights_flags = way.weights_flags;
        if (seed % 2 != 0) weights_flags |= info->weights_flags & NIB_WEIGHTS_ASYMMETRIC;
        const uint32_t type = info->scale_types >> NIB_TYPE_F16 & 1u ? NIB_TYPE_F16 : NIB_TYPE_E8M0;
        weights = selftest::weightsOf(what.format, way.granularity, way.group, weights_flags, type);
      }
      const Matrix m = makeMatrix(way.rows, way.cols, weights, flags, way.block, ++seed);
      const std::string name = what.name + ", way " + std::to_string(&way - kWays);
      checkMatrix(device(), m, name);
      checkMatrix(cpu(), m, name);
    }
  }
}

TEST_CASE_FIXTURE(Gpu, "blocks of a factor in several windows") {
  const uint32_t format = nibFormatById(NIB_FORMAT_INT4) != nullptr ? uint32_t(NIB_FORMAT_INT4) : 0u;
  if (format == 0) return;
  NibRestrict restriction{sizeof(NibRestrict)};
  restriction.features_mask = NIB_FEATURE_ALL;
  restriction.max_storage_range_bytes = 131072;
  restriction.min_offset_alignment_bytes = 256;
  restriction.max_workgroup_count = 7;
  const kit::Device narrow = device().restricted(restriction);
  const NibWeights weights =
      selftest::weightsOf(format, NIB_GRANULARITY_GROUP, 32, NIB_WEIGHTS_ASYMMETRIC, NIB_TYPE_F16);
  for (const uint32_t cols : {256u, 331u}) {
    checkMatrix(narrow, makeMatrix(150, cols, weights, kKept | NIB_GPTQ_DEAD, 32, cols), std::to_string(cols));
  }
}

TEST_SUITE_END();
