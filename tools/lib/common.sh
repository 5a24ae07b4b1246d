# Sourced by every script here: paths, messages, work folders, and a cache whose entries are replaced atomically.
# SC2034: the scripts that source this file use its variables.
# shellcheck shell=bash disable=SC2034

NIBBLE_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
NIBBLE_CACHE=${NIBBLE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/nibble}
# Other programs get paths inside the cache, so it must be absolute.
case $NIBBLE_CACHE in /*) ;; *) NIBBLE_CACHE=$PWD/$NIBBLE_CACHE ;; esac

# stdout is for results (a path that the caller reads), so messages go to stderr.
say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "error: $*"; exit 1; }

# lacking WHAT: ends a test that cannot run here as skipped (77), or as failed with NIBBLE_REQUIRE_ALL=1.
lacking() {
  if [ "${NIBBLE_REQUIRE_ALL:-0}" = 1 ]; then die "$1"; fi
  say "SKIPPED: $1"
  exit 77
}

# as_root COMMAND...: runs it directly as root, else through sudo, which asks for a password only on a terminal.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif ! command -v sudo >/dev/null; then return 127
  elif [ -t 0 ]; then sudo "$@"
  else sudo -n "$@"
  fi
}

# work_dir: creates the folder $WORK, which is removed when the script ends. It is inside the cache, so that a finished
# result can be renamed into place.
work_dir() {
  mkdir -p "$NIBBLE_CACHE"
  WORK=$(mktemp -d "$NIBBLE_CACHE/.work.XXXXXX")
  trap 'rm -rf "$WORK"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

# one_at_a_time NAME: takes a lock, so that no other run creates NAME at the same time.
one_at_a_time() {
  mkdir -p "$NIBBLE_CACHE"
  exec 9>"$NIBBLE_CACHE/.$1.lock"
  flock 9
}

# publish DIR NAME: renames DIR to $NIBBLE_CACHE/NAME, so that no program sees an incomplete NAME.
publish() {
  chmod 755 "$1"
  mkdir -p "$(dirname "$NIBBLE_CACHE/$2")"
  rm -rf "${NIBBLE_CACHE:?}/$2"
  mv -T "$1" "$NIBBLE_CACHE/$2"
}
