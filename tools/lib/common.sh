# Sourced by every script here: where things are, how to speak, how to publish a finished result.
# shellcheck shell=bash disable=SC2034

NIBBLE_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
NIBBLE_CACHE=${NIBBLE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/nibble}
# Other programs are told absolute paths inside the cache, so it must be absolute itself.
case $NIBBLE_CACHE in /*) ;; *) NIBBLE_CACHE=$PWD/$NIBBLE_CACHE ;; esac

# stdout belongs to results (a path that the caller reads), so all talk goes to stderr.
say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "error: $*"; exit 1; }

# lacking WHAT: ends a test that cannot be made here as skipped (77), or as failed if everything is required.
lacking() {
  if [ "${NIBBLE_REQUIRE_ALL:-0}" = 1 ]; then die "$1"; fi
  say "SKIPPED: $1"
  exit 77
}

# as_root COMMAND...: as it is when we are root, else through sudo (asking for a password only on a terminal).
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif ! command -v sudo >/dev/null; then return 127
  elif [ -t 0 ]; then sudo "$@"
  else sudo -n "$@"
  fi
}

# work_dir: makes $WORK, a folder that goes away with the script. It lies in the cache, so that a
# finished result can be renamed into place.
work_dir() {
  mkdir -p "$NIBBLE_CACHE"
  WORK=$(mktemp -d "$NIBBLE_CACHE/.work.XXXXXX")
  trap 'rm -rf "$WORK"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

# one_at_a_time NAME: waits until no other run is making NAME.
one_at_a_time() {
  mkdir -p "$NIBBLE_CACHE"
  exec 9>"$NIBBLE_CACHE/.$1.lock"
  flock 9
}

# publish DIR NAME: DIR becomes $NIBBLE_CACHE/NAME in one step; a half-made NAME is never seen.
publish() {
  chmod 755 "$1"
  mkdir -p "$(dirname "$NIBBLE_CACHE/$2")"
  rm -rf "${NIBBLE_CACHE:?}/$2"
  mv -T "$1" "$NIBBLE_CACHE/$2"
}
