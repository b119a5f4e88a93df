#!/usr/bin/env bash
# Resolve pyproject.toml into requirements.lock and requirements-dev.lock: every version with its hashes, for Python 3.11 and
# newer on any platform, naming no index and no download address. Pins that still fit stay (`--upgrade` moves them all). Look at
# the diff before committing it, then run `make test`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
uv=$(command -v uv || true)
[ -n "$uv" ] || uv=.venv/bin/uv
[ -x "$uv" ] || { echo "lock: needs uv. Get it: .venv/bin/pip install uv" >&2; exit 1; }
extra=("$@")
compile() {
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header "${extra[@]}" "$@"
}
compile pyproject.toml -o requirements.lock
compile pyproject.toml --group dev --constraint requirements.lock -o requirements-dev.lock
printf 'editables\n' | compile --no-annotate - -o scripts/editable.lock
git diff --stat -- '*.lock' 2>/dev/null || true
