// An op of nibble on a device, as something to measure.
#ifndef NIB_BENCH_OP_SUBJECT_H
#define NIB_BENCH_OP_SUBJECT_H

#include "bench/measure.h"
#include "selftest/run_case.h"

#include <memory>

namespace nib::bench {

// What rows have in common, so that it is made once: dense data, blobs, and device buffers with their contents.
class SharedData {
 public:
  explicit SharedData(const kit::Device& device) : device_(device), reference_(kit::Device::cpu()) {}

  const kit::Device& device() const { return device_; }
  // Another context of the same VkDevice, for rows from now on.
  void use(const kit::Device& device) { device_ = device; }
  const kit::Device& reference() const { return reference_; }
  // Words of a dense tensor. Valid until the next but one other tensor.
  const std::vector<uint32_t>& dense(selftest::Recipe recipe, NibType type, uint64_t size_bytes, uint64_t seed);

  // A quantized matrix of normal data, made by the reference. Valid until the next call.
  const std::vector<uint32_t>& blob(const NibQuantizeDesc& desc, uint64_t seed);

  struct Buffers {
    std::string content;  // what the buffers hold, "" = nothing that counts
    std::vector<kit::Buffer> list;
  };
  // The role's buffers: those of the last row if they hold `content`, else new ones whose content is "" until they are
  // filled.
  Buffers& buffers(NibRole role, const std::string& content, uint64_t size_bytes, uint32_t count);

 private:
  kit::Device device_;
  kit::Device reference_;
  struct Dense {
    std::string key;
    std::vector<uint32_t> words;
  };
  Dense dense_[2];  // a product's weights and its input
  uint32_t newest_ = 0;
  std::string blob_key_;
  std::vector<uint32_t> blob_;
  Buffers buffers_[NIB_ROLE_COUNT];
};

class OpSubject final : public Subject {
 public:
  // Plans. Throws kit::Error.
  OpSubject(SharedData& shared, const selftest::Case& row, uint64_t rotation_bytes);

  // A small tensor through the same pipelines, with every kind of value, then every element of every tensor that will
  // be timed: all bytes against the reference.
  std::string verify() override;
  std::string verifyAgain() override;
  Batch run(uint32_t repetitions) override;

  std::vector<std::string> path() const { return plan_->kernels(); }
  double buildSeconds() const { return build_seconds_; }
  uint32_t pipelinesBuilt() const { return pipelines_built_; }
  uint64_t roundBytes() const { return set_bytes_ * sets_; }  // of all that a round touches
  const kit::Plan& plan() const { return *plan_; }

 private:
  using Words = std::vector<uint32_t>;
  std::string verifySmall() const;
  // The words a role's ranges hold before a run; its name if rows share it, else "".
  const Words& image(NibRole role, std::string* content);
  void upload();
  void makeExpected();
  std::string compare(uint32_t set);
  std::string compareBounded(uint32_t set);

  SharedData& shared_;
  selftest::Case row_;
  std::unique_ptr<kit::Plan> plan_;
  std::unique_ptr<kit::Timer> timer_;
  std::vector<kit::Binding> bindings_;
  const std::vector<kit::Buffer>* results_ = nullptr;  // the written role's, by set
  uint64_t set_bytes_ = 0;
  uint32_t sets_ = 1;
  uint32_t next_set_ = 0;
  double build_seconds_ = 0;
  uint32_t pipelines_built_ = 0;
  Words scratch_;   // the last image that rows do not share
  Words expected_;  // the written range as the reference leaves it
  NibRole written_ = NIB_ROLE_OUTPUT;
};

}  // namespace nib::bench
#endif
