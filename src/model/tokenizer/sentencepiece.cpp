#include "model/tokenizer/sentencepiece.h"

#include "model/archive/error.h"
#include "model/archive/posix_file.h"
#include "model/archive/utf8.h"
#include "model/tokenizer/charsmap.h"
#include "model/tokenizer/text.h"

#include <sentencepiece_processor.h>

#include <bit>
#include <cmath>
#include <string>
#include <utility>

namespace nib::model {
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{256} << 20;

// The fields of a message of protocol buffers. Unknown ones are skipped.
class Message {
 public:
  Message(std::string_view bytes, const std::string& place) : bytes_(bytes), place_(place) {}

  // Returns false at the end.
  bool next() {
    if (at_ == bytes_.size()) return false;
    const uint64_t tag = varint();
    field = tag >> 3;
    value = 0;
    text = {};
    switch (tag & 7) {
      case 0: value = varint(); break;
      case 1: value = fixed(8); break;
      case 2: {
        const uint64_t size = varint();
        if (size > bytes_.size() - at_) fail("ends within a field");
        text = bytes_.substr(at_, size);
        at_ += size;
        break;
      }
      case 5: value = fixed(4); break;
      default: fail("has a field of an unknown kind");
    }
    kind = uint32_t(tag & 7);
    return true;
  }

  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(place_ + ": " + problem + "; it is not a SentencePiece model, or is damaged");
  }
  void want(uint32_t wanted) const {
    if (kind != wanted) fail("has a field of the wrong kind");
  }

  uint64_t field = 0;
  uint32_t kind = 0;
  uint64_t value = 0;
  std::string_view text;

 private:
  uint64_t varint() {
    uint64_t result = 0;
    for (uint32_t shift = 0; shift < 64; shift += 7) {
      if (at_ == bytes_.size()) break;
      const auto byte = static_cast<unsigned char>(bytes_[at_++]);
      result |= uint64_t(byte & 127) << shift;
      if (byte < 128) return result;
    }
    fail("ends within a number");
  }
  uint64_t fixed(uint32_t size) {
    if (bytes_.size() - at_ < size) fail("ends within a number");
    uint64_t result = 0;
    for (uint32_t i = 0; i < size; ++i) result |= uint64_t(static_cast<unsigned char>(bytes_[at_++])) << (8 * i);
    return result;
  }

  std::string_view bytes_;
  const std::string& place_;
  size_t at_ = 0;
};

enum PieceType : uint64_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

// Properties of the file that the library does not check or does not report.
struct ModelFile {
  Vocabulary vocabulary;
  std::vector<SentencePiece::Piece> pieces;
  bool is_bpe = false;
  bool adds_prefix = true;
  bool removes_space = true;

  ModelFile(std::string_view bytes, const std::string& place) {
    Message model(bytes, place);
    uint64_t model_type = 1, bytes_found = 0;
    bool byte_fallback = false, has_unknown = false;
    while (model.next()) {
      if (model.field == 1) {
        model.want(2);
        const PieceType type = addPiece(model, place);
        if (type == kUnknown && std::exchange(has_unknown, true)) model.fail("has two unknown pieces");
        if (type == kByte) ++bytes_found;
      } else if (model.field == 2) {
        model.want(2);
        for (Message trainer(model.text, place); trainer.next();) {
          if (trainer.field == 3) model_type = trainer.value;
          if (trainer.field == 35) byte_fallback = trainer.value != 0;
        }
      } else if (model.field == 3) {
        model.want(2);
        for (Message normalizer(model.text, place); normalizer.next();) {
          if (normalizer.field == 2 && !normalizer.text.empty()) CharsMap(normalizer.text, place);
          if (normalizer.field == 3) adds_prefix = normalizer.value != 0;
          if (normalizer.field == 4) removes_space = normalizer.value != 0;
        }
      }
    }
    is_bpe = model_type == 2;
    if (vocabulary.size() == 0) model.fail("has no pieces");
    if (!has_unknown) model.fail("has no unknown piece");
    if (byte_fallback && bytes_found != 256) model.fail("has byte_fallback, but not 256 pieces for bytes");
    if (model_type != 1 && model_type != 2) {
      throw Error(place + ": SentencePiece's model type " +
                  (model_type == 3   ? "WORD"
                   : model_type == 4 ? "CHAR"
                                     : "?") +
                  " is not supported, only UNIGRAM and BPE are");
    }
  }

 private:
  PieceType addPiece(const Message& model, const std::string& place) {
    std::string_view piece;
    uint64_t type = kNormal;
    float score = 0;
    for (Message fields(model.text, place); fields.next();) {
      if (fields.field == 1) fields.want(2), piece = fields.text;
      if (fields.field == 2) {
        fields.want(5);
        score = std::bit_cast<float>(uint32_t(fields.value));
        if (!std::isfinite(score)) model.fail("has a score that is not finite");
      }
      if (fields.field == 3) fields.want(0), type = fields.value;
    }
    if (type < kNormal || type > kByte) model.fail("has a piece of an unknown type");
    if (piece.empty() || findInvalidUtf8(piece) != piece.npos || piece.find('\0') != piece.npos) {
      model.fail("has a piece that is empty or not text");
    }
    if (type == kByte && !byteOfToken(piece)) model.fail("has the byte piece " + quoteText(piece));
    if (vocabulary.size() == kMaxTokens || !vocabulary.add(piece, vocabulary.size())) {
      model.fail("has the piece " + quoteText(piece) + " twice");
    }
    pieces.push_back({score, uint32_t(type)});
    return PieceType(type);
  }
};

}  // namespace

struct SentencePiece::State {
  State(std::string_view bytes, const std::string& place) : file(bytes, place) {}

  ModelFile file;
  sentencepiece::SentencePieceProcessor with_prefix;
  sentencepiece::SentencePieceProcessor without_prefix;
};

SentencePiece::SentencePiece(const SideFile& file, const std::string& where) {
  const std::vector<char> text = contentOf(file, kMaxFileBytes);
  std::string bytes(text.begin(), text.end());
  state_ = std::make_unique<State>(bytes, where);
  const auto load = [&](sentencepiece::SentencePieceProcessor& to) {
    const auto status = to.LoadFromSerializedProto(bytes);
    if (!status.ok()) {
      throw Error(where + ": the SentencePiece library refuses it: " + quoteText(status.ToString(), 300));
    }
    if (uint32_t(to.GetPieceSize()) != state_->file.vocabulary.size()) {
      throw Error(where + ": the SentencePiece library finds another number of pieces");
    }
  };
  load(state_->with_prefix);
  // The fields of a message that appears twice are merged: normalizer_spec {add_dummy_prefix: false}.
  bytes.append("\x1a\x02\x18\x00", 4);
  load(state_->without_prefix);
}

SentencePiece::~SentencePiece() = default;
SentencePiece::SentencePiece(SentencePiece&&) noexcept = default;
SentencePiece& SentencePiece::operator=(SentencePiece&&) noexcept = default;

void SentencePiece::encode(std::string_view text, bool with_prefix, std::vector<uint32_t>& ids) const {
  std::vector<int> found;
  const auto status = (with_prefix ? state_->with_prefix : state_->without_prefix).Encode(text, &found);
  if (!status.ok()) throw Error("the SentencePiece library fails: " + quoteText(status.ToString(), 300));
  ids.insert(ids.end(), found.begin(), found.end());
}

const Vocabulary& SentencePiece::vocabulary() const { return state_->file.vocabulary; }
bool SentencePiece::isControl(uint32_t id) const {
  const uint32_t type = state_->file.pieces[id].type;
  return type == kControl || type == kUnknown;
}
SentencePiece::Piece SentencePiece::piece(uint32_t id) const { return state_->file.pieces[id]; }
bool SentencePiece::isBpe() const { return state_->file.is_bpe; }
bool SentencePiece::addsPrefix() const { return state_->file.adds_prefix; }
bool SentencePiece::removesSpace() const { return state_->file.removes_space; }

std::optional<uint32_t> SentencePiece::bos() const {
  const int id = state_->with_prefix.bos_id();
  return id < 0 ? std::nullopt : std::optional(uint32_t(id));
}

std::optional<uint32_t> SentencePiece::eos() const {
  const int id = state_->with_prefix.eos_id();
  return id < 0 ? std::nullopt : std::optional(uint32_t(id));
}

}  // namespace nib::model
