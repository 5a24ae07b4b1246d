#include "model/calibrate/squares.h"

#include "model/archive/error.h"
#include "model/calibrate/linear_inputs.h"

namespace nib::model {
namespace {

// Moments of every column of one value.
struct Watched {
  LinearInput input;
  kit::Plan plan;
  kit::Buffer output;
  kit::Binding binding;
  std::vector<NibMoments> moments;

  Watched(const Runner& runner, LinearInput watched)
      : input(std::move(watched)),
        plan(runner.device(),
             NibMomentsDesc{NIB_OP_MOMENTS, sizeof(NibMomentsDesc), 0, input.shape.rows, input.shape.channels,
                            input.shape.type, input.shape.stride, NIB_GRANULARITY_COLUMN}),
        output(runner.device(), plan.sizeBytes(NIB_ROLE_OUTPUT)),
        binding(plan, kit::Ranges{.weights = {}, .input = source(runner), .output = output}),
        moments(input.shape.channels) {}

  kit::Range source(const Runner& runner) const {
    kit::Range range = runner.body().range(runner.graph().value(input.value).name);
    return {*range.buffer, range.offset_bytes, plan.sizeBytes(NIB_ROLE_INPUT)};
  }

  void read(const Runner& runner, uint64_t rows) {
    const uint64_t blocks = (rows + NIB_MOMENT_ROWS - 1) / NIB_MOMENT_ROWS;
    const auto tiles = runner.device().download<NibMomentTile>(output, size_t(blocks * moments.size()));
    for (size_t i = 0; i < moments.size(); ++i) {
      nibMomentsAdd(&moments[i], tiles.data() + i, blocks, moments.size());
    }
  }

  InputSquares result(uint64_t tokens) const {
    InputSquares squares;
    squares.tokens = tokens;
    for (const NibMoments& column : moments) {
      if (column.nonfinite_count != 0) {
        throw Error("the input of " + quoteText(input.modules[0]) + " is NaN or infinite for " +
                    std::to_string(column.nonfinite_count) + " tokens: the model or the text is at fault");
      }
      squares.sums.push_back(column.squares);
    }
    return squares;
  }
};

}  // namespace

CollectedSquares collectSquares(Runner& runner, std::span<const uint32_t> ids, const CollectOptions& options,
                                const std::function<void(uint64_t done, uint64_t all)>& progress) {
  const std::vector<Sequence> sequences =
      chooseSequences(ids.size(), options.sequence_length, options.samples, options.seed);
  if (sequences.empty()) throw Error("the data has no tokens");
  uint64_t all = 0, done = 0;
  for (const Sequence& sequence : sequences) all += sequence.count;
  std::vector<std::unique_ptr<Watched>> list;
  for (LinearInput& input : linearInputs(runner)) list.push_back(std::make_unique<Watched>(runner, std::move(input)));
  const auto nameOf = [&](const Watched& watched) { return runner.graph().value(watched.input.value).name; };
  for (const auto& watched : list) {
    runner.body().tap(nameOf(*watched), [&binding = watched->binding](graph::Recorder& recorder, uint32_t tokens) {
      recorder.run(binding, {.n = tokens});
    });
  }
  for (const Sequence& sequence : sequences) {
    const Chunk chunk{0, 0, ids.subspan(size_t(sequence.first), size_t(sequence.count))};
    runner.stepMany({&chunk, 1});
    for (const auto& watched : list) watched->read(runner, sequence.count);
    done += sequence.count;
    if (progress) progress(done, all);
  }
  CollectedSquares result;
  result.sequences = sequences.size();
  for (const auto& watched : list) {
    runner.body().tap(nameOf(*watched), {});
    for (const std::string& module : watched->input.modules) result.inputs[module] = watched->result(all);
  }
  return result;
}

}  // namespace nib::model
