// Reference of NIB_OP_MATMUL: accumulates in double, in the order of the columns.
#include "reference/matmul.h"

#include <cmath>
#include <cstring>

#include "reference/activation.h"
#include "reference/decode_row.h"

namespace nib {
namespace {

// y rounded to fp32, as bits. A conversion would flush small numbers where the thread has FTZ set.
uint32_t roundedBits(double y) {
  const double magnitude = std::fabs(y);
  if (!(magnitude < 0x1p-126)) return exact::bitsOf(float(y));
  return (std::signbit(y) ? exact::kSignBit : 0u) | uint32_t(std::nearbyint(magnitude * 0x1p149));
}

}  // namespace

void matmulReference(const NibMatmulDesc& desc, const MatmulOperands& m, const HostRun& run) {
  // kChunk weights of a row are decoded once for kTokens tokens.
  constexpr uint32_t kChunk = 256, kTokens = 64;
  const NibMemory& memory = run.memory;
  const NibCpuBinding& binding = run.binding;
  const uint32_t n = run.n;
  const bool dense = m.g.format == nullptr;
  const reference::Decoded weights(desc.weights, m.g, memory, binding);
  const void* dense_weights = partOf<void>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_CODES);
  const void* input = binding.range[NIB_ROLE_INPUT].data;
  uint32_t first_input = 0;  // the run's first token in `input`
  if (m.coded && n != 0) {
    uint8_t* decoded = static_cast<uint8_t*>(binding.range[NIB_ROLE_AUX].data) + m.decoded_offset;
    NibCpuBinding decode{sizeof(NibCpuBinding)};
    decode.range[NIB_ROLE_WEIGHTS] = binding.range[NIB_ROLE_INPUT];
    NibMemory decode_memory = m.decode_memory;
    decode_memory.part[NIB_PART_CODES].offset_bytes = memory.part[NIB_PART_INPUT_CODES].offset_bytes;
    decode_memory.part[NIB_PART_SCALES].offset_bytes = memory.part[NIB_PART_INPUT_SCALES].offset_bytes;
    decode.range[NIB_ROLE_OUTPUT] = {decoded, m.decode_memory.range[NIB_ROLE_OUTPUT].size_bytes};
    // With a batch, the tokens of a run are not contiguous, so all tokens are decoded.
    const bool all = m.batch > 1;
    dequantizeReference(m.decode,
                        {decode_memory, decode, all ? m.decode.rows : n, all ? 0 : run.first_row, run.parallel});
    input = decoded;
    first_input = run.first_row;
  }
  // Column k of the weights is multiplied by activation order[k]. NULL: by activation k.
  const uint32_t* order = partOf<uint32_t>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_ORDER);
  void* output = binding.range[NIB_ROLE_OUTPUT].data;
  const uint32_t* bias = partOf<uint32_t>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_BIAS);
  const uint32_t per_word = 4 / typeBytes(desc.weights.scale_type);

  const auto weightAt = [&](uint32_t row, uint32_t col) {
    if (dense) return loadDense(dense_weights, desc.weights.scale_type, uint64_t(row) * m.row_words * per_word + col);
    return m.flat ? weights.at(0, row * desc.cols + col) : weights.at(row, col);
  };
  // Output channel `row` of matrix b, for tokens [first, end).
  const auto channel = [&](uint32_t b, uint32_t row, uint32_t first, uint32_t end) {
    double sum[kTokens] = {};
    float chunk[kChunk];
    for (uint32_t col = 0; col < desc.cols; col += kChunk) {
      const uint32_t count = desc.cols - col < kChunk ? desc.cols - col : kChunk;
      for (uint32_t i = 0; i < count; ++i) chunk[i] = exact::floatOf(weightAt(b * desc.rows + row, col + i));
      for (uint32_t t = first; t < end; ++t) {
        const uint64_t start = (uint64_t(b) * desc.tokens + first_input + t) * m.input_stride;
        for (uint32_t i = 0; i < count; ++i) {
          const uint32_t from = order != nullptr ? order[col + i] : col + i;
          if (from >= desc.cols) continue;
          const float x = exact::floatOf(loadDense(input, desc.input_type, start + from));
          sum[t - first] += double(chunk[i]) * double(x);
        }
      }
    }
    for (uint32_t t = first; t < end; ++t) {
      double y = sum[t - first];
      if (bias != nullptr) y += double(exact::floatOf(bias[uint64_t(b) * desc.rows + row]));
      y = reference::activate(desc.activation, y);
      const uint64_t at = (uint64_t(b) * desc.tokens + run.first_row + t) * m.result_stride + row;
      if (desc.flags & NIB_PRODUCT_RESIDUAL) y += double(exact::floatOf(loadDense(output, desc.result_type, at)));
      storeDense(output, desc.result_type, at, roundedBits(y));
      // The unused half of the last word is 0.
      if (desc.result_type != NIB_TYPE_F32 && row + 1 == desc.rows && desc.rows % 2 != 0) {
        storeDense(output, desc.result_type, at + 1, 0);
      }
    }
  };
  if (m.choices != 0) {
    const void* source = partOf<void>(memory, binding, NIB_ROLE_INPUT, NIB_PART_SOURCE);
    const uint32_t* chosen = partOf<uint32_t>(memory, binding, NIB_ROLE_INPUT, NIB_PART_INDICES);
    const bool each = (desc.flags & NIB_PRODUCT_EACH_INPUT) != 0;
    auto result = [&](uint32_t i) {
      const uint32_t b = chosen[i] < m.batch ? chosen[i] : m.batch - 1;
      const uint64_t start = uint64_t(each ? i : i / m.choices) * m.input_stride;
      for (uint32_t row = 0; row < desc.rows; ++row) {
        double y = 0;
        for (uint32_t col = 0; col < desc.cols; ++col) {
          y += double(exact::floatOf(weightAt(b * desc.rows + row, col))) *
               double(exact::floatOf(loadDense(source, desc.input_type, start + col)));
        }
        if (bias != nullptr) y += double(exact::floatOf(bias[uint64_t(b) * desc.rows + row]));
        const uint64_t to = uint64_t(run.first_row) * m.choices + i;
        storeDense(output, desc.result_type, to * m.result_stride + row,
                   roundedBits(reference::activate(desc.activation, y)));
      }
    };
    reference::forEach(run.parallel, n * m.choices, result);
    return;
  }
  // Two rows per task: with 16-bit results they may share a word.
  const uint32_t pairs = uint32_t(ceilDiv(desc.rows, 2));
  auto body = [&](uint32_t i) {
    const uint32_t b = i / pairs;
    const uint32_t row = i % pairs * 2;
    for (uint32_t first = 0; first < n; first += kTokens) {
      const uint32_t end = n - first < kTokens ? n : first + kTokens;
      channel(b, row, first, end);
      if (row + 1 < desc.rows) channel(b, row + 1, first, end);
    }
  };
  reference::forEach(run.parallel, pairs * m.batch, body);
}

}  // namespace nib
