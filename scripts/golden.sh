#!/usr/bin/env bash
# Make the golden vectors anew. What stands for the output of earlier versions (receipts, chain evidence) is never overwritten.
# An unintended change shows in `git diff`: formats that left this program must not change under the same tag (ADR 0005).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
for program in scripts/golden_*.py; do .venv/bin/python "$program" --write; done
for program in tests/golden/*/make_*.py tests/golden/chain/generate_merkle_vectors.py; do
  [ -f "$program" ] && PYTHONPATH=. .venv/bin/python "$program"
done
git diff --stat -- tests/golden
git diff --quiet -- tests/golden && echo "golden: every vector came out as it stands"
