// A subject that runs an op of nibble on a device.
#ifndef NIB_BENCH_OP_SUBJECT_H
#define NIB_BENCH_OP_SUBJECT_H

#include "bench/measure.h"
#include "selftest/run_case.h"

#include <memory>

namespace nib::bench {

// Data shared by rows, so that it is made only once: dense data, blobs, and device buffers with their contents.
class SharedData {
 public:
  explicit SharedData(const kit::Device& device) : device_(device), reference_(kit::Device::cpu()) {}

  const kit::Device& device() const { return device_; }
  // Sets another context of the same VkDevice for later rows.
  void use(const kit::Device& device) { device_ = device; }
  const kit::Device& reference() const { return reference_; }
  // Words of a dense tensor. Valid until two other tensors were requested.
  const std::vector<uint32_t>& dense(selftest::Recipe recipe, NibType type, uint64_t size_bytes, uint64_t seed);

  // A quantized matrix of normal data, made by the reference. Valid until the next call.
  const std::vector<uint32_t>& blob(const NibQuantizeDesc& desc, uint64_t seed);

  struct Buffers {
    std::string content;  // names the contents of the buffers, "" = undefined
    std::vector<kit::Buffer> list;
  };
  // The role's buffers: those of the last row if they have `content`, else buffers whose content is "" until the caller
  // fills them.
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
  uint64_t roundBytes() const { return set_bytes_ * sets_; }  // size of all data of a round
  const kit::Plan& plan() const { return *plan_; }

 private:
  using Words = std::vector<uint32_t>;
  std::string verifySmall() const;
  // The words of a role's ranges before a run; its name if rows share it, else "".
  const Words& image(NibRole role, std::string* content);
  void upload();
  void makeExpected();
  std::string compare(uint32_t set);
  void repeat(uint32_t set);
  std::string compareBounded(uint32_t set);

  SharedData& shared_;
  selftest::Case row_;
  std::unique_ptr<kit::Plan> plan_;
  std::unique_ptr<kit::Timer> timer_;
  std::vector<kit::Binding> bindings_;
  const std::vector<kit::Buffer>* results_ = nullptr;  // buffers of the written role, by set
  uint64_t set_bytes_ = 0;
  uint32_t sets_ = 1;
  uint32_t next_set_ = 0;
  double build_seconds_ = 0;
  uint32_t pipelines_built_ = 0;
  Words scratch_;   // the last image that rows do not share
  Words expected_;  // the written range after a run of the reference
  NibRole written_ = NIB_ROLE_OUTPUT;
};

}  // namespace nib::bench
#endif
