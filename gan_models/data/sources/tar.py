"""The kind `tar`: shards in WebDataset's convention, or folders of images packed by tar. Nothing is unpacked to disk.

A sample is the files that stand together and share a name up to its first dot, such as `000123.jpg`, `000123.cls` and
`000123.json`. Labels are those of `.cls` (a number or a name), else of `label` or `cls` in `.json`; captions those of
`.txt`, else of `caption` or `text` in `.json`. `data.image`, `data.label` and `data.caption` choose other fields, or
`json.NAME`. A tar that holds no such fields is read as a folder or zip is: sub-folders are classes.

Several shards are one source: a folder of them, or a pattern (`shards/train-{000..009}.tar`, `{train,val}.tar`). Splits
are those of the shards' names, or of the folders that they lie in.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath

from gan_models.data.sources.base import PathKind, Source, SourceName, files_below, version_of
from gan_models.data.sources.places import Place, at_once
from gan_models.errors import RequestError

PATTERN = re.compile(r"\{([^{},]*(?:,[^{},]*)+|\d+\.\.\d+)\}")
RANGE = re.compile(r"(\d+)\.\.(\d+)")
MOST_SHARDS = 100_000


class _Tar(PathKind):
    suffix = ".tar"
    endings = (".tar", ".tar.gz", ".tgz")
    chooses = ("image", "label", "caption", "domain", "attributes")

    def recognises(self, path: Path) -> bool:
        return super().recognises(path) or (path.is_dir() and any(path.glob("*.tar")))

    def recognises_name(self, name: str) -> bool:
        return name.endswith(self.endings)

    def path_of(self, rest: str) -> Path | None:
        path = super().path_of(rest)
        while path is not None and "{" in str(path):
            path = path.parent
        return path

    def short_name(self, name: SourceName) -> str:
        plain = re.sub(r"\{[^{}]*\}", "", name.rest).removesuffix(".gz")
        short = super().short_name(replace(name, rest=plain)).strip("-_.")
        return short or PurePosixPath(plain).parent.name or name.kind

    def check(self, text: str, rest: str) -> None:
        super().check(text, rest)
        patterns(rest)

    def shards(self, name: SourceName) -> tuple[list[Place], Place | None]:
        """The tars, and the folder that they were found in, if in one; RequestError: a shard is missing, or none."""
        named = patterns(name.rest)
        if len(named) > 1 or named[0] != name.rest:
            return at_once(self.existing, [replace(name, rest=each) for each in named]), None
        place = self.existing(name)
        if place.is_file():
            return [place], None
        shards: list[Place] = [place / file for file in files_below(place) if file.endswith(self.endings)]
        if not shards:
            raise RequestError(f"folder {place} holds no .tar files")
        return shards, place

    def version(self, name: SourceName) -> str:
        return version_of(self.shards(name)[0])

    def open(self, name: SourceName) -> Source:
        from gan_models.data.sources.tar_samples import open_tar

        return open_tar(*self.shards(name), name.fields)


def patterns(text: str) -> list[str]:
    """What a pattern stands for, in order: `{000..009}` for numbers, `{train,val}` for each of several.

    RequestError where it stands for more than `MOST_SHARDS`.

    >>> patterns("x-{08..10}.tar")
    ['x-08.tar', 'x-09.tar', 'x-10.tar']
    """
    match = PATTERN.search(text)
    if match is None:
        return [text]
    numbers = RANGE.fullmatch(match[1])
    if numbers:
        first, last = int(numbers[1]), int(numbers[2])
        if abs(last - first) >= MOST_SHARDS:
            raise RequestError(f"{match[0]} stands for more than {MOST_SHARDS} shards")
        width = max(map(len, numbers.groups())) if "0" in (numbers[1][0], numbers[2][0]) else 0
        step = 1 if last >= first else -1
        parts = [str(number).zfill(width) for number in range(first, last + step, step)]
    else:
        parts = match[1].split(",")
    rest = patterns(text[match.end() :])
    if len(parts) * len(rest) > MOST_SHARDS:
        raise RequestError(f"{text} stands for more than {MOST_SHARDS} shards")
    return [f"{text[: match.start()]}{part}{each}" for part in parts for each in rest]


TAR = _Tar()
