#!/usr/bin/env bash
# Static analysis of contracts/src with slither. Every finding is fixed or answered in docs/reference/contracts-assurance.md; a
# detector or place that is not answered there makes this fail.
#   scripts/slither.sh [FOLDER]   FOLDER: a virtual environment with slither-analyzer, default .slither (made with
#                                 `python3 -m venv .slither && .slither/bin/pip install slither-analyzer`)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
SLITHER="${1:-.slither}/bin/slither"
if [ ! -x "$SLITHER" ]; then
  echo "skipped: slither is not installed: python3 -m venv .slither && .slither/bin/pip install slither-analyzer"
  exit 0
fi
if [ ! -x node_modules/.bin/forge ]; then
  echo "skipped: forge is not installed: run make setup-test"
  exit 0
fi
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
SLITHER="$(realpath "$SLITHER")"
mkdir "$WORK/contracts"
cp -r contracts/src contracts/tools contracts/foundry.toml "$WORK/contracts/"
ln -s "$PWD/node_modules" "$WORK/node_modules"
(cd "$WORK/contracts" && "$WORK/node_modules/.bin/forge" build --build-info --force >"$WORK/build.log" 2>&1) \
  || { tail -n 30 "$WORK/build.log"; exit 1; }
# slither's exit status counts findings; the report says what they are.
(cd "$WORK/contracts" && PATH="$PATH:$WORK/node_modules/.bin" "$SLITHER" . --compile-force-framework foundry \
  --foundry-ignore-compile --json "$WORK/report.json" >"$WORK/slither.log" 2>&1) || true
[ -s "$WORK/report.json" ] || { tail -n 30 "$WORK/slither.log"; exit 1; }
.venv/bin/python scripts/slither_answers.py "$WORK/report.json"
