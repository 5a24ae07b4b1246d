#include "model/calibrate/input_statistics.h"

namespace nib::model {

InputStatistics::InputStatistics(Runner& runner, bool by_channel) : runner_(runner) {
  for (LinearInput& input : linearInputs(runner)) {
    const std::string name = runner.graph().value(input.value).name;
    Collector collector(runner.device(), input.shape, by_channel, runner.body().range(name));
    const Watched& watched = watched_.emplace_back(std::move(input), std::move(collector));
    runner.body().tap(name, [&watched](graph::Recorder& recorder, uint32_t tokens) {
      watched.collector.run([&](const kit::Binding& binding) { recorder.run(binding, {.n = tokens}); });
    });
  }
}

InputStatistics::~InputStatistics() {
  for (const Watched& watched : watched_) runner_.body().tap(runner_.graph().value(watched.input.value).name, {});
}

void InputStatistics::run(std::span<const uint32_t> tokens) {
  const Chunk chunk{0, 0, tokens};
  runner_.stepMany({&chunk, 1});
  for (Watched& watched : watched_) watched.collector.read(uint32_t(tokens.size()));
}

void InputStatistics::endBatch(double ema_constant) {
  for (Watched& watched : watched_) watched.collector.endBatch(ema_constant);
}

}  // namespace nib::model
