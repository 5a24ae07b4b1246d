#include "model/calibrate/stream.h"

#include "model/archive/error.h"
#include "model/archive/hash.h"
#include "model/calibrate/linear_inputs.h"

namespace nib::model {
namespace {

// A value that linear layers read, and the layers that read it.
struct Watched {
  LinearInput input;
  Collector collector;
};

std::vector<Watched> watchInputs(const Runner& runner, const CollectOptions& options) {
  std::vector<Watched> list;
  for (LinearInput& input : linearInputs(runner)) {
    const std::string& name = runner.graph().value(input.value).name;
    Collector collector(runner.device(), input.shape, options.by_channel, runner.body().range(name));
    list.push_back({std::move(input), std::move(collector)});
  }
  return list;
}

}  // namespace

std::map<std::string, Collected> collectInputs(Runner& runner, std::span<const uint32_t> ids,
                                               const CollectOptions& options,
                                               const std::function<void(uint64_t done, uint64_t all)>& progress) {
  const std::vector<Sequence> sequences =
      chooseSequences(ids.size(), options.sequence_length, options.samples, options.seed);
  if (sequences.empty()) throw Error("the data has no tokens");
  uint64_t all = 0, done = 0;
  for (const Sequence& sequence : sequences) all += sequence.count;
  std::vector<Watched> list = watchInputs(runner, options);
  for (const Watched& watched : list) {
    runner.body().tap(
        runner.graph().value(watched.input.value).name, [&watched](graph::Recorder& recorder, uint32_t tokens) {
          watched.collector.run([&](const kit::Binding& binding) { recorder.run(binding, {.n = tokens}); });
        });
  }
  Hasher hasher;
  for (const Sequence& sequence : sequences) {
    const std::span<const uint32_t> tokens = ids.subspan(size_t(sequence.first), size_t(sequence.count));
    hasher.add(std::as_bytes(tokens));
    const Chunk chunk{0, 0, tokens};
    runner.stepMany({&chunk, 1});
    for (Watched& watched : list) {
      watched.collector.read(uint32_t(sequence.count));
      watched.collector.endBatch(options.ema_constant);
    }
    done += sequence.count;
    if (progress) progress(done, all);
  }
  std::map<std::string, Collected> result;
  for (const Watched& watched : list) {
    runner.body().tap(runner.graph().value(watched.input.value).name, {});
    Collected collected;
    watched.collector.finish(collected);
    collected.data.push_back({hasher.digest().hex(), all});
    for (const std::string& module : watched.input.modules) result[module + ".input"] = collected;
  }
  return result;
}

}  // namespace nib::model
