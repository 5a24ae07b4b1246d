#!/usr/bin/env bash
# Checks that ONNX Runtime's calibrator, in its own Debian sid tree, and the independent implementations of peers.py
# find the ranges of expected.inc. With --write, updates expected.inc.
#
#   tests/ranges/run.sh [--write] [TREE]        TREE: folder of the tree, created if missing (tests/loaders/tree.sh)
#
# Needs root, a Debian archive in the apt sources and about 1.5 GB of disk; some minutes the first time, 20 s after
# that.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../tools/lib/common.sh"
. "$here/../../tools/lib/archive.sh"

write=
if [ "${1:-}" = --write ]; then write=1; shift; fi
[ $# -le 1 ] || die "usage: run.sh [--write] [TREE]"
can_make_trees || lacking "a Debian sid tree needs root and Debian's archive in the apt sources"
tree=${1:-$NIBBLE_CACHE/onnxruntime}
case $tree in /*) ;; *) tree=$PWD/$tree ;; esac
"$here/../loaders/tree.sh" "$tree" python3-onnxruntime python3-onnx >&2
work_dir

# In separate namespaces, with the tests in /srv.
# shellcheck disable=SC2016 # expanded by the inner shell
unshare --mount --pid --net --fork --kill-child --propagation private sh -c '
  mount -t proc proc "$1/proc" && mount -t tmpfs tmp "$1/tmp" && mount --bind -o ro "$2" "$1/srv" || exit 1
  exec chroot "$1" env -i HOME=/tmp LANG=C.UTF-8 PATH=/usr/bin:/bin OMP_NUM_THREADS=1 python3 -B /srv/ranges/expect.py
' sh "$tree" "$here/.." >"$WORK/lines" </dev/null
{
  echo "// Made by run.sh from ONNX Runtime's calibrator and independent implementations (peers.py): histogram, method,"
  echo "// symmetric, percentile, edges before clipping."
  cat "$WORK/lines"
} >"$WORK/expected.inc"
if [ -n "$write" ]; then cp "$WORK/expected.inc" "$here/expected.inc"; fi
diff "$here/expected.inc" "$WORK/expected.inc" || die "the peers' edges differ from expected.inc"
say "$(wc -l <"$WORK/lines") ranges, all as in expected.inc"
