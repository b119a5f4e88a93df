#!/usr/bin/env bash
# Makes the environment of the published GetUsPPE test bed: it needs pandas and numpy below 2, which nothing else
# here may have. The wheel brings the real, anonymised data of 2020; they stay in it and are not copied.
set -euo pipefail
place="${1:-$(dirname "$0")/../var/getusppe}"
python3 -m venv "$place"
"$place/bin/pip" install --quiet 'ppe-match==0.1.4' 'pandas<2' 'numpy<2'
"$place/bin/python" -c 'import ppe_match; print("ppe_match is ready in", ppe_match.__path__[0])'
