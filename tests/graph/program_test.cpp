// Programs against networks computed in double precision, on the device that the environment variable NIBBLE_DEVICE
// names.
#include <nibble/graph.h>

#include "graph_device.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace nib::graph {
namespace {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

Floats randomFloats(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Floats values(count);
  for (float& x : values) x = normal(random);
  return values;
}

constexpr uint32_t kTokens = 19, kHidden = 48, kInner = 80;

// Two blocks of x += down(silu(up(norm(x)))).
struct Network {
  Floats gain[2], up[2], down[2];
  Network() {
    for (uint32_t i = 0; i < 2; ++i) {
      gain[i] = randomFloats(kHidden, 10 + i);
      up[i] = randomFloats(size_t(kHidden) * kInner, 20 + i);
      down[i] = randomFloats(size_t(kHidden) * kInner, 30 + i);
      for (float& w : up[i]) w /= 8;
      for (float& w : down[i]) w /= 8;
    }
  }
};

Doubles product(const Floats& weights, const Doubles& x, uint32_t rows, uint32_t cols) {
  Doubles y(x.size() / cols * rows);
  for (size_t t = 0; t < x.size() / cols; ++t) {
    for (uint32_t r = 0; r < rows; ++r) {
      for (uint32_t c = 0; c < cols; ++c) y[t * rows + r] += double(weights[r * cols + c]) * x[t * cols + c];
    }
  }
  return y;
}

Doubles exactResult(const Network& net, const Floats& input, Doubles* inner = nullptr) {
  Doubles x(input.begin(), input.end());
  for (uint32_t i = 0; i < 2; ++i) {
    Doubles h = x;
    for (size_t t = 0; t < x.size() / kHidden; ++t) {
      double squares = 0;
      for (uint32_t c = 0; c < kHidden; ++c) squares += x[t * kHidden + c] * x[t * kHidden + c];
      const double d = std::sqrt(squares / kHidden + 1e-5);
      for (uint32_t c = 0; c < kHidden; ++c) h[t * kHidden + c] = x[t * kHidden + c] / d * net.gain[i][c];
    }
    Doubles u = product(net.up[i], h, kInner, kHidden);
    for (double& value : u) value = value / (1 + std::exp(-value));
    if (inner != nullptr && i == 0) *inner = u;
    const Doubles y = product(net.down[i], u, kHidden, kInner);
    for (size_t k = 0; k < x.size(); ++k) x[k] += y[k];
  }
  return x;
}

Graph buildGraph(uint32_t tokens) {
  Graph graph(tokens);
  ValueId x = graph.input("x", dense(NIB_TYPE_F32, kHidden));
  for (uint32_t i = 0; i < 2; ++i) {
    const std::string block = "block" + std::to_string(i);
    const ValueId h = norm(graph, x, block + ".norm", {.epsilon = 1e-5f});
    const ValueId u = linear(graph, h, block + ".up", {.rows = kInner, .activation = NIB_ACTIVATION_SILU});
    x = linear(graph, u, block + ".down", {.rows = kHidden, .add_to = x});
  }
  graph.keep(x);
  return graph;
}

struct Weights {
  std::vector<std::string> names;
  std::vector<kit::Buffer> buffers;
  std::vector<Memory> memory;
  Weights(const kit::Device& device, const Network& net) {
    for (uint32_t i = 0; i < 2; ++i) {
      const std::string block = "block" + std::to_string(i);
      const std::pair<const char*, const Floats*> tensors[] = {
          {".norm", &net.gain[i]}, {".up", &net.up[i]}, {".down", &net.down[i]}};
      for (const auto& [name, data] : tensors) {
        names.push_back(block + name);
        buffers.emplace_back(device, data->size() * 4);
        device.upload(buffers.back(), *data);
      }
    }
    for (size_t k = 0; k < names.size(); ++k) memory.push_back({names[k], buffers[k]});
  }
};

void checkNear(const Floats& got, const Doubles& exact) {
  REQUIRE(got.size() == exact.size());
  double largest = 0;
  for (const double x : exact) largest = std::max(largest, std::abs(x));
  for (size_t k = 0; k < got.size(); ++k) {
    CAPTURE(k);
    REQUIRE(std::abs(got[k] - exact[k]) <= 1e-5 * largest);
  }
}

Floats download(const kit::Device& device, const kit::Range& range, size_t count) {
  return device.download<float>(*range.buffer, count, range.offset_bytes);
}

TEST_CASE("a program computes what the network's formula says, for any number of tokens") {
  const kit::Device device = testDevice();
  const Network net;
  const Weights weights(device, net);
  const Program program(device, buildGraph(kTokens), weights.memory);
  for (const uint32_t tokens : {kTokens, 1u, 7u, kTokens}) {
    CAPTURE(tokens);
    const Floats input = randomFloats(size_t(tokens) * kHidden, tokens);
    program.setInput("x", input);
    const StepStats stats = program.run(tokens);
    CHECK(stats.submissions >= 1);
    checkNear(download(device, program.range("block1.down.sum"), input.size()), exactResult(net, input));
  }
}

// For orthogonal H, W x = (W H^T) (H x), and row w of W H^T is H w. Blocks of 24, and a row of 48 = 12 * 4.
TEST_CASE("a Hadamard transform before weights that were transformed changes no result") {
  const kit::Device device = testDevice();
  const Network net;
  Floats signs = randomFloats(kHidden, 99);
  for (const uint32_t size : {0u, 24u}) {
    for (const bool with_signs : {false, true}) {
      CAPTURE(size);
      CAPTURE(with_signs);
      Graph graph(kTokens);
      ValueId x = graph.input("x", dense(NIB_TYPE_F32, kHidden));
      x = hadamard(graph, x, "rotate", {.size = size, .signs = with_signs ? "signs" : ""});
      graph.keep(linear(graph, x, "up", {.rows = kInner}));
      Floats rotated;
      const uint32_t block = size != 0 ? size : kHidden;
      for (size_t from = 0; from < net.up[0].size(); from += block) {
        Doubles w(net.up[0].begin() + std::ptrdiff_t(from), net.up[0].begin() + std::ptrdiff_t(from + block));
        REQUIRE(nibHadamardTransform(w.data(), block, with_signs ? &signs[from % kHidden] : nullptr) == NIB_SUCCESS);
        for (const double value : w) rotated.push_back(float(value));
      }
      const kit::Buffer weights(device, rotated.size() * 4), sign_buffer(device, signs.size() * 4);
      device.upload(weights, rotated);
      device.upload(sign_buffer, signs);
      std::vector<Memory> memory{{"up", weights}};
      if (with_signs) memory.push_back({"signs", sign_buffer});
      const Program program(device, graph, memory);
      const Floats input = randomFloats(size_t(kTokens) * kHidden, 5);
      program.setInput("x", input);
      program.run(kTokens);
      checkNear(download(device, program.range("up.output"), size_t(kTokens) * kInner),
                product(net.up[0], Doubles(input.begin(), input.end()), kInner, kHidden));
    }
  }
}

TEST_CASE("the residual lies in place, and dead values give up their memory") {
  const kit::Device device = testDevice();
  const Network net;
  const Weights weights(device, net);
  const Program program(device, buildGraph(kTokens), weights.memory);
  CHECK(program.range("x").offset_bytes == program.range("block1.down.sum").offset_bytes);
  CHECK(program.range("block0.up.output").offset_bytes == program.range("block1.up.output").offset_bytes);
  CHECK(program.nodeCount() == 6);
  CHECK(program.barrierCount() == 5);  // a chain
}

TEST_CASE("a tap sees the value that a node has just written") {
  const kit::Device device = testDevice();
  const Network net;
  const Weights weights(device, net);
  Program program(device, buildGraph(kTokens), weights.memory);
  const NibConvertDesc desc{.op = NIB_OP_CONVERT,
                            .desc_bytes = sizeof(NibConvertDesc),
                            .rows = kTokens,
                            .cols = kInner,
                            .source_type = NIB_TYPE_F32,
                            .result_type = NIB_TYPE_F32};
  const kit::Plan plan(device, desc);
  const kit::Buffer copy(device, plan.sizeBytes(NIB_ROLE_OUTPUT));
  const kit::Buffer status(device, std::max<uint64_t>(plan.sizeBytes(NIB_ROLE_AUX), 16));
  const kit::Binding binding(plan, {.input = program.range("block0.up.output"), .output = copy, .aux = status});
  uint32_t calls = 0;
  program.tap("block0.up.output", [&](Recorder& recorder, uint32_t tokens) {
    ++calls;
    recorder.run(binding, {.n = tokens});
  });
  const Floats input = randomFloats(size_t(kTokens) * kHidden, 3);
  program.setInput("x", input);
  program.run(kTokens);
  CHECK(calls == 1);
  Doubles inner;
  exactResult(net, input, &inner);
  checkNear(device.download<float>(copy, inner.size()), inner);
  checkNear(download(device, program.range("block1.down.sum"), input.size()), exactResult(net, input));
  program.tap("block0.up.output", {});
  program.setInput("x", input);
  program.run(kTokens);
  CHECK(calls == 1);
  CHECK_THROWS_WITH_AS(program.tap("nothing", {}), "graph: no node writes a value named nothing", kit::Error);
}

TEST_CASE("each value that a node writes has a tap of its own") {
  const kit::Device device = testDevice();
  Graph graph(kTokens);
  const Selected chosen = select(graph, graph.input("x", dense(NIB_TYPE_F32, 8)), "choice", 2);
  graph.keep(chosen.logits);
  Program program(device, graph, {});
  program.setInput("x", randomFloats(size_t(kTokens) * 8, 3));
  uint32_t logits = 0, sums = 0;
  program.tap("choice.logits", [&](Recorder&, uint32_t) { ++logits; });
  program.tap("choice.log_sum", [&](Recorder&, uint32_t) { ++sums; });
  program.run(kTokens);
  program.tap("choice.log_sum", {});
  program.run(kTokens);
  CHECK(logits == 2);
  CHECK(sums == 1);
}

TEST_CASE("experts that tokens choose are added up with weights from the router's logits") {
  const kit::Device device = testDevice();
  constexpr uint32_t kExperts = 5, kChosen = 2, kCols = 16, kRows = 12;
  Graph graph(kTokens);
  const ValueId x = graph.input("x", dense(NIB_TYPE_F32, kCols));
  const Selected chosen = select(graph, graph.input("router", dense(NIB_TYPE_F32, kExperts)), "choice", kChosen);
  const NibWeights f32{.format = NIB_FORMAT_DENSE, .scale_type = NIB_TYPE_F32};
  const ValueId inner = experts(graph, x, chosen.ids, "up", {.rows = kRows, .experts = kExperts, .weights = f32});
  const ValueId outer = experts(graph, inner, chosen.ids, "down", {.rows = kCols, .experts = kExperts, .weights = f32});
  const ValueId sum = scale(graph, graph.input("hidden", dense(NIB_TYPE_F32, kCols)), "copied", 1);
  const ValueId mixed = mix(graph, outer, chosen.logits, chosen.log_sum, "mix", NIB_MIX_SOFTMAX_ALL, sum);
  graph.keep(mixed);
  const Floats up = randomFloats(size_t(kExperts) * kRows * kCols, 1), down = randomFloats(up.size(), 2);
  const kit::Buffer up_memory(device, up.size() * 4), down_memory(device, down.size() * 4);
  device.upload(up_memory, up);
  device.upload(down_memory, down);
  const std::vector<Memory> memory{{"up", up_memory}, {"down", down_memory}};
  const Program program(device, graph, memory);
  const Floats inputs = randomFloats(size_t(kTokens) * kCols, 3), hidden = randomFloats(inputs.size(), 4),
               router = randomFloats(size_t(kTokens) * kExperts, 5);
  Doubles expected(hidden.begin(), hidden.end());
  for (uint32_t t = 0; t < kTokens; ++t) {
    const float* logits = &router[t * kExperts];
    double all = 0;
    for (uint32_t e = 0; e < kExperts; ++e) all += std::exp(double(logits[e]));
    for (uint32_t e = 0; e < kExperts; ++e) {
      uint32_t larger = 0;
      for (uint32_t other = 0; other < kExperts; ++other) larger += logits[other] > logits[e] ? 1 : 0;
      if (larger >= kChosen) continue;
      const Floats own_up(up.begin() + e * kRows * kCols, up.begin() + (e + 1) * kRows * kCols),
          own_down(down.begin() + e * kRows * kCols, down.begin() + (e + 1) * kRows * kCols);
      const Doubles token(inputs.begin() + t * kCols, inputs.begin() + (t + 1) * kCols);
      const Doubles y = product(own_down, product(own_up, token, kRows, kCols), kCols, kRows);
      for (uint32_t c = 0; c < kCols; ++c) expected[t * kCols + c] += std::exp(double(logits[e])) / all * y[c];
    }
  }
  for (const uint32_t tokens : {kTokens, 1u}) {
    program.setInput("x", inputs);
    program.setInput("router", router);
    program.setInput("hidden", hidden);
    program.run(tokens);
    const size_t count = size_t(tokens) * kCols;
    checkNear(download(device, program.range("mix.sum"), count), {expected.begin(), expected.begin() + long(count)});
  }
}

TEST_CASE("parts of a value are read where they lie, by layers that take them") {
  const kit::Device device = testDevice();
  constexpr uint32_t kPart = 16;
  Graph graph(kTokens);
  // Rows of three parts; the second also as rows of two halves.
  const ValueId rows = scale(graph, graph.input("x", dense(NIB_TYPE_F32, 3 * kPart)), "twice", 2);
  const ValueId middle = graph.part("middle", rows, kPart, kPart);
  const ValueId own = copy(graph, middle, "own");
  const ValueId rest = graph.part("rest", rows, kPart, 2 * kPart);
  const ValueId product = gatedHalves(graph, copy(graph, rest, "both"), "product", NIB_ACTIVATION_RELU);
  // The same elements as rows of their own, four for each token.
  const ValueId fours = graph.part("fours", graph.view("by12", rows, dense(NIB_TYPE_F32, 12, 4)), 4, 4);
  const ValueId taken = copy(graph, fours, "taken");
  for (const ValueId value : {own, product, taken}) graph.keep(value);
  const Program program(device, graph, {});
  const Floats x = randomFloats(size_t(kTokens) * 3 * kPart, 5);
  program.setInput("x", x);
  program.run(kTokens);
  const auto at = [&](uint32_t token, uint32_t col) { return 2 * x[token * 3 * kPart + col]; };
  const Floats copied = download(device, program.range("own.output"), size_t(kTokens) * kPart);
  const Floats gated = download(device, program.range("product.output"), size_t(kTokens) * kPart);
  const Floats four = download(device, program.range("taken.output"), size_t(kTokens) * 16);
  for (uint32_t t = 0; t < kTokens; ++t) {
    for (uint32_t c = 0; c < kPart; ++c) {
      REQUIRE(copied[t * kPart + c] == at(t, kPart + c));
      REQUIRE(gated[t * kPart + c] == std::max(0.0f, at(t, kPart + c)) * at(t, 2 * kPart + c));
      REQUIRE(four[t * 16 + c] == at(t, c / 4 * 12 + 4 + c % 4));
    }
  }
}

TEST_CASE("mistakes are named") {
  const kit::Device device = testDevice();
  const Network net;
  const Weights weights(device, net);
  Graph twice(4);
  twice.input("x", dense(NIB_TYPE_F32, 8));
  CHECK_THROWS_WITH_AS(twice.input("x", dense(NIB_TYPE_F32, 8)), "graph: there are two values named x", kit::Error);

  std::vector<Memory> short_list(weights.memory.begin(), weights.memory.end() - 1);
  CHECK_THROWS_WITH_AS(Program(device, buildGraph(4), short_list), "graph: no memory is given for block1.down",
                       kit::Error);
  std::vector<Memory> small = weights.memory;
  small[2].range = small[0].range;
  CHECK_THROWS_WITH_AS(Program(device, buildGraph(4), small),
                       "graph: the memory of block0.down has 192 bytes, its nodes need 15360", kit::Error);

  Graph early(4);
  const ValueId later = early.arena("later", dense(NIB_TYPE_F32, 8));
  CHECK_THROWS_WITH_AS(norm(early, later, "n", {}), "graph: node n reads later before a node writes it", kit::Error);

  Graph parts(4);
  const ValueId wide = parts.input("wide", dense(NIB_TYPE_F32, 8));
  CHECK_THROWS_WITH_AS(parts.part("p", wide, 4, 5), "graph: p is no part of wide", kit::Error);
  CHECK_THROWS_WITH_AS(parts.part("p", wide, 4, 0), "graph: p is no part of wide", kit::Error);
  CHECK_THROWS_WITH_AS(parts.part("p", parts.memory("m", 64), 0, 1), "graph: p is no part of m", kit::Error);

  // x is read after the node that overwrites it.
  Graph over(4);
  const ValueId x = over.input("x", dense(NIB_TYPE_F32, kHidden));
  const ValueId u = linear(over, x, "block0.up", {.rows = kInner});
  linear(over, u, "block0.down", {.rows = kHidden, .add_to = x});
  norm(over, x, "block0.norm", {});
  CHECK_THROWS_WITH_AS(Program(device, over, weights.memory),
                       "graph: node block0.down overwrites x, which is read later", kit::Error);

  const Program program(device, buildGraph(4), weights.memory);
  CHECK_THROWS_WITH_AS(program.run(5), "graph: a step has 1 to 4 tokens, not 5", kit::Error);
  CHECK_THROWS_WITH_AS(program.run(0), "graph: a step has 1 to 4 tokens, not 0", kit::Error);
  CHECK_THROWS_WITH_AS(program.setInput("x", Floats(1000)), "graph: input x takes at most 768 bytes, not 4000",
                       kit::Error);
  CHECK_THROWS_WITH_AS(program.range("y"), "graph: there is no value named y", kit::Error);
}

}  // namespace
}  // namespace nib::graph
