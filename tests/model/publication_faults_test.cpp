// Full disks, interrupted calls, failing disks, and the order of writes and flushes.
#include "faults.h"
#include "model/archive/checkpoint.h"
#include "model/archive/model_writer.h"
#include "model_test.h"

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#if defined(__linux__)
namespace nib::model::test {
namespace {

struct FaultScope {
  explicit FaultScope(const Faults& faults) { setFaults(faults); }
  ~FaultScope() { setFaults({}); }
};

// A separate file system, if the test may mount one.
struct Mounted {
  Mounted(const fs::path& folder, unsigned long flags, const char* options) : path(folder) {
    fs::create_directory(path);
    works = mount("none", path.c_str(), "tmpfs", flags, options) == 0;
  }
  ~Mounted() {
    if (works) umount(path.c_str());
  }
  fs::path path;
  bool works = false;
};

WriterOptions optionsFor(const fs::path& out) {
  WriterOptions options;
  options.out = out;
  options.identity = "test";
  options.max_shard_bytes = 10'000;
  return options;
}

std::vector<OutputTensor> manyTensors(size_t count, uint64_t bytes) {
  std::vector<OutputTensor> tensors;
  for (size_t t = 0; t < count; ++t) tensors.push_back({{"t" + std::to_string(t), Dtype::kU8, {bytes}}, {}});
  return tensors;
}

std::string contentOf(size_t t, uint64_t bytes) {
  std::mt19937 random(static_cast<unsigned>(t));
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

void writeMissing(ModelWriter& writer, std::span<const OutputTensor> tensors) {
  for (size_t t = 0; t < tensors.size(); ++t) {
    if (writer.isFinished(t)) continue;
    writer.write(t, 0, bytesOf(contentOf(t, tensors[t].shape[0])));
    writer.finished(t);
  }
}

TEST_CASE("short or interrupted calls lose no data") {
  const TempFolder folder;
  const std::vector<OutputTensor> tensors = manyTensors(20, 3000);
  ModelWriter plain(optionsFor(folder / "plain"), planSafetensors(optionsFor(folder / "plain"), tensors));
  writeMissing(plain, tensors);
  plain.publish();
  {
    const FaultScope scope({.short_calls = true});
    ModelWriter writer(optionsFor(folder / "out"), planSafetensors(optionsFor(folder / "out"), tensors));
    writeMissing(writer, tensors);
    writer.copyFile("config.json", folder / "plain/model.safetensors.index.json");
    writer.publish();
    const Checkpoint checkpoint(folder / "out");
    for (size_t t = 0; t < tensors.size(); ++t) {
      std::string bytes(3000, '\0');
      checkpoint.read(*checkpoint.find(tensors[t].name), 0, std::as_writable_bytes(std::span(bytes)));
      CHECK(bytes == contentOf(t, 3000));
    }
  }
  CHECK(readText(folder / "out/config.json") == readText(folder / "plain/model.safetensors.index.json"));
  fs::remove(folder / "out/config.json");
  CHECK(readFolder(folder / "out") == readFolder(folder / "plain"));
}

TEST_CASE("a disk that fills up at any moment fails the run and keeps the earlier output") {
  const std::vector<OutputTensor> tensors = manyTensors(6, 3000);
  const TempFolder folder;
  ModelWriter plain(optionsFor(folder / "plain"), planSafetensors(optionsFor(folder / "plain"), tensors));
  writeMissing(plain, tensors);
  plain.publish();
  WriterOptions options = optionsFor(folder / "out");
  options.flush_bytes = 0;
  options.force = true;
  options.resume = true;
  writeText(folder / "out/model.safetensors", fileOf("{}"));
  int failures = 0;
  for (int64_t space = 0; space < 40'000; space += 977) {
    CAPTURE(space);
    const std::string message = errorOf([&] {
      const FaultScope scope({.full_after_bytes = space});
      ModelWriter writer(options, planSafetensors(options, tensors));
      writeMissing(writer, tensors);
      writer.publish();
    });
    if (message.empty()) break;
    ++failures;
    CHECK_MESSAGE(contains(message, "cannot be written: No space left on device"), message);
    CHECK(readFolder(folder / "out") == std::map<std::string, std::string>{{"model.safetensors", fileOf("{}")}});
  }
  CHECK(failures >= 4);
  CHECK(readFolder(folder / "out") == readFolder(folder / "plain"));
  CHECK(readFolder(folder.path()).size() == 2);
}

TEST_CASE("a disk that is too small is detected before the work") {
  const TempFolder folder;
  const fs::path disk = folder / "disk";
  const Mounted mounted(disk, 0, "size=1m");
  if (!mounted.works) {
    MESSAGE("not tested on a real file system: no tmpfs can be mounted");
    return;
  }
  const WriterOptions full = optionsFor(disk / "out");
  const std::string message =
      errorOf([&] { ModelWriter writer(full, planSafetensors(full, manyTensors(30, 100'000))); });
  CHECK_MESSAGE(contains(message, "cannot reserve "), message);
  CHECK_MESSAGE(contains(message, " are free): No space left on device"), message);
  CHECK(readFolder(disk).empty());
  // Space for the tensors, but not for the other files that are copied.
  const std::vector<OutputTensor> tensors = manyTensors(9, 100'000);
  {
    ModelWriter writer(optionsFor(disk / "out"), planSafetensors(optionsFor(disk / "out"), tensors));
    writeMissing(writer, tensors);
    NIB_CHECK_ERROR("config.json: cannot be written: No space left on device",
                    writer.addFile("config.json", std::string(500'000, 'x')));
  }
  CHECK(!fs::exists(disk / "out"));
  WriterOptions options = optionsFor(disk / "out");
  options.resume = true;
  {
    ModelWriter writer(options, planSafetensors(options, tensors));
    for (size_t t = 0; t < tensors.size(); ++t) CHECK(writer.isFinished(t));
    writer.publish();
  }
  CHECK(Checkpoint(disk / "out").size() == 9);
}

TEST_CASE("a file size limit gives one line") {
  const TempFolder folder;
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{20'000, 20'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    int code = 1;
    try {
      WriterOptions options = optionsFor(folder / "out");
      options.max_shard_bytes = 100'000;
      ModelWriter writer(options, planSafetensors(options, manyTensors(10, 3000)));
    } catch (const Error& error) {
      code = contains(error.what(), "cannot reserve ") && contains(error.what(), "File too large") ? 0 : 2;
    }
    _exit(code);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(readFolder(folder.path()).empty());
}

TEST_CASE("a folder that cannot be written gives one line") {
  const TempFolder folder;
  const Mounted mounted(folder / "disk", MS_RDONLY, nullptr);
  if (!mounted.works) {
    MESSAGE("not tested: no tmpfs can be mounted");
    return;
  }
  NIB_CHECK_ERROR("out.partial: cannot be created: Read-only file system",
                  ModelWriter(optionsFor(folder / "disk/out"),
                              planSafetensors(optionsFor(folder / "disk/out"), manyTensors(1, 1))));
}

TEST_CASE("after a failed flush later writes are not trusted") {
  const TempFolder folder;
  const std::vector<OutputTensor> tensors = manyTensors(3, 100);
  WriterOptions options = optionsFor(folder / "out");
  options.flush_bytes = 0;
  {
    ModelWriter writer(options, planSafetensors(options, tensors));
    writer.write(0, 0, bytesOf(contentOf(0, 100)));
    writer.finished(0);
    writer.write(1, 0, bytesOf(contentOf(1, 100)));
    {
      const FaultScope scope({.fsync_fails = true});
      NIB_CHECK_ERROR("cannot be flushed to the disk: Input/output error", writer.finished(1));
    }
    // The system reports no further error.
    writer.write(2, 0, bytesOf(contentOf(2, 100)));
    NIB_CHECK_ERROR("an earlier flush to the disk failed", writer.finished(2));
    NIB_CHECK_ERROR("an earlier flush to the disk failed", writer.publish());
  }
  options.resume = true;
  ModelWriter writer(options, planSafetensors(options, tensors));
  CHECK(writer.isFinished(0));
  CHECK(!writer.isFinished(1));
  CHECK(!writer.isFinished(2));
}

TEST_CASE("the journal lists a tensor only after its bytes were flushed, and OUT appears last") {
  const TempFolder folder;
  const std::vector<OutputTensor> tensors = manyTensors(12, 2000);
  WriterOptions options = optionsFor(folder / "out");
  options.flush_bytes = 5000;
  std::vector<Call> calls;
  {
    const FaultScope scope({.record = true});
    ModelWriter writer(options, planSafetensors(options, tensors));
    writeMissing(writer, tensors);
    writer.addFile("config.json", "{}");
    writer.publish();
    calls = recordedCalls();
  }
  std::map<std::string, bool> dirty;  // file: written to since its last fsync
  std::vector<bool> entered(tensors.size());
  std::vector<std::string> shard_of(tensors.size());
  bool publishing = false;
  size_t batches = 0;
  for (const Call& call : calls) {
    const std::string name = fs::path(call.path).filename();
    if (call.name == "fsync") dirty[name] = false;
    if (call.name != "pwrite") continue;
    dirty[name] = true;
    for (size_t t = 0; t < tensors.size(); ++t) {
      if (call.bytes == contentOf(t, 2000)) shard_of[t] = name;
    }
    if (name != kJournalName) continue;
    for (size_t t = 0; t < tensors.size(); ++t) {
      if (!contains(call.bytes, " done " + std::to_string(t) + " ")) continue;
      entered[t] = true;
      CHECK(shard_of[t].starts_with("model-0000"));
      CHECK_MESSAGE(!dirty[shard_of[t]], "tensor ", t, " was not flushed");
    }
    batches += contains(call.bytes, " done ");
    if (contains(call.bytes, " publish 0\n")) {
      publishing = true;
      for (const auto& row : dirty)
        CHECK_MESSAGE((!row.second || row.first == kJournalName), row.first, " was not flushed");
      for (const bool is_entered : entered) CHECK(is_entered);
    }
  }
  CHECK(publishing);
  CHECK(!dirty[kJournalName]);
  CHECK(batches == 4);  // 12 tensors, 3 at a time
}

}  // namespace
}  // namespace nib::model::test
#endif
