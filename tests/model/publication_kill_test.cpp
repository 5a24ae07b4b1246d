// Runs that are killed and resumed: OUT is at every moment either the old or the complete new output, and the bytes are
// those of an undisturbed run.
#include "faults.h"
#include "model/archive/model_writer.h"
#include "model_test.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#if defined(__linux__)
namespace nib::model::test {
namespace {

using Files = std::map<std::string, std::string>;

constexpr uint64_t kTensorBytes = 3000;

// A folder where flushes are cheap, since there are thousands.
fs::path fastFolder() { return fs::is_directory("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path(); }

std::vector<OutputTensor> tensorsOf(size_t count) {
  std::vector<OutputTensor> tensors;
  for (size_t t = 0; t < count; ++t)
    tensors.push_back({{"t" + std::to_string(t), t % 3 == 0 ? Dtype::kU8 : Dtype::kI8, {kTensorBytes}}, t / 2});
  return tensors;
}

WriterOptions optionsFor(const fs::path& out) {
  WriterOptions options;
  options.out = out;
  options.identity = "kill";
  options.max_shard_bytes = 20'000;
  options.flush_bytes = 2 * kTensorBytes;
  options.resume = true;
  return options;
}

// In pieces, so that a kill can hit between them.
void writeModel(const WriterOptions& options, size_t count, unsigned pause_us) {
  ModelWriter writer(options, planSafetensors(options, tensorsOf(count)));
  for (size_t t = 0; t < count; ++t) {
    if (writer.isFinished(t)) continue;
    for (uint64_t at = 0; at < kTensorBytes; at += 1000) {
      std::string piece(1000, static_cast<char>(t));
      piece[0] = static_cast<char>(at / 1000);
      writer.write(t, at, bytesOf(piece));
      if (pause_us > 0) usleep(pause_us);
    }
    writer.finished(t);
  }
  writer.addFile("config.json", "{}");
  writer.publish();
}

// As writeModel, in a child process. It ends with _exit, so that buffered output is not printed twice.
pid_t startChild(const WriterOptions& options, size_t count, unsigned pause_us, const Faults& faults) {
  const pid_t child = fork();
  if (child != 0) return child;
  int code = 0;
  try {
    setFaults(faults);
    writeModel(options, count, pause_us);
  } catch (const Error& error) {
    code = contains(error.what(), "out: exists") ? 3 : 4;
    if (code == 4) fprintf(stderr, "child: %s\n", error.what());
  }
  _exit(code);
}

// Exit code, or -signal.
int waitFor(pid_t child) {
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

// OUT, without the journal that a run killed at its last step leaves.
Files outFiles(const fs::path& out) {
  if (!fs::exists(out)) return {};
  Files files = readFolder(out);
  files.erase(kJournalName);
  return files;
}

Files undisturbed(size_t count) {
  const TempFolder folder;
  writeModel(optionsFor(folder / "out"), count, 0);
  return readFolder(folder / "out");
}

const Files kOld = {{"config.json", "old"}, {"model.safetensors", "old too"}};

void putOld(const fs::path& out) {
  for (const auto& [name, text] : kOld) writeText(out / name, text);
}

TEST_CASE("a run that is killed at 20 random moments finally gives the same bytes") {
  constexpr size_t kCount = 24;
  const Files expected = undisturbed(kCount);
  std::mt19937 random(5);
  int kills = 0, kept = 0;
  for (bool force = false; kills < 20; force = !force) {
    const TempFolder folder(fastFolder());
    WriterOptions options = optionsFor(folder / "out");
    options.force = force;
    const Files before = force ? kOld : Files();
    if (force) putOld(options.out);
    for (;;) {
      const pid_t child = startChild(options, kCount, 200, {});
      usleep(random() % 12'000);
      kill(child, SIGKILL);
      const int end = waitFor(child);
      const Files now = outFiles(options.out);
      CHECK((now == before || now == expected));
      if (end == 0 || now == expected) break;
      REQUIRE(end == -SIGKILL);
      ++kills;
      const fs::path journal = folder / "out.partial/.nibble-journal";
      if (fs::exists(journal)) kept += contains(readText(journal), " done ") ? 1 : 0;
    }
    if (!force) {
      CHECK(outFiles(options.out) == expected);
    }
  }
  CHECK(kept > 0);  // otherwise nothing was resumed
  MESSAGE(kills, " kills, ", kept, " of them with finished tensors");
}

// Kills a run before each system call that changes something, one run per call, and then resumes it undisturbed.
void killAtEveryCall(bool force, bool may_exchange) {
  CAPTURE(force);
  CAPTURE(may_exchange);
  constexpr size_t kCount = 5;
  const Files expected = undisturbed(kCount);
  int64_t kills = 0;
  for (;; ++kills) {
    const TempFolder folder(fastFolder());
    WriterOptions options = optionsFor(folder / "out");
    options.force = force;
    options.may_exchange = may_exchange;
    const Files before = force ? kOld : Files();
    if (force) putOld(options.out);
    Faults faults;
    faults.kill_at = kills;
    const int end = waitFor(startChild(options, kCount, 0, faults));
    const Files now = outFiles(options.out);
    // Without renameat2 there is a moment when the complete old output is at OUT.replaced.
    const bool aside = !may_exchange && now.empty() && outFiles(folder / "out.replaced") == kOld;
    CHECK_MESSAGE((now == before || now == expected || aside), "killed at call ", kills);
    if (end == 0) break;
    REQUIRE(end == -SIGKILL);

    const int second = waitFor(startChild(options, kCount, 0, {}));
    // OUT may have been complete already.
    CHECK_MESSAGE((second == 0 || (second == 3 && !force && now == expected)), "resumed after call ", kills, ": ",
                  second);
    CHECK_MESSAGE(readFolder(options.out) == expected, "resumed after call ", kills);
    CHECK_MESSAGE(readFolder(folder.path()).size() == 1, "left behind after call ", kills);
  }
  CHECK(kills > 40);
  MESSAGE(kills, " moments");
}

TEST_CASE("a run that is killed at any system call can be resumed") { killAtEveryCall(false, true); }
TEST_CASE("a killed run that replaces a model can be resumed") { killAtEveryCall(true, true); }
TEST_CASE("a killed run that replaces a model without renameat2 can be resumed") { killAtEveryCall(true, false); }

TEST_CASE("an output of one file survives a kill at any system call") {
  const auto write = [](const PublicationOptions& options) {
    Publication publication(options, {{"data", 9, {}}}, {{"a", 0, 0, 4}, {"b", 0, 4, 5}});
    for (size_t i = 0; i < 2; ++i) {
      if (publication.isFinished(i)) continue;
      publication.write(i, 0, bytesOf(i == 0 ? "aaaa" : "bbbbb"));
      publication.finished(i);
    }
    publication.publish();
  };
  int64_t kills = 0;
  for (;; ++kills) {
    const TempFolder folder(fastFolder());
    PublicationOptions options;
    options.out = folder / "out";
    options.kind = OutputKind::kFile;
    options.identity = "x";
    options.resume = true;
    options.force = true;
    options.flush_bytes = 0;
    writeText(options.out, "old");
    const auto run = [&](int64_t kill_at) {
      const pid_t child = fork();
      if (child == 0) {
        Faults faults;
        faults.kill_at = kill_at;
        setFaults(faults);
        try {
          write(options);
        } catch (const Error& error) {
          fprintf(stderr, "child: %s\n", error.what());
          _exit(4);
        }
        _exit(0);
      }
      return waitFor(child);
    };
    const int end = run(kills);
    const std::string now = readText(options.out);
    CHECK_MESSAGE((now == "old" || now == "aaaabbbbb"), "killed at call ", kills);
    if (end == 0) break;
    REQUIRE(end == -SIGKILL);
    CHECK(run(-1) == 0);
    CHECK(readFolder(folder.path()) == Files{{"out", "aaaabbbbb"}});
  }
  CHECK(kills > 15);
}

}  // namespace
}  // namespace nib::model::test
#endif
