#!/bin/sh
# finish.sh VERSION: installs the project and a home that any user may write to; VERSION, if given, must be the code's.
set -eu
python3=/opt/gan-pipeline/bin/python3
pip=$(PATH=${PATH#*:} command -v python3)
"$pip" -m pip --python $python3 install --quiet --no-cache-dir --no-deps /wheels/*.whl
mkdir -p "$HOME" && chmod 1777 "$HOME"
built=$(gan-pipeline version)
if [ -n "$1" ] && [ "$built" != "gan-pipeline $1" ]; then
  echo "the image holds $built, but VERSION says $1" >&2
  exit 1
fi
