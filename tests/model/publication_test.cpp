// Publishing an output: replacing earlier files, exclusive access, and resuming.
#include "base/hash.h"
#include "model/archive/checkpoint.h"
#include "model/archive/model_writer.h"
#include "model_test.h"

#include <algorithm>
#include <cstdio>

#include <sys/stat.h>
#include <unistd.h>

namespace nib::model::test {
namespace {

const std::string kOther = fileOf("{}");  // a model that exists before

WriterOptions optionsFor(const fs::path& out) {
  WriterOptions options;
  options.out = out;
  options.identity = "test";
  options.flush_bytes = 0;  // every finished tensor enters the journal
  return options;
}

// Four tensors of 3 bytes, in two files.
const std::vector<OutputTensor> kTensors = {{{"a", Dtype::kU8, {3}}, {}},
                                            {{"b", Dtype::kU8, {3}}, {}},
                                            {{"c", Dtype::kU8, {3}}, {}},
                                            {{"d", Dtype::kU8, {3}}, {}}};

void writeTensor(ModelWriter& writer, size_t t) {
  writer.write(t, 0, bytesOf(std::string(3, static_cast<char>('a' + t))));
  writer.finished(t);
}

void writeOut(const WriterOptions& options) {
  ModelWriter writer(options, planSafetensors(options, kTensors));
  for (size_t t = 0; t < 4; ++t) {
    if (!writer.isFinished(t)) writeTensor(writer, t);
  }
  writer.publish();
}

std::map<std::string, std::string> expectedOut() {
  static const auto files = [] {
    const TempFolder folder;
    writeOut(optionsFor(folder / "out"));
    return readFolder(folder / "out");
  }();
  return files;
}

TEST_CASE("nothing is replaced without force, and only OUT remains") {
  const TempFolder folder;
  const fs::path out = folder / "out";
  writeOut(optionsFor(out));
  CHECK(readFolder(folder.path()).size() == 1);
  NIB_CHECK_ERROR("out: exists and is not empty", writeOut(optionsFor(out)));
  writeText(out / "x", "mine");
  NIB_CHECK_ERROR("--force", writeOut(optionsFor(out)));
  CHECK(readText(out / "x") == "mine");
  CHECK(readFolder(folder.path()).size() == 1);
}

TEST_CASE("OUT may be an empty folder, or a name that ends with a slash") {
  const TempFolder folder;
  fs::create_directory(folder / "out");
  writeOut(optionsFor(folder / "out/"));
  CHECK(readFolder(folder / "out") == expectedOut());
  writeOut(optionsFor(folder / "new/"));
  CHECK(readFolder(folder / "new") == expectedOut());
}

TEST_CASE("with force a model is replaced, whether names can be exchanged or not") {
  for (const bool may_exchange : {true, false}) {
    CAPTURE(may_exchange);
    const TempFolder folder;
    const fs::path out = folder / "out";
    writeText(out / "model.safetensors", kOther);
    writeText(out / "old", "x");
    WriterOptions options = optionsFor(out);
    options.force = true;
    options.may_exchange = may_exchange;
    {
      ModelWriter writer(options, planSafetensors(options, kTensors));
      for (size_t t = 0; t < 4; ++t) writeTensor(writer, t);
      CHECK(readText(out / "model.safetensors") == kOther);  // until the end
      writer.publish();
    }
    CHECK(readFolder(out) == expectedOut());
    CHECK(readFolder(folder.path()).size() == 1);
  }
}

TEST_CASE("subfolders of side files are written and replaced, unless something else is in them") {
  const TempFolder folder;
  const fs::path out = folder / "out";
  writeText(folder / "from", "x");
  WriterOptions options = optionsFor(out);
  options.force = true;
  options.nested_files = {"a.txt", "1_Pooling/config.json", "b/c/d.txt"};
  const auto write = [&] {
    ModelWriter writer(options, planSafetensors(options, kTensors));
    for (size_t t = 0; t < 4; ++t) writeTensor(writer, t);
    for (const std::string& name : options.nested_files) writer.copyFile(name, folder / "from");
    writer.publish();
  };
  write();
  CHECK(readText(out / "b/c/d.txt") == "x");
  write();
  CHECK(readText(out / "1_Pooling/config.json") == "x");
  writeText(out / "b/mine", "y");
  NIB_CHECK_ERROR("has the folder b in it, with files that nibble did not write", write());
  CHECK(readText(out / "b/mine") == "y");
  fs::remove(out / "b/mine");
  options.nested_files.clear();
  write();
  CHECK(!fs::exists(out / "b"));
  for (const char* name : {"../x", "/x", "a//b", "a/.", "a/", "b/../../x"}) {
    CAPTURE(name);
    WriterOptions other = optionsFor(folder / "other");
    ModelWriter writer(other, planSafetensors(other, kTensors));
    NIB_CHECK_ERROR("cannot name an output file", writer.copyFile(name, folder / "from"));
  }
}

TEST_CASE("a folder that is not a model, or contains more, is never deleted") {
  const TempFolder folder;
  const fs::path out = folder / "out";
  WriterOptions options = optionsFor(out);
  options.force = true;
  writeText(out / "thesis.tex", "x");
  NIB_CHECK_ERROR("does not look like a model", writeOut(options));
  writeText(out / "config.json", "{}");
  writeText(out / "photos/1.jpg", "x");
  NIB_CHECK_ERROR("has the folder photos in it", writeOut(options));
  CHECK(readText(out / "photos/1.jpg") == "x");
  fs::remove_all(out / "photos");
  fs::create_symlink(folder.path(), out / "link");  // a link is deleted, not what it points to
  writeText(folder / "beside", "x");
  writeOut(options);
  CHECK(readFolder(out) == expectedOut());
  CHECK(readText(folder / "beside") == "x");

  for (const char* root : {"/", "//", "/.", "/tmp/.."}) {
    options.out = root;
    NIB_CHECK_ERROR("cannot be the output", writeOut(options));
  }
  options.out = "";
  NIB_CHECK_ERROR("cannot be the output", writeOut(options));
  options.out = folder / "no/such/out";
  NIB_CHECK_ERROR("there is no folder", writeOut(options));
  writeText(folder / "file", "x");
  options.out = folder / "file";
  NIB_CHECK_ERROR("is not a folder", writeOut(options));
  CHECK(readText(folder / "file") == "x");
}

TEST_CASE("the input is never replaced, nor a folder that contains it") {
  const TempFolder folder;
  writeText(folder / "hub/in/model.safetensors", kOther);
  writeText(folder / "hub/config.json", "{}");
  fs::create_directory_symlink("hub/in", folder / "link");
  const auto before = readFolder(folder / "hub/in");
  for (const char* out : {"hub/in", "hub/in/", "link", "hub", "hub/../hub/in", "."}) {
    for (const char* keep : {"hub/in", "link", "hub/in/model.safetensors"}) {
      CAPTURE(out);
      WriterOptions options = optionsFor(folder / out);
      options.force = true;
      options.keep = {folder / keep};
      NIB_CHECK_ERROR("is not replaced, because the input", writeOut(options));
    }
  }
  CHECK(readFolder(folder / "hub/in") == before);
  // A folder inside the input is allowed.
  WriterOptions options = optionsFor(folder / "hub/in/out");
  options.keep = {folder / "hub/in"};
  writeOut(options);
  CHECK(readFolder(folder / "hub/in/out") == expectedOut());
}

TEST_CASE("an OUT that appears during the work is not replaced without force") {
  const TempFolder folder;
  ModelWriter writer(optionsFor(folder / "out"), planSafetensors(optionsFor(folder / "out"), kTensors));
  for (size_t t = 0; t < 4; ++t) writeTensor(writer, t);
  writeText(folder / "out/model.safetensors", kOther);
  NIB_CHECK_ERROR("exists and is not empty", writer.publish());
  CHECK(readText(folder / "out/model.safetensors") == kOther);
  fs::remove_all(folder / "out");
  writer.publish();
  CHECK(readFolder(folder / "out") == expectedOut());
}

TEST_CASE("a resumed run keeps the finished tensors only") {
  const TempFolder folder;
  WriterOptions options = optionsFor(folder / "out");
  options.max_shard_bytes = 6;
  {
    ModelWriter writer(options, planSafetensors(options, kTensors));
    writeTensor(writer, 0);
    writeTensor(writer, 2);
    writer.write(1, 0, bytesOf("b"));
    writer.addFile("stale.json", "x");
  }
  CHECK(!fs::exists(folder / "out"));
  options.resume = true;
  ModelWriter writer(options, planSafetensors(options, kTensors));
  CHECK(writer.isFinished(0));
  CHECK(!writer.isFinished(1));
  CHECK(writer.isFinished(2));
  CHECK(!writer.isFinished(3));
  writeTensor(writer, 1);
  writeTensor(writer, 3);
  writer.publish();

  WriterOptions plain = optionsFor(folder / "plain");
  plain.max_shard_bytes = 6;
  writeOut(plain);
  CHECK(readFolder(folder / "out") == readFolder(folder / "plain"));
}

TEST_CASE("without resume an unfinished output starts again") {
  const TempFolder folder;
  const WriterOptions options = optionsFor(folder / "out");
  {
    ModelWriter writer(options, planSafetensors(options, kTensors));
    writeTensor(writer, 0);
    writer.addFile("stale.json", "x");
  }
  ModelWriter writer(options, planSafetensors(options, kTensors));
  CHECK(!writer.isFinished(0));
  for (size_t t = 0; t < 4; ++t) writeTensor(writer, t);
  writer.publish();
  CHECK(readFolder(folder / "out") == expectedOut());
}

TEST_CASE("a resumed run must be the same run") {
  const TempFolder folder;
  WriterOptions options = optionsFor(folder / "out");
  {
    ModelWriter writer(options, planSafetensors(options, kTensors));
    writeTensor(writer, 0);
  }
  options.resume = true;
  const auto before = readFolder(folder / "out.partial");
  const auto refused = [&](const WriterOptions& other, const std::vector<OutputTensor>& tensors) {
    NIB_CHECK_ERROR("was started by another command, from another input or by another version",
                    ModelWriter(other, planSafetensors(other, tensors)));
    CHECK(readFolder(folder / "out.partial") == before);
  };
  WriterOptions other = options;
  other.identity = "another";
  refused(other, kTensors);
  other.identity = "test ";
  refused(other, kTensors);
  other = options;
  other.max_shard_bytes = 3;
  refused(other, kTensors);
  other = options;
  other.metadata = {{"format", "np"}};
  refused(other, kTensors);
  std::vector<OutputTensor> tensors = kTensors;
  std::swap(tensors[0], tensors[1]);  // the same file, but another tensor 0
  refused(options, tensors);
  NIB_CHECK_ERROR("one line", [&] {
    other = optionsFor(folder / "lines");
    other.identity = "a\nb";
    ModelWriter(other, planSafetensors(other, kTensors));
  }());
  writeOut(options);
  CHECK(readFolder(folder / "out") == expectedOut());
}

TEST_CASE("a partial folder that nibble did not create is left unchanged") {
  const TempFolder folder;
  for (const bool resume : {false, true}) {
    WriterOptions options = optionsFor(folder / "out");
    options.resume = resume;
    options.force = true;
    writeText(folder / "out.partial/mine", "x");
    NIB_CHECK_ERROR("out.partial: exists and is not an unfinished output", writeOut(options));
    CHECK(readText(folder / "out.partial/mine") == "x");
    fs::remove_all(folder / "out.partial");
    writeText(folder / "out.partial", "x");
    NIB_CHECK_ERROR("out.partial: ", writeOut(options));
    CHECK(readText(folder / "out.partial") == "x");
    fs::remove(folder / "out.partial");
    writeText(folder / "elsewhere/mine", "x");
    fs::create_directory_symlink("elsewhere", folder / "out.partial");
    NIB_CHECK_ERROR("out.partial: ", writeOut(options));
    CHECK(readFolder(folder / "elsewhere").size() == 1);
    fs::remove(folder / "out.partial");
  }
  // A partial folder of nibble's with a foreign folder in it.
  { ModelWriter writer(optionsFor(folder / "out"), planSafetensors(optionsFor(folder / "out"), kTensors)); }
  writeText(folder / "out.partial/sub/mine", "x");
  NIB_CHECK_ERROR("has the folder sub in it", writeOut(optionsFor(folder / "out")));
  WriterOptions options = optionsFor(folder / "out");
  options.resume = true;
  NIB_CHECK_ERROR("sub: is left from an earlier run and cannot be deleted", writeOut(options));
  CHECK(readText(folder / "out.partial/sub/mine") == "x");
  // A link in place of a file is not followed.
  fs::remove_all(folder / "out.partial/sub");
  fs::remove(folder / "out.partial/model.safetensors");
  writeText(folder / "victim", "x");
  fs::create_symlink("../victim", folder / "out.partial/model.safetensors");
  NIB_CHECK_ERROR("model.safetensors: cannot be written", writeOut(options));
  CHECK(readText(folder / "victim") == "x");
}

TEST_CASE("a journal is valid up to its first bad line") {
  const TempFolder folder;
  WriterOptions options = optionsFor(folder / "out");
  {
    ModelWriter writer(options, planSafetensors(options, kTensors));
    for (size_t t = 0; t < 3; ++t) writeTensor(writer, t);
  }
  options.resume = true;
  const fs::path journal = folder / "out.partial/.nibble-journal";
  const std::string whole = readText(journal);
  const fs::path file = folder / "out.partial/model.safetensors";
  std::string bytes = readText(file);
  const auto finishedOf = [&] {
    if (readText(file) != bytes) writeText(file, bytes);  // a journal that counts as empty starts the files again
    ModelWriter writer(options, planSafetensors(options, kTensors));
    size_t count = 0;
    for (size_t t = 0; t < 4; ++t) {
      // Always the first ones: a line counts only if all earlier lines do.
      CHECK((!writer.isFinished(t) || count == t));
      count += writer.isFinished(t) ? 1 : 0;
    }
    return count;
  };
  CHECK(finishedOf() == 3);
  // Truncated at every byte.
  size_t last = 0;
  for (size_t size = 0; size <= whole.size(); ++size) {
    writeText(journal, whole.substr(0, size));
    const size_t lines = size_t(std::count(whole.begin(), whole.begin() + std::ptrdiff_t(size), '\n'));
    CHECK(finishedOf() == (lines == 0 ? 0 : lines - 1));
    last = lines;
  }
  CHECK(last == 4);
  // A wrong byte anywhere.
  for (size_t at = whole.find('\n') + 1; at < whole.size(); ++at) {
    std::string wrong = whole;
    wrong[at] ^= 1;
    writeText(journal, wrong);
    CHECK(finishedOf() == size_t(std::count(whole.begin(), whole.begin() + std::ptrdiff_t(at), '\n')) - 1);
  }
  // A missing line, zeros that a file system may leave, and trailing bytes.
  const size_t second = whole.find('\n') + 1, third = whole.find('\n', second) + 1;
  writeText(journal, whole.substr(0, second) + whole.substr(third));
  CHECK(finishedOf() == 0);
  writeText(journal, whole + std::string(100, '\0'));
  CHECK(finishedOf() == 3);
  // Lines appended after that count.
  {
    ModelWriter writer(options, planSafetensors(options, kTensors));
    writeTensor(writer, 3);
  }
  bytes = readText(file);
  CHECK(finishedOf() == 4);
}

TEST_CASE("a resumed run takes over a tensor only if its bytes are those that were written") {
  const TempFolder folder;
  WriterOptions options = optionsFor(folder / "out");
  {
    ModelWriter writer(options, planSafetensors(options, kTensors));
    for (size_t t = 0; t < 3; ++t) writeTensor(writer, t);
  }
  options.resume = true;
  const fs::path file = folder / "out.partial/model.safetensors";
  const std::string bytes = readText(file);
  const auto finishedOf = [&] {
    ModelWriter writer(options, planSafetensors(options, kTensors));
    size_t count = 0;
    for (size_t t = 0; t < 4; ++t) count += writer.isFinished(t) ? 1 : 0;
    return count;
  };
  CHECK(finishedOf() == 3);
  // One wrong byte costs its tensor: the journal's line for it is dropped.
  const fs::path journal = folder / "out.partial/.nibble-journal";
  const std::string before = readText(journal);
  std::string wrong = bytes;
  wrong[bytes.find("bbb") + 1] ^= 1;
  writeText(file, wrong);
  CHECK(finishedOf() == 2);
  writeText(file, bytes);
  CHECK(finishedOf() == 2);
  // Zeros of the right size.
  writeText(journal, before);
  writeText(file, std::string(bytes.size(), '\0'));
  CHECK(finishedOf() == 0);
  writeOut(options);
  CHECK(readFolder(folder / "out") == expectedOut());
}

TEST_CASE("bytes that arrive out of order are taken over too") {
  const TempFolder folder;
  WriterOptions options = optionsFor(folder / "out");
  {
    ModelWriter writer(options, planSafetensors(options, kTensors));
    writer.write(0, 1, bytesOf("aa"));
    writer.write(0, 0, bytesOf("a"));
    writer.finished(0);
  }
  options.resume = true;
  ModelWriter writer(options, planSafetensors(options, kTensors));
  CHECK(writer.isFinished(0));
}

TEST_CASE("a journal without hashes counts as empty") {
  const TempFolder folder;
  WriterOptions options = optionsFor(folder / "out");
  {
    ModelWriter writer(options, planSafetensors(options, kTensors));
    writeTensor(writer, 0);
  }
  options.resume = true;
  const fs::path journal = folder / "out.partial/.nibble-journal";
  const std::string whole = readText(journal);
  const size_t title = whole.find("nibble-journal 2 "), end = whole.find('\n');
  REQUIRE(title == 17);
  std::string text = whole.substr(title, end - title);
  text[15] = '1';
  uint64_t check = kFnv1aStart;
  std::string old;
  for (const std::string& line : {text, std::string("done 0")}) {
    check = fnv1a64(line.data(), line.size(), check);
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(check));
    old += digits + (' ' + line) + '\n';
  }
  writeText(journal, old);
  {
    ModelWriter writer(options, planSafetensors(options, kTensors));
    CHECK(!writer.isFinished(0));
  }
  writeOut(options);
  CHECK(readFolder(folder / "out") == expectedOut());
}

TEST_CASE("files beside a published output are not deleted") {
  // A run was killed right after its last rename: OUT is complete and still has its journal. It replaced nothing.
  const TempFolder folder;
  const WriterOptions options = optionsFor(folder / "out");
  {
    ModelWriter writer(options, planSafetensors(options, kTensors));
    for (size_t t = 0; t < 4; ++t) writeTensor(writer, t);
    fs::create_hard_link(folder / "out.partial/.nibble-journal", folder / "journal");
    writer.publish();
  }
  fs::rename(folder / "journal", folder / "out/.nibble-journal");
  writeText(folder / "out.partial/mine", "x");
  writeText(folder / "out.replaced/mine", "x");
  NIB_CHECK_ERROR("out: exists", writeOut(options));
  CHECK(readFolder(folder / "out") == expectedOut());
  CHECK(readText(folder / "out.partial/mine") == "x");
  CHECK(readText(folder / "out.replaced/mine") == "x");
}

TEST_CASE("a file that lost bytes is written again, in this and in later runs") {
  const TempFolder folder;
  WriterOptions options = optionsFor(folder / "out");
  options.max_shard_bytes = 6;
  {
    ModelWriter writer(options, planSafetensors(options, kTensors));
    writeTensor(writer, 0);
    writeTensor(writer, 2);
  }
  options.resume = true;
  fs::resize_file(folder / "out.partial/model-00001-of-00002.safetensors", 20);
  for (int run = 0; run < 2; ++run) {
    ModelWriter writer(options, planSafetensors(options, kTensors));
    CHECK(!writer.isFinished(0));
    CHECK(writer.isFinished(2));
  }
}

TEST_CASE("of two runs at once the second fails and changes nothing") {
  const TempFolder folder;
  for (const bool resume : {false, true}) {
    WriterOptions options = optionsFor(folder / "out");
    options.force = true;
    options.resume = resume;
    ModelWriter first(options, planSafetensors(options, kTensors));
    writeTensor(first, 0);
    NIB_CHECK_ERROR("out: another nibble is writing it", ModelWriter(options, planSafetensors(options, kTensors)));
    for (size_t t = 1; t < 4; ++t) writeTensor(first, t);
    first.publish();
    CHECK(readFolder(folder / "out") == expectedOut());
  }
}

TEST_CASE("an output of one file appears complete, and is replaced only with force") {
  const TempFolder folder;
  PublicationOptions options;
  options.out = folder / "model.gguf";
  options.kind = OutputKind::kFile;
  options.identity = "x";
  options.flush_bytes = 0;
  const std::vector<PlannedFile> files = {{"data", 10, std::vector<std::byte>(2, std::byte{'h'})}};
  const std::vector<PlannedItem> items = {{"a", 0, 2, 4}, {"b", 0, 6, 4}};
  {
    Publication publication(options, files, items);
    publication.write(0, 0, bytesOf("aaaa"));
    publication.finished(0);
    NIB_CHECK_ERROR("cannot have other files", publication.addFile("config.json", "{}"));
    NIB_CHECK_ERROR("\"b\" is not written", publication.publish());
  }
  CHECK(!fs::exists(options.out));
  options.resume = true;
  {
    Publication publication(options, files, items);
    CHECK(publication.isFinished(0));
    publication.write(1, 0, bytesOf("bbbb"));
    publication.finished(1);
    publication.publish();
  }
  CHECK(readFolder(folder.path()) == std::map<std::string, std::string>{{"model.gguf", "hhaaaabbbb"}});
  NIB_CHECK_ERROR("model.gguf: exists", Publication(options, files, items));
  options.force = true;
  options.keep = {options.out};
  NIB_CHECK_ERROR("is not replaced, because the input", Publication(options, files, items));
  options.keep = {};
  {
    Publication publication(options, files, items);
    CHECK(readText(options.out) == "hhaaaabbbb");
    publication.write(0, 0, bytesOf("AAAA"));
    publication.write(1, 0, bytesOf("BBBB"));
    publication.finished(0);
    publication.finished(1);
    publication.publish();
  }
  CHECK(readFolder(folder.path()) == std::map<std::string, std::string>{{"model.gguf", "hhAAAABBBB"}});
  fs::remove(options.out);
  fs::create_directory(options.out);
  NIB_CHECK_ERROR("model.gguf: is not a file", Publication(options, files, items));
}

}  // namespace
}  // namespace nib::model::test
