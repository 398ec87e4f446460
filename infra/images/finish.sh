#!/bin/sh
# finish.sh VERSION: installs the project, which must be of that version, and makes places that any user may write to.
set -eu
python3=/opt/gan-pipeline/bin/python3
pip=$(PATH=${PATH#*:} command -v python3)
"$pip" -m pip --python $python3 install --quiet --no-cache-dir --no-deps /wheels/*.whl
# A new volume mounted at one of these takes over its mode.
mkdir -p "$HOME" /artifacts /state && chmod 1777 "$HOME" /artifacts /state
built=$(gan-pipeline version)
if [ -n "$1" ] && [ "$built" != "gan-pipeline $1" ]; then
  echo "the image holds $built, but VERSION says $1" >&2
  exit 1
fi
