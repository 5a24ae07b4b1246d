// Opening models: common layouts, and broken ones.
#include "model/archive/checkpoint.h"
#include "model_test.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <thread>

namespace nib::model::test {
namespace {

const std::string kTwo =
    "{\"b\":{\"dtype\":\"U8\",\"shape\":[2,2],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F16\",\"shape\":[3],\"data_"
    "offsets\":[4,10]}}";

TEST_CASE("a single file is read") {
  const TempFolder folder;
  writeText(folder / "x.safetensors", fileOf(kTwo, 10));
  const Checkpoint checkpoint(folder / "x.safetensors");
  REQUIRE(checkpoint.size() == 2);
  CHECK(checkpoint.info(0).name == "b");
  CHECK(checkpoint.info(0).offset == 8 + kTwo.size());
  const TensorInfo a = checkpoint.info(*checkpoint.find("a"));
  CHECK(a.dtype == Dtype::kF16);
  CHECK(a.shape == std::vector<uint64_t>{3});
  CHECK(a.bytes == 6);
  CHECK(a.file == 0);
  CHECK(!checkpoint.find("c"));
  std::vector<std::byte> bytes(4);
  checkpoint.read(1, 2, bytes);
  CHECK(bytes == std::vector<std::byte>{std::byte{6}, std::byte{7}, std::byte{8}, std::byte{9}});
  CHECK(!checkpoint.configJson());
  CHECK(checkpoint.sideFiles().empty());
  CHECK(checkpoint.files() == std::vector<fs::path>{folder / "x.safetensors"});
  NIB_CHECK_ERROR("\"a\": bytes beyond its end", checkpoint.read(1, 3, bytes));
  NIB_CHECK_ERROR("\"a\": bytes beyond its end", checkpoint.read(1, UINT64_MAX, bytes));
  NIB_CHECK_ERROR("tensor 2 of 2", checkpoint.info(2));
}

TEST_CASE("a folder gives its weights, its config.json and its side files") {
  const TempFolder folder;
  writeText(folder / "model.safetensors", fileOf(kTwo, 10));
  writeText(folder / "config.json", "{\"a\":1}");
  const std::vector<std::string> side = {".gitattributes",
                                         "1_Pooling/config.json",
                                         "2_Dense/config.json",
                                         "2_Dense/model.safetensors",
                                         "LICENSE",
                                         "README.md",
                                         "chat_template.jinja",
                                         "custom_generate/deep/generate.py",
                                         "generation_config.json",
                                         "merges.txt",
                                         "modeling_x.py",
                                         "notes.txt",
                                         "source.spm",
                                         "tekken.json",
                                         "tokenizer.json",
                                         "tokenizer.model",
                                         "vocab.json"};
  const std::vector<std::string> others = {
      "quantize_config.json", "hf_quant_config.json", "pytorch_model.bin",         "model.gguf",  "x.pt",
      "onnx/model.onnx",      "earlier/config.json",  "earlier/model.safetensors", ".git/config", "flax_model.msgpack"};
  for (const std::string& name : side) writeText(folder / name, name);
  for (const std::string& name : others) writeText(folder / name, name);
  REQUIRE(mkfifo((folder / "tokenizer.fifo").c_str(), 0600) == 0);
  fs::create_symlink("nowhere", folder / "added_tokens.json");
  fs::create_directory_symlink("..", folder / "loop");
  const Checkpoint checkpoint(folder.path());
  CHECK(checkpoint.size() == 2);
  CHECK(checkpoint.configJson() == "{\"a\":1}");
  std::vector<std::string> found;
  for (const SideFile& file : checkpoint.sideFiles()) {
    found.push_back(file.name);
    CHECK(file.path == folder / file.name);
  }
  CHECK(found == side);
  std::string notes;
  for (const std::string& note : checkpoint.notes()) {
    CHECK(isOneLine(note));
    notes += note + "\n";
  }
  for (const char* part : {"pytorch_model.bin: holds weights", "onnx/model.onnx: holds weights", "x.pt: holds weights",
                           "hf_quant_config.json: is not copied: it describes the weights",
                           "added_tokens.json: is not copied: it is a link to a file that is not there",
                           "tokenizer.fifo: is not copied: it is not a regular file",
                           "loop: is not copied: it is a link to a folder around it",
                           "earlier: is not copied: it is a model of its own"}) {
    CHECK_MESSAGE(contains(notes, part), part, " is not in ", notes);
  }
  CHECK(!contains(notes, "model.safetensors:"));
}

TEST_CASE("the folder of an adapter is told from a model") {
  for (const char* name : {"adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"}) {
    const TempFolder folder;
    writeText(folder / "model.safetensors", fileOf(kTwo, 10));
    CHECK_NOTHROW(refuseAdapter(folder.path()));
    writeText(folder / name, "x");
    NIB_CHECK_ERROR("merge it first", refuseAdapter(folder.path()));
  }
  CHECK(isAdapterTensor("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"));
  CHECK(!isAdapterTensor("model.layers.0.self_attn.q_proj.weight"));
}

TEST_CASE("a cache whose files are links is read through them") {
  const TempFolder folder;
  writeText(folder / "blobs/abc", fileOf(kTwo, 10));
  writeText(folder / "blobs/def", "{}");
  fs::create_directories(folder / "snapshots/x");
  fs::create_symlink("../../blobs/abc", folder / "snapshots/x/model.safetensors");
  fs::create_symlink("../../blobs/def", folder / "snapshots/x/config.json");
  fs::create_symlink("../../blobs/def", folder / "snapshots/x/tokenizer.json");
  fs::create_symlink("x", folder / "snapshots/y");
  for (const char* name :
       {"snapshots/x", "snapshots/y", "snapshots/x/", "snapshots/x/model.safetensors", "blobs/abc"}) {
    CAPTURE(name);
    CHECK(Checkpoint(folder / name).size() == 2);
  }
  const Checkpoint checkpoint(folder / "snapshots/x");
  CHECK(checkpoint.configJson() == "{}");
  REQUIRE(checkpoint.sideFiles().size() == 1);
  CHECK(checkpoint.sideFiles()[0].path == folder / "snapshots/x/tokenizer.json");
}

TEST_CASE("the only safetensors file of a folder is its model, two without an index are refused") {
  const TempFolder folder;
  writeText(folder / "consolidated.safetensors", fileOf(kTwo, 10));
  CHECK(Checkpoint(folder.path()).size() == 2);
  writeText(folder / "other.safetensors", fileOf(kTwo, 10));
  NIB_CHECK_ERROR("2 safetensors files but no model.safetensors.index.json", Checkpoint(folder.path()));
  writeText(folder / "model.safetensors", fileOf(kTwo, 10));
  CHECK(Checkpoint(folder.path()).files() == std::vector<fs::path>{folder / "model.safetensors"});
}

TEST_CASE("pickle is refused with the reason and an alternative") {
  for (const char* name : {"pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json",
                           "model.pt", "consolidated.00.pth"}) {
    CAPTURE(name);
    const TempFolder folder;
    writeText(folder / name, "x");
    writeText(folder / "config.json", "{}");
    const std::string message = errorOf([&] { Checkpoint checkpoint(folder.path()); });
    CHECK(contains(message, name));
    CHECK(contains(message, "loading pickle can run code"));
    CHECK(contains(message, "safe_serialization=True"));
    writeText(folder / "model.safetensors", fileOf(kTwo, 10));
    CHECK(Checkpoint(folder.path()).size() == 2);
  }
  const TempFolder folder;
  writeText(folder / "model.bin", "PK\x03\x04 and more");
  NIB_CHECK_ERROR("pickle can run code", Checkpoint(folder / "model.bin"));
  writeText(folder / "model.pt", "\x80\x02 and more");
  NIB_CHECK_ERROR("pickle can run code", Checkpoint(folder / "model.pt"));
  writeText(folder / "model.gguf", "GGUF and more");
  NIB_CHECK_ERROR("is GGUF of the unknown version", Checkpoint(folder / "model.gguf"));
}

TEST_CASE("anything but a regular file is refused, and nothing hangs") {
  const TempFolder folder;
  NIB_CHECK_ERROR("nosuch: there is no such file or folder", Checkpoint(folder / "nosuch"));
  NIB_CHECK_ERROR("contains no model", Checkpoint(folder.path()));
  const fs::path path = folder / "model.safetensors";
  fs::create_directory(path);
  NIB_CHECK_ERROR("model.safetensors: is a folder, expected a file", Checkpoint(folder.path()));
  fs::remove(path);
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  NIB_CHECK_ERROR("model.safetensors: is a FIFO", Checkpoint(folder.path()));
  NIB_CHECK_ERROR("model.safetensors: is a FIFO", Checkpoint(path));
  fs::remove(path);
  fs::create_symlink("/dev/zero", path);
  NIB_CHECK_ERROR("model.safetensors: is a device", Checkpoint(folder.path()));
  fs::remove(path);
  fs::create_symlink("model.safetensors", path);
  NIB_CHECK_ERROR("model.safetensors: cannot be read", Checkpoint(folder.path()));
  fs::remove(path);
  fs::create_symlink("nosuch", path);
  NIB_CHECK_ERROR("model.safetensors: cannot be read", Checkpoint(folder.path()));
  fs::remove(path);
  const int socket_fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.native().copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(bind(socket_fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  NIB_CHECK_ERROR("model.safetensors: is a socket", Checkpoint(folder.path()));
  close(socket_fd);
  fs::remove(path);
  writeText(path, fileOf(kTwo, 10));
  REQUIRE(mkfifo((folder / "config.json").c_str(), 0600) == 0);
  NIB_CHECK_ERROR("config.json: is a FIFO", Checkpoint(folder.path()));
  fs::remove(folder / "config.json");
  writeText(folder / "config.json", "");
  fs::resize_file(folder / "config.json", 64'000'001);
  NIB_CHECK_ERROR("config.json: has 64000001 bytes, more than", Checkpoint(folder.path()));
}

TEST_CASE("a file that shrinks while it is read is an error, not zeros") {
  const TempFolder folder;
  writeText(folder / "x.safetensors", fileOf(kTwo, 10));
  const Checkpoint checkpoint(folder / "x.safetensors");
  fs::resize_file(folder / "x.safetensors", 8 + kTwo.size() + 5);
  std::vector<std::byte> bytes(6);
  NIB_CHECK_ERROR("x.safetensors: ends at byte", checkpoint.read(1, 0, bytes));
}

TEST_CASE("concurrent reads give the same bytes as one thread") {
  const TempFolder folder;
  std::string json = "{";
  for (int i = 0; i < 50; ++i) {
    json += (i == 0 ? "\"t" : ",\"t") + std::to_string(i) + "\":{\"dtype\":\"U8\",\"shape\":[1000],\"data_offsets\":[" +
            std::to_string(i * 1000) + "," + std::to_string(i * 1000 + 1000) + "]}";
  }
  json += "}";
  const std::string file = fileOf(json, 50'000);
  writeText(folder / "x.safetensors", file);
  const Checkpoint checkpoint(folder / "x.safetensors");
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int k = 0; k < 2000; ++k) {
        const size_t i = *checkpoint.find("t" + std::to_string(random() % 50));
        const uint64_t offset = random() % 1000;
        std::string piece(random() % (1001 - offset), '\0');
        checkpoint.read(i, offset, std::as_writable_bytes(std::span(piece)));
        if (piece != file.substr(8 + json.size() + i * 1000 + offset, piece.size())) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace nib::model::test
