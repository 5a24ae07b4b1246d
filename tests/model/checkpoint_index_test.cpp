// Shards and their index, valid and invalid.
#include "model/archive/checkpoint.h"
#include "model_test.h"

namespace nib::model::test {
namespace {

std::string shard(const std::vector<std::string>& names) {
  std::string json = "{";
  for (size_t i = 0; i < names.size(); ++i) {
    json += (i == 0 ? "\"" : ",\"") + names[i] + "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[" +
            std::to_string(i) + "," + std::to_string(i + 1) + "]}";
  }
  return fileOf(json + "}", names.size());
}

constexpr const char* kOne = "model-00001-of-00002.safetensors";
constexpr const char* kTwo = "model-00002-of-00002.safetensors";

// A model of a, b in one shard and c in the other.
struct Sharded {
  TempFolder folder;
  Sharded() {
    writeText(folder / kOne, shard({"a", "b"}));
    writeText(folder / kTwo, shard({"c"}));
    index({{"a", kOne}, {"b", kOne}, {"c", kTwo}});
  }
  void index(const std::vector<std::pair<std::string, std::string>>& map) {
    std::string json = "{\"metadata\":{\"total_size\":3,\"more\":[{\"x\":null}]},\"weight_map\":{";
    for (size_t i = 0; i < map.size(); ++i)
      json += (i == 0 ? "\"" : ",\"") + map[i].first + "\":\"" + map[i].second + "\"";
    text(json + "}}\n");
  }
  void text(const std::string& json) { writeText(folder / "model.safetensors.index.json", json); }
  std::string error() {
    return errorOf([&] { Checkpoint checkpoint(folder.path()); });
  }
};

TEST_CASE("shards are one model, in the order of their names") {
  Sharded model;
  model.index({{"c", kTwo}, {"b", kOne}, {"a", kOne}});
  const Checkpoint checkpoint(model.folder.path());
  REQUIRE(checkpoint.size() == 3);
  CHECK(checkpoint.files() == std::vector<fs::path>{model.folder / kOne, model.folder / kTwo});
  CHECK(checkpoint.info(0).name == "a");
  CHECK(checkpoint.info(1).name == "b");
  CHECK(checkpoint.info(2).name == "c");
  CHECK(checkpoint.info(2).file == 1);
  CHECK(checkpoint.find("c") == 2);
  std::byte byte{};
  checkpoint.read(1, 0, {&byte, 1});
  CHECK(byte == std::byte{1});
}

TEST_CASE("shards may be links, as in a cache") {
  Sharded model;
  fs::create_directory(model.folder / "blobs");
  fs::rename(model.folder / kTwo, model.folder / "blobs/x");
  fs::create_symlink("blobs/x", model.folder / kTwo);
  CHECK(Checkpoint(model.folder.path()).size() == 3);
}

TEST_CASE("an index cannot lead out of its folder") {
  const TempFolder outside;
  writeText(outside / "c.safetensors", shard({"c"}));
  for (const std::string& name :
       {(outside / "c.safetensors").native(), "../" + outside.path().filename().native() + "/c.safetensors",
        std::string("sub/c.safetensors"), std::string("sub\\\\c.safetensors"), std::string(".."), std::string("."),
        std::string(""), std::string("c..safetensors"), std::string("\\u002e\\u002e\\u002fc.safetensors")}) {
    CAPTURE(name);
    Sharded model;
    writeText(model.folder / "sub/c.safetensors", shard({"c"}));
    model.index({{"a", kOne}, {"b", kOne}, {"c", name}});
    const std::string message = model.error();
    CHECK_MESSAGE(contains(message, "is not the name of a file in the folder of the index"), message);
  }
}

TEST_CASE("index and shards must list the same tensors") {
  {
    Sharded model;
    fs::remove(model.folder / kTwo);
    CHECK(contains(model.error(), std::string("names the file \"") + kTwo + "\", which does not exist"));
  }
  {
    Sharded model;
    model.index({{"a", kOne}, {"b", kOne}, {"c", kOne}});
    CHECK(contains(model.error(), std::string("tensor \"c\": is not in \"") + kOne + "\", where the index places it"));
  }
  {
    Sharded model;
    model.index({{"a", kOne}, {"b", kOne}, {"c", kTwo}, {"d", kTwo}});
    CHECK(contains(model.error(), "tensor \"d\": is not in"));
  }
  {
    Sharded model;
    model.index({{"a", kOne}, {"b", kOne}});
    writeText(model.folder / kTwo, shard({"a"}));
    CHECK(model.error().empty());  // the index does not name this file
  }
  {
    Sharded model;
    model.index({{"a", kOne}, {"b", kOne}, {"c", kTwo}, {"a", kOne}});
    CHECK(contains(model.error(), "tensor \"a\": is in the index twice"));
  }
  {
    Sharded model;
    fs::remove(model.folder / kTwo);
    fs::create_directory(model.folder / kTwo);
    CHECK(contains(model.error(), "is a folder"));
  }
  {
    Sharded model;
    writeText(model.folder / kTwo, shard({"c"}) + "x");
    CHECK(contains(model.error(), "bytes that belong to no tensor"));
  }
}

TEST_CASE("a tensor that the index does not name is kept, and one that it places elsewhere is left out") {
  {
    Sharded model;
    model.index({{"a", kOne}, {"c", kTwo}});
    const Checkpoint checkpoint(model.folder.path());
    CHECK(checkpoint.size() == 3);
    REQUIRE(checkpoint.notes().size() == 1);
    CHECK(contains(checkpoint.notes()[0], std::string("does not name \"b\" of ") + kOne));
  }
  Sharded model;
  writeText(model.folder / kTwo, shard({"a", "c"}));
  const Checkpoint checkpoint(model.folder.path());
  REQUIRE(checkpoint.size() == 3);
  REQUIRE(checkpoint.notes().size() == 1);
  CHECK(contains(checkpoint.notes()[0], std::string("instead of \"a\" of ") + kTwo));
  CHECK(checkpoint.info(2).name == "c");
  CHECK(checkpoint.info(2).file == 1);
  CHECK(checkpoint.info(*checkpoint.find("a")).file == 0);
  std::byte byte{};
  checkpoint.read(2, 0, {&byte, 1});
  CHECK(byte == std::byte{1});
}

TEST_CASE("an index that names other files is believed if the files have all of its tensors") {
  Sharded model;
  model.index({{"a", "model-00001-of-00003.safetensors"}, {"b", kOne}, {"c", "model-00003-of-00003.safetensors"}});
  {
    const Checkpoint checkpoint(model.folder.path());
    CHECK(checkpoint.size() == 3);
    REQUIRE(checkpoint.notes().size() == 1);
    CHECK(contains(checkpoint.notes()[0], "names files that do not exist (\"model-00001-of-00003.safetensors\")"));
  }
  model.index({{"a", "model-00001-of-00003.safetensors"}, {"d", kOne}});
  CHECK(contains(model.error(), "fetch it too, tensor \"d\" is in no other file"));
}

TEST_CASE("with an index, weights that it does not name are neither read nor copied, and named") {
  Sharded model;
  writeText(model.folder / "model.safetensors", shard({"a"}));
  writeText(model.folder / "pytorch_model.bin", "x");
  const Checkpoint checkpoint(model.folder.path());
  CHECK(checkpoint.size() == 3);
  REQUIRE(checkpoint.notes().size() == 2);
  CHECK(contains(checkpoint.notes()[0], "/model.safetensors: holds weights that are neither read nor copied"));
  CHECK(contains(checkpoint.notes()[1], "/pytorch_model.bin: holds weights that are neither read nor copied"));
}

TEST_CASE("an index is one JSON object with a weight_map of strings") {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"", "expected an object"},
      {"[]", "expected an object"},
      {"{}", "names no tensor"},
      {"{\"weight_map\":{}}", "names no tensor"},
      {"{\"weight_map\":[]}", "expected an object"},
      {"{\"weight_map\":{\"a\":1}}", "tensor \"a\": expected a string"},
      {"{\"weight_map\":{},\"weight_map\":{}}", "a second weight_map"},
      {"{\"metadata\":{},\"metadata\":{},\"weight_map\":{}}", "a second metadata"},
      {"{\"weight_map\":{}} x", "after the end"},
      {"{\"weight_map\":{\"a\":\"" + std::string(kOne) + "\"}", "expected ','"},
      {"{\"weight_map\":{\"\xff\":\"x\"}}", "not UTF-8"},
      {"{\"x\":" + std::string(100'000, '[') + "}", "nested too deep"}};
  for (const auto& row : rows) {
    const std::string &json = row.first, &says = row.second;
    Sharded model;
    model.text(json);
    const std::string message = model.error();
    CHECK_MESSAGE(contains(message, says), json.substr(0, 80), " gives: ", message);
    CHECK(contains(message, "model.safetensors.index.json: "));
  }
}

}  // namespace
}  // namespace nib::model::test
