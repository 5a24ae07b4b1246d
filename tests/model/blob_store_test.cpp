// The blobs of layers that GPTQ has finished: damage is not believed, and nothing but blobs is deleted.
#include "model/quantize/gptq/store.h"

#include "model/archive/error.h"
#include "model_test.h"

namespace nib::model::test {
namespace {

fs::path onlyBlob(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".blob") return entry.path();
  }
  FAIL("there is no blob");
  return {};
}

}  // namespace

TEST_CASE("a blob is read again as it was saved, and not if anything of it has changed") {
  const TempFolder temp;
  const fs::path folder = temp / "out.gptq";
  GptqLayerReport report;
  report.module = "layer";
  report.loss = 0.25;
  HostBlob blob;
  blob.bytes.resize(40, std::byte{7});
  blob.order = {2, 0, 1};
  {
    const BlobStore store(folder, "run", false);
    store.save(report, blob);
    const std::optional<BlobStore::Entry> entry = store.read("layer");
    REQUIRE(entry);
    CHECK(entry->blob.bytes == blob.bytes);
    CHECK(entry->blob.order == blob.order);
    CHECK(entry->report.loss == 0.25);
    CHECK(!store.read("another layer"));
  }
  CHECK(!BlobStore(folder, "another run", true).read("layer"));
  const fs::path path = onlyBlob(folder);
  const std::string text = readText(path);
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string other = text;
    REQUIRE(other.find(from) != other.npos);
    return other.replace(other.find(from), from.size(), to);
  };
  for (const std::string& damaged :
       {changed("[2,0,1]", "[0,2,1]"), changed("[2,0,1]", "[2,0]"), changed("[2,0,1]", "[2,0,9]"),
        changed("0.25", "-0.5"), changed(std::string(40, '\x07'), std::string(40, '\x06'))}) {
    writeText(path, damaged);
    CHECK(!BlobStore(folder, "run", true).read("layer"));
  }
  writeText(path, text);
  CHECK(BlobStore(folder, "run", true).read("layer"));
  CHECK(!BlobStore(folder, "run", false).read("layer"));
}

TEST_CASE("a folder of other files, or of another run, is no store, with and without --resume") {
  const TempFolder temp;
  for (const bool resume : {false, true}) {
    const fs::path folder = temp / (resume ? "a" : "b");
    fs::create_directory(folder);
    writeText(folder / "notes.blob", "mine");
    CHECK_THROWS_WITH_AS(BlobStore(folder, "run", resume), doctest::Contains("holds notes.blob"), Error);
    CHECK_THROWS_WITH_AS(BlobStore::check(folder), doctest::Contains("holds notes.blob"), Error);
    CHECK(readText(folder / "notes.blob") == "mine");
    fs::remove(folder / "notes.blob");
    // A name of nibble's own, in a folder that nibble did not make.
    writeText(folder / "activations", "mine");
    CHECK_THROWS_WITH_AS(BlobStore(folder, "run", resume), doctest::Contains("holds activations"), Error);
    CHECK(readText(folder / "activations") == "mine");
    fs::remove(folder / "activations");
    fs::create_directory(folder / "sub");
    CHECK_THROWS_WITH_AS(BlobStore(folder, "run", resume), doctest::Contains("holds sub"), Error);
    fs::remove(folder / "sub");
    const BlobStore store(folder, "run", resume);
    CHECK_THROWS_WITH_AS(BlobStore(folder, "run", resume), doctest::Contains("another nibble"), Error);
    writeText(folder / "new.txt", "mine");
    store.remove();
    CHECK(readText(folder / "new.txt") == "mine");
    CHECK(std::distance(fs::directory_iterator(folder), fs::directory_iterator()) == 1);
  }
  writeText(temp / "file", "mine");
  CHECK_THROWS_WITH_AS(BlobStore::check(temp / "file"), doctest::Contains("is a file"), Error);
}

}  // namespace nib::model::test
