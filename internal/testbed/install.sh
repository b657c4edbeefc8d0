#!/usr/bin/env bash
# Installs what the end-to-end tests need into a cache folder:
#
#   FOLDER/npm    published MCP servers and clients, the conformance suite, Node 24
#   FOLDER/bin    the everything-server of the Go SDK; containerd, its shim for
#                 runc, runc, gVisor's runsc and the script that starts it
#
# and, where they are missing and we are root, the Debian packages that this
# takes (a C++ compiler, git, npm, libseccomp), and a keyring with its message
# bus. It reaches apt, the npm registry and the Go module proxy, nothing else. A
# second run with nothing changed does nothing.
#
# usage: install.sh FOLDER
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${1:?usage: install.sh FOLDER}
everything=github.com/modelcontextprotocol/go-sdk/conformance/everything-server@v1.8.0
containerd=github.com/containerd/containerd/v2/cmd/containerd@v2.4.2
shim=github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2@v2.4.2
runc=github.com/opencontainers/runc@v1.5.2 # the one that this containerd pins
runsc=gvisor.dev/gvisor/runsc@v0.0.0-20260905035102-160fafc42237

say() { echo "testbed: $*" >&2; }
fail() { say "$*"; exit 1; }

# sum STEPS FILE... names the state that finished steps left behind: their
# inputs and what they do.
sum() { { declare -f $1; cat "${@:2}"; } | sha256sum | cut -d' ' -f1; }
done_with() { [ -f "$cache/$1.done" ] && [ "$(cat "$cache/$1.done")" = "$2" ]; }

have_uv() { [ -n "$(uv_folder)" ]; }
uv_folder() {
  local d
  for d in /usr/include /usr/include/node /usr/local/include/node /usr/local/include; do
    if [ -f "$d/uv.h" ]; then echo "$d"; return; fi
  done
}

# debian installs the packages that stand for missing commands.
debian() {
  local missing=()
  command -v git >/dev/null || missing+=(git)
  command -v g++ >/dev/null || missing+=(g++)
  command -v ps >/dev/null || missing+=(procps)
  command -v mkfs.ext4 >/dev/null || [ -x /sbin/mkfs.ext4 ] || missing+=(e2fsprogs)
  command -v dbus-daemon >/dev/null || missing+=(dbus-daemon)
  command -v gnome-keyring-daemon >/dev/null || missing+=(gnome-keyring)
  [ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
  if ! done_with npm "$npm_sum"; then
    command -v node >/dev/null || missing+=(nodejs)
    command -v npm >/dev/null || missing+=(npm)
    have_uv || missing+=(libuv1-dev)
  fi
  if ! done_with runc "$runc_sum"; then
    command -v gcc >/dev/null || missing+=(gcc libc6-dev)
    command -v pkg-config >/dev/null || missing+=(pkg-config)
    [ -e /usr/include/seccomp.h ] || missing+=(libseccomp-dev)
  fi
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    fail "these Debian packages are missing, install them first: ${missing[*]}"
  fi
  say "apt-get install ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >&2
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# npm packages come without their install scripts: those download binaries
# from places of their own.
npm_packages() {
  done_with npm "$npm_sum" && return
  say "npm packages into $cache/npm"
  rm -rf "$cache/npm" "$cache/npm.done"
  mkdir -p "$cache/npm"
  cp "$here/package.json" "$here/package-lock.json" "$cache/npm/"
  (cd "$cache/npm" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
  sqlite_addon "$cache/npm/node_modules"
  local node
  node=$(ls -d "$cache"/npm/node_modules/node-linux-*/bin/node | head -1)
  [ -x "$node" ] || fail "npm installed no Node for $(uname -m); the test bed runs on linux x64 and arm64"
  mkdir -p "$cache/bin"
  ln -sf "$node" "$cache/bin/node"
  "$cache/bin/node" -e 'require(process.argv[1])' "$cache/npm/node_modules/sqlite3" ||
    fail "the sqlite3 addon that was just built does not load"
  echo "$npm_sum" > "$cache/npm.done"
}

# sqlite_addon compiles the native part of the npm package sqlite3, whose own
# script would download it. Its N-API surface works with every Node.
sqlite_addon() {
  local mods=$1 pkg=$1/sqlite3 out work
  say "compiling the sqlite3 addon"
  work=$(mktemp -d)
  tar -xzf "$pkg"/deps/sqlite-autoconf-*.tar.gz -C "$work" --strip-components=1
  gcc -O1 -fPIC -w -DNDEBUG -DSQLITE_THREADSAFE=1 -DHAVE_USLEEP=1 \
    -DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_RTREE -DSQLITE_ENABLE_MATH_FUNCTIONS \
    -c "$work/sqlite3.c" -o "$work/sqlite3.o"
  g++ -std=c++17 -O1 -fPIC -w -shared \
    -DNAPI_VERSION=6 -DNAPI_DISABLE_CPP_EXCEPTIONS=1 -DNODE_GYP_MODULE_NAME=node_sqlite3 \
    -I "$work" -I "$mods/node-api-headers/include" -I "$mods/node-addon-api" -I "$(uv_folder)" \
    "$pkg"/src/*.cc "$work/sqlite3.o" -lpthread -ldl -lm -o "$work/node_sqlite3.node"
  out=$pkg/build/Release
  mkdir -p "$out"
  mv "$work/node_sqlite3.node" "$out/"
  rm -rf "$work"
}

# install ARGUMENTS... PACKAGE installs a Go program.
install() {
  say "go install ${*: -1}"
  mkdir -p "$cache/bin"
  GOBIN=$cache/bin GOFLAGS=-mod=mod go install -ldflags '-s -w' "$@"
}

go_programs() {
  local want
  want=$(echo "$everything $(go env GOVERSION)" | sum "go_programs install" -)
  done_with go "$want" && return
  install "$everything"
  echo "$want" > "$cache/go.done"
}

# containerd comes without what no test needs: Kubernetes, tracing, snapshots
# that take a kernel module.
containerd_programs() {
  local want
  want=$(echo "$containerd $shim $(go env GOVERSION)" | sum "containerd_programs install" -)
  done_with containerd "$want" && return
  CGO_ENABLED=0 install -tags 'no_cri no_tracing no_btrfs no_devmapper no_zfs' "$containerd"
  CGO_ENABLED=0 install -tags no_grpc "$shim"
  echo "$want" > "$cache/containerd.done"
}

# runc needs libseccomp. Where it cannot be built, Debian's does as well.
runc_program() {
  done_with runc "$runc_sum" && return
  if ! CGO_ENABLED=1 install -tags seccomp "$runc"; then
    command -v runc >/dev/null || fail "runc was not built, and Debian's is not installed: apt-get install runc"
    say "using $(command -v runc), since $runc was not built"
    ln -sf "$(command -v runc)" "$cache/bin/runc"
  fi
  "$cache/bin/runc" features >/dev/null || fail "the runc that was just installed does not run"
  echo "$runc_sum" > "$cache/runc.done"
}

# gVisor is started by the shim of runc, which knows none of its flags.
gvisor_program() {
  local want
  want=$(echo "$runsc $(go env GOVERSION)" | sum "gvisor_program install" -)
  done_with gvisor "$want" && return
  CGO_ENABLED=0 install "$runsc"
  cat > "$cache/bin/runsc-shim" <<'END'
#!/bin/sh
exec "$(dirname "$0")/runsc" --platform=systrap --network=host "$@"
END
  chmod 755 "$cache/bin/runsc-shim"
  "$cache/bin/runsc-shim" --version >/dev/null || fail "the runsc that was just built does not run"
  echo "$want" > "$cache/gvisor.done"
}

[ "$(uname -s)" = Linux ] || fail "the test bed runs on Linux; 'make short' runs everywhere"
command -v go >/dev/null || fail "Go is missing, see https://go.dev/doc/install"
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

# Two runs at once would spoil each other's work.
exec 9> "$cache/lock"
flock 9

case $(uname -m) in
  x86_64|aarch64) ;;
  *) fail "the test bed runs on x86_64 and aarch64, not on $(uname -m)" ;;
esac

npm_sum=$(sum "npm_packages sqlite_addon" "$here/package.json" "$here/package-lock.json")
runc_sum=$(echo "$runc $(go env GOVERSION)" | sum "runc_program install" -)
debian
npm_packages
go_programs
containerd_programs
runc_program
gvisor_program
