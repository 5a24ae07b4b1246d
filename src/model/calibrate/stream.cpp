#include "model/calibrate/stream.h"

#include "model/archive/error.h"
#include "model/archive/hash.h"
#include "model/calibrate/input_statistics.h"

namespace nib::model {
std::map<std::string, Collected> collectInputs(Runner& runner, std::span<const uint32_t> ids,
                                               const CollectOptions& options,
                                               const std::function<void(uint64_t done, uint64_t all)>& progress) {
  const std::vector<Sequence> sequences =
      chooseSequences(ids.size(), options.sequence_length, options.samples, options.seed);
  if (sequences.empty()) throw Error("the data has no tokens");
  uint64_t all = 0, done = 0;
  for (const Sequence& sequence : sequences) all += sequence.count;
  InputStatistics statistics(runner, options.by_channel);
  Hasher hasher;
  for (const Sequence& sequence : sequences) {
    const std::span<const uint32_t> tokens = ids.subspan(size_t(sequence.first), size_t(sequence.count));
    hasher.add(std::as_bytes(tokens));
    statistics.run(tokens);
    statistics.endBatch(options.ema_constant);
    done += sequence.count;
    if (progress) progress(done, all);
  }
  std::map<std::string, Collected> result;
  for (size_t i = 0; i < statistics.size(); ++i) {
    Collected collected;
    statistics.finish(i, collected);
    collected.data.push_back({hasher.digest().hex(), all});
    for (const std::string& module : statistics.modules(i)) result[module + ".input"] = collected;
  }
  return result;
}

}  // namespace nib::model
