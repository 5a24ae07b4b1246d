#include "model/eval/layer_outputs.h"

#include "model/archive/error.h"

#include <algorithm>

namespace nib::model {
namespace {

// A node of a product.
struct Product {
  std::string name, value;
  uint32_t node = 0;
  uint32_t cols = 0;
  bool added = false;  // to the value that was there before
};

std::vector<Product> productsOf(const Runner& runner) {
  std::vector<Product> list;
  const graph::Graph& graph = runner.graph();
  for (uint32_t n = 0; n < graph.nodes().size(); ++n) {
    const graph::Node& node = graph.nodes()[n];
    const uint32_t op = node.description()->op;
    if (op != NIB_OP_MATMUL && op != NIB_OP_DYNAMIC_GEMM && op != NIB_OP_INT8_GEMM) continue;
    for (const graph::Operand& operand : node.operands) {
      if (!operand.writes || operand.role != NIB_ROLE_OUTPUT) continue;
      const graph::Value& value = graph.value(operand.value);
      if (value.shape.type != NIB_TYPE_F32 || value.shape.stride != value.shape.cols) {
        throw Error(quoteText(node.name) + ": only outputs in fp32 can be compared");
      }
      list.push_back({node.name, value.name, n, value.shape.cols, value.must_share});
    }
  }
  return list;
}

// A model whose step is run product by product.
class Walk {
 public:
  explicit Walk(Runner& runner) : runner_(runner), products_(productsOf(runner)) {}
  const std::vector<Product>& products() const { return products_; }

  void begin(std::span<const uint32_t> ids) {
    const Chunk chunk{0, 0, ids};
    runner_.stepMany({&chunk, 1});  // sets the inputs
    tokens_ = uint32_t(ids.size());
    done_ = 0;
  }
  // Runs up to and with a product; its outputs are then in `output`.
  void run(size_t i) {
    const Product& product = products_[i];
    runTo(product.node);
    before_.clear();
    if (product.added) read(product, before_);
    runTo(product.node + 1);
    read(product, output);
    for (size_t k = 0; k < before_.size(); ++k) output[k] -= before_[k];
  }
  // Runs to the end of a block.
  void finish(uint32_t layer) { runTo(firstAfter(blockResult(runner_.config(), layer))); }
  // The hidden states after a block that has just been finished.
  std::vector<float> hidden(uint32_t layer) const {
    const kit::Range range = resultOf(layer);
    return runner_.device().download<float>(*range.buffer, size_t(tokens_) * runner_.config().hidden,
                                            range.offset_bytes);
  }
  void setHidden(uint32_t layer, const std::vector<float>& values) {
    const kit::Range range = resultOf(layer);
    runner_.device().upload(*range.buffer, values, range.offset_bytes);
  }
  std::vector<float> output;

 private:
  kit::Range resultOf(uint32_t layer) const { return runner_.body().range(blockResult(runner_.config(), layer)); }
  // The node after the one that writes a value.
  uint32_t firstAfter(const std::string& value) const {
    const graph::Graph& graph = runner_.graph();
    for (uint32_t n = 0; n < graph.nodes().size(); ++n) {
      for (const graph::Operand& operand : graph.nodes()[n].operands) {
        if (operand.writes && graph.value(operand.value).name == value) return n + 1;
      }
    }
    throw Error("the network has no value " + quoteText(value));
  }
  void runTo(uint32_t end) {
    if (end > done_) runner_.body().runNodes(tokens_, done_, end);
    done_ = end;
  }
  void read(const Product& product, std::vector<float>& to) {
    const kit::Range range = runner_.body().range(product.value);
    to = runner_.device().download<float>(*range.buffer, size_t(tokens_) * product.cols, range.offset_bytes);
  }

  Runner& runner_;
  std::vector<Product> products_;
  uint32_t tokens_ = 0, done_ = 0;
  std::vector<float> before_;
};

struct Sums {
  double energy = 0, whole = 0, block = 0;
};

double squaredDistance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (double(b[i]) - double(a[i])) * (double(b[i]) - double(a[i]));
  return sum;
}

// A layer whose outputs are all zero in both models has no error.
double ratio(double error, double energy) { return error == 0 ? 0 : error / energy; }

void checkSameLayers(const std::vector<Product>& a, const std::vector<Product>& b) {
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    if (i >= a.size()) throw Error("B has a layer " + quoteText(b[i].name) + " that A lacks");
    if (i >= b.size()) throw Error("A has a layer " + quoteText(a[i].name) + " that B lacks");
    if (a[i].name != b[i].name || a[i].cols != b[i].cols) {
      throw Error("layer " + quoteText(a[i].name) + " of A is not layer " + quoteText(b[i].name) + " of B");
    }
  }
}

}  // namespace

std::vector<LayerError> layerErrors(Runner& a, Runner& b, std::span<const uint32_t> ids, const EvalOptions& options,
                                    const std::function<void(uint64_t done, uint64_t all)>& progress) {
  Walk of_a(a), of_b(b);
  const std::vector<Product>& products = of_a.products();
  checkSameLayers(products, of_b.products());
  const ModelConfig& config = a.config();
  std::vector<Sums> sums(products.size());
  const std::vector<Window> windows = cutWindows(ids.size(), options);
  uint64_t done = 0;
  for (const Window& window : windows) {
    const std::span<const uint32_t> tokens = ids.subspan(window.begin, options.window);
    for (const bool replaces : {false, true}) {
      of_a.begin(tokens);
      of_b.begin(tokens);
      uint32_t layer = 0;
      for (size_t i = 0; i < products.size(); ++i) {
        of_a.run(i);
        of_b.run(i);
        (replaces ? sums[i].block : sums[i].whole) += squaredDistance(of_a.output, of_b.output);
        if (replaces && layer < config.layers && products[i].name == hiddenWriters(config, layer).back()) {
          of_a.finish(layer);
          of_b.finish(layer);
          of_b.setHidden(layer, of_a.hidden(layer));
          ++layer;
        }
        if (replaces) continue;
        for (const float value : of_a.output) sums[i].energy += double(value) * double(value);
      }
    }
    progress(done += options.window, uint64_t(windows.size()) * options.window);
  }
  std::vector<LayerError> errors;
  for (size_t i = 0; i < products.size(); ++i) {
    errors.push_back({products[i].name, ratio(sums[i].whole, sums[i].energy), ratio(sums[i].block, sums[i].energy)});
  }
  return errors;
}

}  // namespace nib::model
