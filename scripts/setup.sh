# Sourced by ./test, ./quickstart, .ci/run and the scripts here: goes to the top of the repository and has the functions that
# they share. Sets `target`, the directory that cargo builds in.

set -euo pipefail

# Relative to where the caller is, not to the repository.
if [[ -n ${CARGO_TARGET_DIR:-} ]]; then
  CARGO_TARGET_DIR=$(realpath -m "$CARGO_TARGET_DIR")
  export CARGO_TARGET_DIR
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
timings=()

fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

# stage NAME COMMAND...: runs the command and prints how long it took; a failure ends the script. (Inside the command `set -e` has
# no effect, as bash has it left of `||`.)
stage() {
  local name=$1 begin=$SECONDS
  shift
  printf '\n== %s\n' "$name"
  "$@" || fail "== $name: FAILED after $((SECONDS - begin)) s"
  printf '== %s: %d s\n' "$name" $((SECONDS - begin))
  timings+=("$(printf '%6d s  %s' $((SECONDS - begin)) "$name")")
}

print_timings() {
  printf '\n'
  printf '%s\n' "${timings[@]}"
}

# Installs a Debian package where that needs no question: as root, with apt-get.
install_package() {
  [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || return 1
  printf 'installing %s\n' "$*"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

require_rust() {
  command -v cargo >/dev/null || fail 'no Rust toolchain: install one from https://rustup.rs'
  local wanted found
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  found=$(cargo --version | cut -d' ' -f2)
  [[ $(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1) == "$wanted" ]] ||
    fail "Rust $wanted or later is needed, this is $found: run: rustup update stable"
  command -v cc >/dev/null || install_package gcc libc6-dev || fail 'no C compiler: install gcc or clang'
  command -v make >/dev/null || install_package make || fail 'no make: install GNU make'
}

# Finds the server programs as the tests and the service do; else installs the platform's package, else downloads them.
require_postgres() {
  local program=$target/debug/private-postgres
  cargo build --quiet -p private_postgres || exit 1
  "$program" locate >/dev/null 2>&1 && return
  install_package postgresql && "$program" locate >/dev/null 2>&1 && return
  echo 'downloading PostgreSQL'
  cargo run --quiet -p private_postgres --features download -- download >/dev/null || true
  # Says what to install when all that failed.
  "$program" locate >/dev/null || exit 1
}
