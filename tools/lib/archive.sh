# Sourced, after common.sh: downloads packages from the package archive that this machine uses, without installing
# them, without root, and without changing the machine's apt state.
# shellcheck shell=bash

# source_entries: "KIND URI SUITE" for each entry of the machine's apt sources, the distribution's own first.
source_entries() {
  local dir=${NIBBLE_APT_DIR:-/etc/apt} files=() f
  for f in "$dir/sources.list" "$dir"/sources.list.d/{debian,ubuntu}.{sources,list} \
    "$dir"/sources.list.d/*.{sources,list}; do
    if [ -r "$f" ]; then files+=("$f"); fi
  done
  [ ${#files[@]} -gt 0 ] || return 0
  awk '
    function flush(  i, j, nu, ns, u, s) {
      nu = split(uris, u, " "); ns = split(suites, s, " ")
      if (enabled != "no") for (i = 1; i <= nu; i++) for (j = 1; j <= ns; j++) print types, u[i], s[j]
      types = uris = suites = enabled = ""
    }
    FNR == 1                      { flush() }
    /^[ \t]*#/                    { next }
    /^[ \t]*$/                    { flush(); next }
    tolower($1) == "types:"       { types = $2; next }
    tolower($1) == "enabled:"     { enabled = tolower($2); next }
    tolower($1) == "uris:"        { $1 = ""; uris = $0; next }
    tolower($1) == "suites:"      { $1 = ""; suites = $0; next }
    $1 == "deb" {
      i = 2
      if ($i ~ /^\[/) { while (i < NF && $i !~ /\]$/) i++; i++ }
      print "deb", $i, $(i + 1)
    }
    END { flush() }
  ' "${files[@]}"
}

# archive_uri: prints the address of the distribution's main archive. The main suite has a bare name ("bookworm"); the
# names of security, updates and backports contain a dash or a slash.
archive_uri() {
  local uri
  uri=${NIBBLE_ARCHIVE:-$(source_entries | awk '$1 == "deb" && $3 !~ /[-\/]/ && !seen++ { print $2 }')}
  [ -n "$uri" ] || return 1
  # Cloud images name a file that holds the addresses, which not every program can read.
  case $uri in mirror+file:*) uri=$(awk '!/^#/ && NF { print $1; exit }' "${uri#mirror+file:}") ;; esac
  printf '%s\n' "${uri%/}"
}

# debian_archive: prints archive_uri if it is Debian's, or the one that the caller sets in NIBBLE_ARCHIVE.
debian_archive() {
  local id
  id=$(. /etc/os-release 2>/dev/null && printf '%s' "${ID:-}")
  if [ "$id" != debian ] && [ -z "${NIBBLE_ARCHIVE:-}" ]; then
    say "this machine's apt sources are not Debian's (${id:-unknown system});" \
      "NIBBLE_ARCHIVE=<address of a Debian archive> would serve"
    return 1
  fi
  archive_uri || { say "no Debian archive found in this machine's apt sources"; return 1; }
}

# can_make_trees: whether this machine can install packages of another release into a separate tree.
can_make_trees() { [ "$(id -u)" = 0 ] && command -v unshare >/dev/null && debian_archive >/dev/null; }

# private_apt DIR [SOURCES]: creates a separate apt configuration in DIR and points APT_CONFIG at it. Its package state
# is empty, so that apt resolves complete dependency closures. SOURCES are deb822 lines; without them it reads the
# machine's sources. It keeps only the machine's fetch settings (proxy, certificates, logins).
private_apt() {
  local dir=$1 sources=${2:-}
  mkdir -p "$dir"/{lists/partial,archives/partial,etc/apt.conf.d,etc/preferences.d,etc/sources.list.d}
  : > "$dir/status"
  {
    apt-config dump | grep '^Acquire::' || true
    cat <<CONF
Dir::State "$dir"; Dir::State::lists "$dir/lists"; Dir::State::status "$dir/status";
Dir::Cache "$dir"; Dir::Cache::archives "$dir/archives"; Dir::Log "$dir"; Dir::Etc::Parts "$dir/etc/apt.conf.d";
Dir::Etc::Preferences "$dir/etc/preferences"; Dir::Etc::PreferencesParts "$dir/etc/preferences.d";
APT::Sandbox::User "root"; APT::Install-Recommends "false"; Acquire::Languages "none"; Acquire::Retries "3";
APT::Update::Error-Mode "any";
CONF
    if [ -n "$sources" ]; then
      printf '%s\n' "$sources" > "$dir/etc/sources.list.d/nibble.sources"
      printf 'Dir::Etc::SourceList "/dev/null"; Dir::Etc::SourceParts "%s";\n' "$dir/etc/sources.list.d"
    fi
  } > "$dir/apt.conf"
  export APT_CONFIG=$dir/apt.conf
}

# debian_source TYPE SUITES: prints deb822 lines for suites of the Debian archive, with signature checks.
debian_source() {
  local uri keys=/usr/share/keyrings/debian-archive-keyring.gpg
  uri=$(debian_archive) || return 1
  [ -r "$keys" ] || { say "no Debian archive keys: install debian-archive-keyring"; return 1; }
  printf 'Types: %s\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' "$1" "$uri" "$2" "$keys"
}

# download_package NAME DIR: downloads the .deb of NAME from the machine's sources into DIR. If the machine's package
# lists are missing or too old, it uses private ones.
download_package() {
  local name=$1 dir=$2
  command -v apt-get >/dev/null || { say "cannot download the package $name: this system has no apt"; return 1; }
  mkdir -p "$dir"
  (
    cd "$dir" || exit 1
    apt-get -q -o APT::Sandbox::User=root download "$name" >log 2>&1 && exit 0
    private_apt "$WORK/apt"
    # An unreachable third-party source must not stop this: only the download matters.
    apt-get -q update >>log 2>&1 || true
    apt-get -q download "$name" >>log 2>&1
  ) || { say "cannot download the package $name: $(grep -m 1 '^E:' "$dir/log")"; return 1; }
}

# download_closure SUITE PACKAGES...: downloads packages of a Debian suite and all that they need, the C library too,
# into $WORK/apt/archives.
download_closure() {
  local suite=$1 base=${1%-backports} sources
  shift
  sources=$(debian_source deb "$suite$([ "$base" = "$suite" ] || echo " $base")") || return 1
  rm -rf "$WORK/apt"
  private_apt "$WORK/apt" "$sources"
  {
    apt-get -q update && apt-get -q -y install --download-only -t "$suite" "$@"
  } >"$WORK/log" 2>&1 || { say "Debian $suite: $(grep -m 1 '^E:' "$WORK/log")"; return 1; }
}

# unpack_closure TREE: unpacks the packages into a system tree, without documentation. Files belong to the current
# user, and no package script runs.
unpack_closure() {
  local tree=$1 name deb
  for name in bin lib lib64 sbin; do
    mkdir -p "$tree/usr/$name"
    ln -s "usr/$name" "$tree/$name"
  done
  for deb in "$WORK"/apt/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" |
      tar -x -C "$tree" --keep-directory-symlink --no-same-owner --exclude='./usr/share/doc' \
        --exclude='./usr/share/locale' --exclude='./usr/share/man' --exclude='./usr/lib/*/gconv' \
        --exclude='./etc' --exclude='./var'
  done
}
