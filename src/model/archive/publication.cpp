#include "model/archive/publication.h"

#include "model/archive/error.h"
#include "model/archive/hash.h"

#include <algorithm>

namespace nib::model {
namespace {

namespace fs = std::filesystem;

// Whether the path exists, without following symbolic links. False if it cannot be examined.
bool isThere(const fs::path& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));
}

// Extends the caller's identity by a hash of the plan: other tensors, or another split into shards, are another output.
std::string identityOf(const PublicationOptions& options, const std::vector<PlannedFile>& files,
                       const std::vector<PlannedItem>& items) {
  Hasher hasher;
  hasher.add(static_cast<uint64_t>(options.kind));
  hasher.add(uint64_t{files.size()});
  for (const PlannedFile& file : files) {
    hasher.add(file.name);
    hasher.add(file.bytes);
    hasher.add(uint64_t{file.head.size()});
    hasher.add(file.head);
  }
  for (const PlannedItem& item : items) {
    hasher.add(item.name);
    hasher.add(uint64_t{item.file});
    hasher.add(item.offset);
    hasher.add(item.bytes);
  }
  return "plan=" + hasher.digest().hex() + ' ' + options.identity;
}

void checkName(const std::string& name) {
  if (name.empty() || name == "." || name == ".." || name == kJournalName || name.find('/') != name.npos ||
      name.find('\0') != name.npos) {
    throw Error(quoteText(name) +
                " cannot name an output file: use a name without '/' that is not empty, \".\", \"..\" or " +
                kJournalName);
  }
}

// A side file may be in a subfolder.
void checkSideName(const std::string& name) {
  for (size_t at = 0; at <= name.size();) {
    const size_t end = std::min(name.find('/', at), name.size());
    checkName(name.substr(at, end - at));
    at = end + 1;
  }
}

}  // namespace

Publication::Publication(const PublicationOptions& options, std::vector<PlannedFile> files,
                         std::vector<PlannedItem> items)
    : options_(options),
      paths_(outputPathsOf(options.out)),
      planned_(std::move(files)),
      items_(std::move(items)),
      state_(std::make_unique<std::atomic<uint64_t>[]>(items_.size())),
      hashes_(std::make_unique<PieceHash[]>(items_.size())) {
  if (options_.kind == OutputKind::kFile && planned_.size() != 1)
    throw Error(shown(paths_.out) + ": an output of one file needs exactly one planned file");
  for (const PlannedFile& file : planned_) {
    checkName(file.name);
    if (!names_.insert(file.name).second)
      throw Error(quoteText(file.name) + ": occurs twice in the output: use distinct names");
  }
  const std::string identity = identityOf(options_, planned_, items_);
  recover();
  checkReplaceable(paths_, options_.kind, options_.force, options_.keep);
  const bool is_new = openPartial(identity);
  try {
    openFiles(identity);
  } catch (...) {
    // A new partial folder holds nothing to resume, so remove it.
    files_.clear();
    if (is_new) {
      std::error_code ignored;
      for (const std::string& name : names_) fs::remove(paths_.partial / name, ignored);
      fs::remove(paths_.partial / kJournalName, ignored);
      fs::remove(paths_.partial, ignored);
    }
    throw;
  }
}

Publication::~Publication() {
  if (published_) return;
  try {
    const std::lock_guard lock(mutex_);
    flush();
  } catch (const std::exception&) {  // a resumed run writes these items again
  }
}

// Cleans up after a run that was killed between the rename to OUT and the end of publish().
void Publication::recover() {
  if (options_.kind == OutputKind::kFolder && isThere(paths_.out / kJournalName)) {
    Journal journal(paths_.out, paths_.out);
    const Journal::Content content = journal.load();
    if (!content.publishing) return;
    for (const fs::path& old : {paths_.partial, paths_.aside}) {
      if (content.replaced != 0 && inodeOf(old) == content.replaced) removeOutput(old);
    }
    std::error_code ignored;
    fs::remove(paths_.out / kJournalName, ignored);
  }
  if (options_.kind == OutputKind::kFile && isThere(paths_.partial / kJournalName) &&
      !isThere(paths_.partial / planned_[0].name)) {
    Journal journal(paths_.partial, paths_.out);
    if (journal.load().publishing) removeOutput(paths_.partial);
  }
}

// Creates or opens the partial folder, and locks its journal for this identity. Returns true if the folder has nothing
// to resume.
bool Publication::openPartial(const std::string& identity) {
  std::error_code error;
  const bool made = fs::create_directory(paths_.partial, error);
  if (error) throw Error(shown(paths_.partial) + ": cannot be created: " + error.message());
  if (!made) {
    const bool is_folder = fs::symlink_status(paths_.partial, error).type() == fs::file_type::directory;
    if (!is_folder || (!isThere(paths_.partial / kJournalName) && !fs::is_empty(paths_.partial, error))) {
      throw Error(shown(paths_.partial) + ": exists and is not an unfinished output of nibble: move it");
    }
  }
  journal_.emplace(paths_.partial, paths_.out);
  resumed_ = journal_->load();
  if (options_.resume && resumed_.begun) {
    if (resumed_.identity == identity) return false;
    throw Error(shown(paths_.partial) +
                ": was started by another command, from another input or by another version of nibble: "
                "resume it with the same, or start again without --resume");
  }
  resumed_ = {};
  removeOutput(paths_.partial, kJournalName);
  journal_->begin(identity);
  syncFolder(paths_.partial);
  syncFolder(paths_.partial.parent_path());
  return true;
}

void Publication::openFiles(const std::string& identity) {
  // Delete the side files of the interrupted run: this run adds its own.
  for (const std::string& name : listFolder(paths_.partial)) {
    if (name == kJournalName || names_.count(name) != 0) continue;
    if (removeOwnSubfolder(paths_.partial, name)) continue;
    std::error_code error;
    fs::remove(paths_.partial / name, error);
    if (error)
      throw Error(shown(paths_.partial / name) +
                  ": is left from an earlier run and cannot be deleted: " + error.message());
  }

  std::vector<bool> was_whole;
  for (const PlannedFile& planned : planned_) {
    const File& file = files_.emplace_back(File::openToWrite(paths_.partial / planned.name));
    was_whole.push_back(file.bytes() == planned.bytes);
    file.reserve(planned.bytes);
    file.write(0, planned.head);
  }

  // The right size proves nothing: a copy may have lost blocks, or the file may be another run's zeros.
  std::vector<Journal::Done> kept;
  for (const Journal::Done& done : resumed_.done) {
    if (done.item >= items_.size() || isFinished(done.item)) continue;
    const PlannedItem& item = items_[done.item];
    if (!was_whole[item.file] || hashOfFile(files_[item.file], item.offset, item.bytes) != done.hash) continue;
    kept.push_back(done);
    state_[done.item] = kFinished;
  }
  if (kept.size() == resumed_.done.size()) return;
  // Rewrite the journal without the rejected items, so that a third run does not trust them.
  journal_->begin(identity);
  journal_->addDone(kept);
}

void Publication::write(size_t item, uint64_t offset, std::span<const std::byte> bytes) {
  const PlannedItem& planned = items_.at(item);
  if (offset > planned.bytes || bytes.size() > planned.bytes - offset) {
    throw Error("tensor " + quoteText(planned.name) + ": bytes beyond its end were to be written");
  }
  if (isFinished(item)) throw Error("tensor " + quoteText(planned.name) + ": is finished, and was to be written again");
  files_[planned.file].write(planned.offset + offset, bytes);
  hashes_[item].add(offset, bytes);
  state_[item] += bytes.size();
}

void Publication::finished(size_t item) {
  const PlannedItem& planned = items_.at(item);
  uint64_t written = planned.bytes;
  if (!state_[item].compare_exchange_strong(written, kFinished)) {
    throw Error("tensor " + quoteText(planned.name) + ": is not finished: " +
                (written == kFinished
                     ? "it was before"
                     : std::to_string(written) + " of " + std::to_string(planned.bytes) + " bytes were written"));
  }
  const Hash128 hash = hashes_[item].finish(files_[planned.file], planned.offset, planned.bytes);
  const std::lock_guard lock(mutex_);
  unflushed_.push_back({item, hash});
  unflushed_bytes_ += planned.bytes;
  const auto since = std::chrono::steady_clock::now() - flushed_at_;
  if (unflushed_bytes_ >= options_.flush_bytes || since >= options_.flush_time) flush();
}

// Flushes the data first, then the journal lines that vouch for it.
void Publication::flush() {
  if (broken_)
    throw Error(shown(paths_.partial) +
                ": cannot be finished, an earlier flush to the disk failed: start again without --resume");
  if (!unflushed_.empty()) {
    broken_ = true;
    std::set<uint32_t> touched;
    for (const Journal::Done& done : unflushed_) touched.insert(items_[done.item].file);
    for (const uint32_t file : touched) files_[file].sync();
    journal_->addDone(unflushed_);
    broken_ = false;
    unflushed_.clear();
    unflushed_bytes_ = 0;
  }
  flushed_at_ = std::chrono::steady_clock::now();
}

File Publication::openSideFile(const std::string& name) {
  checkSideName(name);
  if (options_.kind == OutputKind::kFile)
    throw Error(quoteText(name) + ": an output of one file cannot have other files");
  if (!names_.insert(name).second) throw Error(quoteText(name) + ": occurs twice in the output: use distinct names");
  const fs::path path = paths_.partial / name;
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) throw Error(shown(path.parent_path()) + ": cannot be created: " + error.message());
  return File::openToWrite(path);
}

void Publication::addFile(const std::string& name, std::string_view text) {
  const File file = openSideFile(name);
  file.truncate(0);
  file.write(0, std::as_bytes(std::span(text)));
  file.sync();
}

void Publication::copyFile(const std::string& name, const fs::path& from) {
  const File source = File::openToRead(from);
  const File file = openSideFile(name);
  file.truncate(0);
  std::vector<std::byte> block(1u << 20);
  const uint64_t bytes = source.bytes();
  for (uint64_t at = 0; at < bytes; at += block.size()) {
    const std::span<std::byte> chunk = std::span(block).first(std::min<uint64_t>(block.size(), bytes - at));
    source.read(at, chunk);
    file.write(at, chunk);
  }
  // Scripts stay programs. A file system without such bits is no reason to fail.
  std::error_code ignored;
  const fs::perms runs = fs::status(from, ignored).permissions() &
                         (fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec);
  if (runs != fs::perms::none) fs::permissions(file.path(), runs, fs::perm_options::add, ignored);
  file.sync();
  // The folders in OUT; OUT itself is flushed when it is complete.
  for (fs::path at = file.path().parent_path(); at != paths_.partial; at = at.parent_path()) syncFolder(at);
}

void Publication::checkFinished() const {
  uint64_t missing = 0;
  const PlannedItem* first = nullptr;
  for (size_t i = 0; i < items_.size(); ++i) {
    if (isFinished(i)) continue;
    if (missing++ == 0) first = &items_[i];
  }
  if (missing == 0) return;
  throw Error(shown(paths_.out) + ": is not finished: tensor " + quoteText(first->name) + " is not written" +
              (missing > 1 ? ", and " + std::to_string(missing - 1) + " more" : ""));
}

void Publication::publish() {
  const std::lock_guard lock(mutex_);
  checkFinished();
  flush();
  for (const File& file : files_) file.sync();
  syncFolder(paths_.partial);
  checkReplaceable(paths_, options_.kind, options_.force, options_.keep);
  // If this run is killed from here on, the next one recognizes the old output by this inode and deletes it. An empty
  // OUT needs no deletion: rename() replaces it.
  const bool in_two_steps = resumed_.publishing && resumed_.replaced != 0 && inodeOf(paths_.aside) == resumed_.replaced;
  journal_->addPublish(in_two_steps ? resumed_.replaced : inodeOf(paths_.out));

  const fs::path parent = paths_.out.parent_path();
  if (options_.kind == OutputKind::kFile) {
    renameFileToOut(paths_, planned_[0].name, options_.force);
    published_ = true;
    syncFolder(parent);
    removeOutput(paths_.partial);
    return;
  }
  fs::path old = renameFolderToOut(paths_, options_.force, options_.may_exchange);
  published_ = true;
  syncFolder(parent);
  // An earlier run was killed between its two renames, and left the old output at `aside`.
  if (old.empty() && in_two_steps) old = paths_.aside;
  std::string problem;
  try {
    if (!old.empty()) removeOutput(old);
  } catch (const Error& error) {  // its files may be another user's
    problem = error.what();
  }
  std::error_code ignored;
  fs::remove(paths_.out / kJournalName, ignored);
  syncFolder(paths_.out);
  if (!problem.empty()) {
    throw Error(shown(paths_.out) + ": is complete, but what it replaced is left: " + problem + ": delete " +
                shown(old) + " yourself");
  }
}

}  // namespace nib::model
