#include "model/archive/journal.h"

#include "base/hash.h"
#include "model/archive/error.h"

#include <charconv>
#include <cstdio>
#include <string_view>

namespace nib::model {
namespace {

constexpr std::string_view kTitle = "nibble-journal 2 ";
constexpr std::string_view kDone = "done ";
constexpr std::string_view kPublish = "publish ";
constexpr uint64_t kMaxJournalBytes = 1'000'000'000;

uint64_t checkOf(std::string_view text, uint64_t previous) { return fnv1a64(text.data(), text.size(), previous); }

std::string hex16(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

bool readNumber(std::string_view line, std::string_view start, uint64_t& number) {
  if (!line.starts_with(start)) return false;
  const char* const end = line.data() + line.size();
  const auto read = std::from_chars(line.data() + start.size(), end, number);
  return read.ec == std::errc() && read.ptr == end;
}

// "done 12 0123456789abcdef0123456789abcdef"
bool readDone(std::string_view line, Journal::Done& done) {
  constexpr size_t kHexDigits = 32;
  if (line.size() <= kHexDigits || line[line.size() - kHexDigits - 1] != ' ') return false;
  const std::string_view hex = line.substr(line.size() - kHexDigits);
  const auto readHalf = [&](size_t at, uint64_t& half) {
    const char* const end = hex.data() + at + 16;
    const auto read = std::from_chars(hex.data() + at, end, half, 16);
    return read.ec == std::errc() && read.ptr == end;
  };
  return readNumber(line.substr(0, line.size() - kHexDigits - 1), kDone, done.item) && readHalf(0, done.hash.high) &&
         readHalf(16, done.hash.low);
}

}  // namespace

Journal::Journal(const std::filesystem::path& folder, const std::filesystem::path& output)
    : file_(File::openToWrite(folder / kJournalName)) {
  // Between opening and locking, another process may have published or deleted the folder.
  if (!file_.tryLock() || !file_.isStillAt(folder / kJournalName)) {
    throw Error(shown(output) + ": another nibble is writing it (its lock is " + shown(folder / kJournalName) +
                "): wait until it ends");
  }
}

Journal::Content Journal::load() {
  Content content;
  const uint64_t bytes = file_.bytes();
  if (bytes > kMaxJournalBytes)
    throw Error(shown(file_.path()) + ": is too long for a journal: delete its folder and start again");
  std::string text(bytes, '\0');
  file_.read(0, std::as_writable_bytes(std::span(text)));
  end_ = 0;
  check_ = kFnv1aStart;
  for (std::string_view rest = text;;) {
    const size_t size = rest.find('\n');
    if (size == rest.npos || size < 17) break;
    const std::string_view line = rest.substr(17, size - 17);
    const uint64_t check = checkOf(line, check_);
    if (rest.substr(0, 17) != hex16(check) + ' ') break;
    uint64_t number = 0;
    Done done;
    if (!content.begun) {
      if (!line.starts_with(kTitle)) break;
      content.identity = line.substr(kTitle.size());
      content.begun = true;
    } else if (readDone(line, done)) {
      content.done.push_back(done);
    } else if (readNumber(line, kPublish, number)) {
      content.publishing = true;
      content.replaced = number;
    } else {
      break;
    }
    check_ = check;
    end_ += size + 1;
    rest.remove_prefix(size + 1);
  }
  file_.truncate(end_);
  return content;
}

std::string Journal::line(const std::string& text) {
  check_ = checkOf(text, check_);
  return hex16(check_) + ' ' + text + '\n';
}

void Journal::append(const std::string& lines) {
  file_.write(end_, std::as_bytes(std::span(lines)));
  file_.sync();
  end_ += lines.size();
}

void Journal::begin(const std::string& identity) {
  if (identity.find('\n') != identity.npos) throw Error("the identity of an output is one line");
  file_.truncate(0);
  end_ = 0;
  check_ = kFnv1aStart;
  append(line(std::string(kTitle) + identity));
}

void Journal::addDone(std::span<const Done> items) {
  std::string lines;
  for (const Done& done : items) lines += line(std::string(kDone) + std::to_string(done.item) + ' ' + done.hash.hex());
  append(lines);
}

void Journal::addPublish(uint64_t replaced) { append(line(std::string(kPublish) + std::to_string(replaced))); }

}  // namespace nib::model
