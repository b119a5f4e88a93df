#!/usr/bin/env bash
# Make this clone ready to run: `scripts/setup.sh demo` or `scripts/setup.sh test`.
#
#   demo   virtual environment with the locked packages, and a Chinese font
#   test   the same, and what the tests use beside Python: PostgreSQL, Chromium, poppler, OpenSSL, Node with solc and forge
#
# Safe to stop at any moment and to run again: nothing counts as done before its stamp is written, and a second run that finds
# every stamp takes well under a second. Only the virtual environment is needed without exception; whatever else cannot be had
# is named at the end together with what will be refused or skipped for want of it, and how to get it.
#
# FUQI_PYTHON=/path/to/python3   use this interpreter     FUQI_NO_APT=1   never call apt-get
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly PURPOSE="${1:-demo}"
readonly VENV=.venv
readonly STAMP="$VENV/.fuqi-setup"
readonly NODE_STAMP=node_modules/.fuqi-setup
readonly LOG="$VENV/setup.log"
readonly FLOOR=11 # Python 3.11: pyproject.toml, requires-python
case "$PURPOSE" in demo | test) ;; *) echo "usage: scripts/setup.sh [demo|test]" >&2; exit 2 ;; esac

missing=() # one line each: what, what follows, how to get it
say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$@" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# ---------------------------------------------------------------- Debian packages
may_install() { [ -z "${FUQI_NO_APT:-}" ] && [ "$(id -u)" = 0 ] && have apt-get; }

apt_lists_fresh=
apt_install() {
  may_install || return 1
  local log=/dev/null
  [ -d "$VENV" ] && log="$VENV/apt.log"
  say "apt-get install $*"
  if [ -z "$apt_lists_fresh" ]; then
    # A fresh machine has no package lists; a failing mirror must not stop what is already listed.
    DEBIAN_FRONTEND=noninteractive timeout 300 apt-get -o DPkg::Lock::Timeout=120 update -qq </dev/null >>"$log" 2>&1 || true
    apt_lists_fresh=yes
  fi
  DEBIAN_FRONTEND=noninteractive timeout 900 apt-get -o DPkg::Lock::Timeout=120 install -y -qq --no-install-recommends "$@" \
    </dev/null >>"$log" 2>&1
}

# want TEST PACKAGES CONSEQUENCE: install PACKAGES unless TEST holds; remember what follows if that does not help.
want() {
  local test=$1 packages=$2 consequence=$3
  "$test" && return 0
  # shellcheck disable=SC2086  # several package names in one word
  apt_install $packages && "$test" && return 0
  missing+=("$packages: $consequence. Get it: sudo apt-get install $packages")
}

has_font() {
  # The first is where Debian puts it; the second asks the code that will use it, and takes a second.
  [ -f /usr/share/fonts/truetype/lxgw-wenkai/LXGWWenKai-Regular.ttf ] ||
    "$VENV/bin/python" -c 'from signing.fonts import find_font; find_font()' >/dev/null 2>&1
}
has_postgres() { [ -n "${FUQI_TEST_POSTGRES_URL:-}" ] || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || have initdb; }
has_chromium() { have chromium || have chromium-browser || have google-chrome; }
has_poppler() { have pdftoppm && have pdftotext && have pdfsig; }
has_second_renderer() { compgen -G '/usr/lib/*/libpoppler-glib.so.8*' >/dev/null || compgen -G '/usr/lib/libpoppler-glib.*' >/dev/null; }
has_openssl() { have openssl; }
has_softhsm() { have softhsm2-util; }
has_node() { have node && have npm; }

# ---------------------------------------------------------------- Python
minor_of() { "$1" -c 'import sys; print(sys.version_info[1] if sys.version_info[0] == 3 else 0)' 2>/dev/null || echo 0; }

find_python() {
  local candidate seen=()
  if [ -n "${FUQI_PYTHON:-}" ]; then
    [ "$(minor_of "$FUQI_PYTHON")" -ge "$FLOOR" ] || die "FUQI_PYTHON=$FUQI_PYTHON is not Python 3.$FLOOR or newer"
    printf '%s\n' "$FUQI_PYTHON"
    return
  fi
  for candidate in python3 python3.13 python3.12 python3.11 python3.14 /usr/bin/python3; do
    have "$candidate" || continue
    if [ "$(minor_of "$candidate")" -ge "$FLOOR" ]; then
      command -v "$candidate"
      return
    fi
    seen+=("$candidate is 3.$(minor_of "$candidate")")
  done
  die "fuqi needs Python 3.$FLOOR or newer; found: ${seen[*]:-no python3 at all}." \
    "Get it: sudo apt-get install python3 python3-venv   (Debian 12, Ubuntu 24.04 or newer), or name one with FUQI_PYTHON=/path/to/python3"
}

# Versions, locks and our own metadata: when any of them changes, the environment is brought up to date again.
python_fingerprint() {
  { "$VENV/bin/python" -VV; pwd; cat requirements-dev.lock scripts/editable.lock pyproject.toml; } 2>/dev/null | sha256sum | cut -d' ' -f1
}

make_venv() {
  local python=$1 minor
  if [ -x "$VENV/bin/python" ] && [ "$(minor_of "$VENV/bin/python")" -ge "$FLOOR" ] && "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
    return
  fi
  say "creating $VENV with $("$python" --version) ($python)"
  # --clear: what a killed run left half made is not worth repairing.
  if "$python" -m venv --clear "$VENV" >/dev/null 2>&1; then return; fi
  minor=$(minor_of "$python")
  say "this Python has no venv module (Debian keeps it in a package of its own)"
  apt_install "python3.$minor-venv" || apt_install python3-venv || true
  "$python" -m venv --clear "$VENV" >/dev/null 2>&1 ||
    die "cannot create a virtual environment. Get it: sudo apt-get install python3.$minor-venv, then run this again"
}

# pip names hundreds of lines; one number that grows says as much. The whole text is kept in the log.
progress() {
  local line count=0 shown=0
  while IFS= read -r line; do
    printf '%s\n' "$line" >>"$LOG"
    case "$line" in
      Collecting* | "Requirement already"*)
        count=$((count + 1))
        if [ -t 1 ]; then printf '\rsetup:   %d of about %d packages' "$count" "$1"
        elif [ $((count - shown)) -ge 20 ]; then shown=$count; say "  $count of about $1 packages"; fi ;;
      "Installing collected"*) [ -t 1 ] && printf '\n'; say "  unpacking" ;;
    esac
  done
  [ -t 1 ] && printf '\n'
  return 0
}

install_packages() {
  local total
  if [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$(python_fingerprint)" ]; then return; fi
  total=$(grep -c '==' requirements-dev.lock)
  rm -f "$STAMP"
  : >"$LOG"
  say "installing the locked packages (two or three minutes the first time; log: $LOG)"
  "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off \
    --require-hashes -r requirements-dev.lock -r scripts/editable.lock 2>>"$LOG" | progress "$total" || fail_pip
  # hatchling comes from the dev lock and what it needs for a path install (editables) from ours: nothing is fetched to build.
  "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input -q --no-deps --no-build-isolation -e . >>"$LOG" 2>&1 || fail_pip
  # A crash before this line: the next run does the two installs again, which changes nothing that is right.
  python_fingerprint >"$STAMP"
}

fail_pip() {
  tail -n 25 "$LOG" >&2
  die "pip did not finish (whole log: $LOG)." \
    "Check that this machine reaches a Python package index (or has one set in pip's configuration), then run this again: it continues."
}

# ---------------------------------------------------------------- Node: only for the tests (solc, forge, anvil)
install_node_packages() {
  [ -f package-lock.json ] || return 0
  want has_node "nodejs npm" "contract tests with solc and forge are skipped; everything else runs from the committed artifacts"
  has_node || return 0
  local fingerprint
  fingerprint=$({ node --version; cat package.json package-lock.json; } | sha256sum | cut -d' ' -f1)
  if [ -f "$NODE_STAMP" ] && [ "$(cat "$NODE_STAMP")" = "$fingerprint" ]; then return 0; fi
  say "npm packages for the contract tests (solc, forge, anvil)"
  # npm ci refuses a lock in which a package for another platform is absent from the registry; npm install takes the locked
  # versions and checks the same digests. Both leave the lock as it is.
  if timeout 900 npm ci --no-audit --no-fund --loglevel=error </dev/null >"$VENV/npm.log" 2>&1 ||
    timeout 900 npm install --no-save --no-audit --no-fund --loglevel=error </dev/null >>"$VENV/npm.log" 2>&1; then
    printf '%s\n' "$fingerprint" >"$NODE_STAMP"
  else
    missing+=("npm packages: npm failed (see $VENV/npm.log): tests with solc and forge are skipped. Try again: npm install --no-save")
  fi
}

# EAS, which the gas table compares with: its Solidity sources alone. npm install would bring hardhat and 500 packages with it.
EAS_VERSION=1.9.0
EAS_SHA256=9b168dcbeea489418df67ed665b830c7919ae6c8d8c44bbd3694fdcf8bbd6f25
install_gas_baseline() {
  local home=node_modules/@ethereum-attestation-service/eas-contracts folder
  if [ -d "$home" ] || [ ! -d node_modules ] || ! has_node; then return 0; fi
  folder=$(mktemp -d)
  if (cd "$folder" && timeout 300 npm pack --silent "@ethereum-attestation-service/eas-contracts@$EAS_VERSION" </dev/null >/dev/null 2>&1) &&
    echo "$EAS_SHA256  $(ls "$folder"/*.tgz)" | sha256sum --check --status; then
    mkdir -p "$home"
    tar -xzf "$folder"/*.tgz --strip-components=1 -C "$home"
  else
    missing+=("EAS $EAS_VERSION: npm pack failed or gave another file: its gas is not measured anew, the recorded figures stand")
  fi
  rm -rf "$folder"
}

# ---------------------------------------------------------------- the work
[ -f requirements-dev.lock ] || die "requirements-dev.lock is missing: is this a whole clone?"
python=$(find_python)
make_venv "$python"
install_packages
want has_font fonts-lxgw-wenkai "PDF agreements cannot be rendered (error font.not_found), so the demo stops there"
if [ "$PURPOSE" = test ]; then
  want has_postgres postgresql "store tests run on SQLite only"
  want has_poppler poppler-utils "tests that compare with poppler are skipped"
  want has_second_renderer libpoppler-glib8 "pages are compared by PDFium alone, and reports say so"
  want has_openssl openssl "tests that compare with OpenSSL are skipped"
  want has_chromium chromium "browser tests are skipped"
  want has_softhsm softhsm2 "tests with a PKCS#11 token are skipped"
  install_node_packages
  install_gas_baseline
fi
for line in ${missing[@]+"${missing[@]}"}; do say "without $line"; done
say "ready ($("$VENV/bin/python" --version), ${#missing[@]} thing(s) missing)"
