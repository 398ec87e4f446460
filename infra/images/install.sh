#!/bin/sh
# install.sh LOCK: puts the pinned packages of LOCK into /opt/gan-pipeline.
set -eu
python3 -m pip --python /opt/gan-pipeline/bin/python install --quiet --no-cache-dir --no-deps --require-hashes --no-compile -r "$1"
cd /opt/gan-pipeline/lib
# What only a compiler, a linker or the packages' own tests need.
find . \( -type d \( -name tests -o -name include \) -prune -o -type f \( -name '*.a' -o -name '*.pyx' \) \) \
  -exec rm -rf {} +
# Bytecode is made here, because the user of a container may not write it; templates that are no Python are left alone.
/opt/gan-pipeline/bin/python -m compileall -q -j 0 . >/dev/null || :
