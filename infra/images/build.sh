#!/bin/sh
# build.sh TARGET ...: builds and tags the images (cpu, gpu) with `docker build`, from the code that `gan-pipeline` runs.
# IMAGE_OPTIONS: further options, as in "--network host --build-arg BASE_IMAGE=registry.example/python:3.11".
set -eu
cd "$(dirname "$0")/../.."
code=$(gan-pipeline version | cut -d' ' -f2)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
for target in "$@"; do
  # shellcheck disable=SC2086
  DOCKER_BUILDKIT=1 docker build --file infra/images/Containerfile --target "$target" ${IMAGE_OPTIONS:-} \
    --build-arg VERSION="$code" --build-arg REVISION="$revision" --tag "gan-pipeline-$target:${code%%+*}" .
done
docker image ls --filter reference='gan-pipeline-*'
