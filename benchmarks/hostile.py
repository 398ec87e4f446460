"""Hundreds of hostile inputs to the command line: what ends in a traceback, hangs, eats memory, or runs what it reads.

    python benchmarks/hostile.py [--only KIND] [--seed N] [--list]

Each input is given to a process of its own, as a user would type it. An input is held to:

- exit code 0 (taken), 1 (failed in the middle) or 2 (refused), as documented, and one sentence without "unexpected";
- an end within 10 seconds, and at most 1 GiB of memory beyond what the same command takes for a good input;
- nothing that it names is executed: pickles and templates here would leave a mark.

Prints a line for each that does not hold, and a table of counts by kind. Takes about ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import pickle
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

SECONDS = 10.0
MEMORY = 1 << 30
PROGRAM = [sys.executable, "-P", "-c", "from pipeline.cli import main; main()"]


@dataclass(frozen=True)
class Input:
    """A command line, called by what is wrong with it."""

    kind: str
    name: str
    words: tuple[str, ...]
    variables: tuple[tuple[str, str | None], ...] = ()  # of the environment; None: not set


@dataclass(frozen=True)
class End:
    """How the process ended."""

    code: int
    said: str
    seconds: float
    memory: int  # bytes, at the most


class Mark:
    """A pickle that leaves a file behind when it is loaded."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.place),)


# -- the inputs -------------------------------------------------------------------------------------------------------

VALUES = [
    ".inf", "-.inf", ".nan", "-1", "0", "1e400", "-0.0", "null", "''", "[]", "{}", "true", "x" * 5000, "é\u202e\u0000",
    "[[[[[[[[[[1]]]]]]]]]]", "9" * 400, "!!python/object/apply:os.system ['true']", "*a", "1_000", "0x10", "2026-11-30",
]  # fmt: skip
KEYS = [
    "training.steps", "training.checkpoint_seconds", "training.batch_size", "optimizers.generator.lr", "data.size",
    "data.split_seed", "data.validation", "evaluation.samples", "export.model_name", "game.loss", "networks.latent",
    "regularizers", "evaluation.floors.recall", "name", "training", "no.such.key", "..", "",
]  # fmt: skip
ADDRESSES = [
    "http://", "http://host:99999", "http://host:-1", "http://[::1", "http://[fe80::1%25eth0]:1", "http://:80",
    "http://a b", "https://user:pass@", "http://" + "a" * 300, "http://\u2603.example", "ftp://host", "sqlite:",
    "sqlite://",
    "sqlite:///", "sqlite:////", "sqlite:////dev/null", "sqlite:////dev/zero", "sqlite:////proc/self/mem",
    "sqlite:///:memory:",
    "sqlite:////tmp", "sqlite:////tmp/\x00", "postgresql://", "postgresql://host:x/db", "mysql+nodriver://h/db",
    "x" * 5000,
    "\u0000", "file:///", "file://host/x", "//", ":", "http://127.0.0.1:9/%zz", "http://127.0.0.1:9/?a=%00",
    "sqlite:////{pipe}",
    "sqlite:////{folder}", "sqlite:////{text}", "sqlite:////{socket}", "sqlite:////{loop}",
    "sqlite:////{folder}/50% ?#/m.db",
]  # fmt: skip
SOURCES = [
    "", ":", "folder", "folder:", "folder:/dev", "folder:/dev/null", "folder:/proc/self", "folder:{pipe}",
    "folder:{socket}",
    "folder:{loop}", "folder:{text}", "folder:{empty}", "folder:{names}", "folder:{maze}", "folder:{pipes}",
    "folder:" + "x" * 5000,
    "folder:" + "a/" * 3000, "folder:\u0000", "folder:~nobody-there/x", "parquet:{pipe}", "parquet:{text}",
    "parquet:{folder}",
    "parquet:/dev/zero", "parquet:{socket}", "npz:{pipe}", "npz:{text}", "npz:/dev/zero", "npz:{loop}", "toy:",
    "toy:\u0000",
    "toy:../../etc", "torchvision:", "torchvision:__init__", "torchvision:Kinetics", "digits:x", "x" * 5000,
    "http://host/x",
]  # fmt: skip


def settings(place: Path) -> Iterator[Input]:
    for key, value in itertools.product(KEYS, VALUES):
        if "\x00" in value:
            value = value.replace("\x00", "")
        yield Input("settings", f"{key}={value[:30]}", ("recipes", "show", "dcgan", "--set", f"{key}={value}"))
    for words in (
        ("--seed", "-1"), ("--seed", "1e3"), ("--seed", "9" * 40), ("--engine", "x"), ("--workdir", "/dev/null/x"),
        ("--workdir", "x" * 300), ("--name", "\n"), ("--recipe", "x" * 5000), ("--recipe", "/dev/zero"),
    ):  # fmt: skip
        yield Input("settings", " ".join(words)[:40], ("run", "--data", "toy:none", *words))
    for port in ("0", "-1", "65536", "99999999999", "x"):
        yield Input("settings", f"--port {port}", ("ui", "--port", port, "--tracking-uri", "http://127.0.0.1:9"))


def addresses(place: Path) -> Iterator[Input]:
    for address in ADDRESSES:
        if "\x00" in address:
            continue
        given = filled(address, place)
        yield Input("addresses", f"ui {address[:40]}", ("ui", "--tracking-uri", given))
        yield Input("addresses", f"models {address[:40]}", ("models", "list", "--tracking-uri", given))


def places(place: Path) -> Iterator[Input]:
    for source in SOURCES:
        if "\x00" not in source:
            yield Input("places", source[:40], ("data", "inspect", filled(source, place)))
    for recipe in ("{pipe}.yaml", "{text}.yaml", "{folder}.yaml", "{loop}.yaml", "/dev/zero/x.yaml"):
        yield Input("places", f"recipe {recipe}", ("recipes", "show", filled(recipe, place)))
    for folder in ("{pipe}", "{text}", "{folder}", "{loop}", "{generator-of-pipes}", "/dev", "x" * 5000):
        yield Input("places", f"sample {folder[:30]}", ("sample", filled(folder, place), "--out", str(place / "g.png")))
    for unset in ("HOME", "USER", "PATH", "LANG"):
        yield Input("places", f"without {unset}", ("recipes", "show", "dcgan"), ((unset, None),))
    for words in (("data", "inspect", "folder:~/x"), ("schedule", "list"), ("runs", "list")):
        yield Input("places", f"no home at all: {words[0]}", words, (("HOME", None), ("KUBECONFIG", None)))
    yield Input("places", "a home that is none", ("data", "inspect", "folder:~/x"), (("HOME", "/dev/null"),))


def documents(place: Path) -> Iterator[Input]:
    texts = {
        "not-utf8": b"\xff\xfe\x00base: dcgan", "nested": b"a: " + b"[" * 5000, "deep-map": b"{a: " * 3000,

        "alias-bomb": b"a: &a [x,x]\n" + b"".join(
            b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 8)) for i in range(9)
        ),
        "python-tag": b"!!python/object/apply:os.mkdir ['%s']" % str(place / "executed").encode(), "empty": b"",
        "list": b"- 1",
        "nul": b"\x00" * 100, "no-end": b"'", "tab": b"\t- a", "long-line": b"x" * (1 << 20), "number": b"17",
        "date-keys": b"2026-01-01: x", "duplicate": b"name: a\nname: b", "merge": b"<<: *x",
        "bom": b"\xef\xbb\xbfbase: dcgan",
    }  # fmt: skip
    for name, content in texts.items():
        path = place / f"recipe-{name}.yaml"
        path.write_bytes(content)
        yield Input("documents", f"recipe {name}", ("recipes", "show", str(path)))
        folder = place / f"styled-{name}"
        folder.mkdir()
        (folder / "a.png").write_bytes(png())
        (folder / "dataset.json").write_bytes(content)
        yield Input("documents", f"dataset.json {name}", ("data", "inspect", f"folder:{folder}"))
        toml = place / f"toml-{name}"
        toml.mkdir()
        (toml / "gan-pipeline.toml").write_bytes(content)
        yield Input(
            "documents",
            f"toml {name}",
            ("runs", "list"),
            (("GAN_PIPELINE_CONFIG", str(toml / "gan-pipeline.toml")), ("PWD", str(toml))),
        )


def damaged(place: Path, draw: random.Random) -> Iterator[Input]:
    """Good files with a few bytes changed, cut off, or doubled."""
    good: dict[str, bytes] = {}
    ims = pa.array(
        [{"bytes": png(n), "path": f"{n}.png"} for n in range(8)],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    table = pa.table({"image": ims, "label": pa.array(["a", "b"] * 4).dictionary_encode(), "split": ["train"] * 8})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    good["parquet"] = buffer.getvalue()
    buffer = io.BytesIO()
    np.savez(buffer, images=np.zeros((8, 8, 8), np.uint8), labels=np.arange(8) % 2)
    good["npz"] = buffer.getvalue()
    for form in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
        buffer = io.BytesIO()
        Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(buffer, form)
        good[form.lower()] = buffer.getvalue()
    for kind, count in (
        ("parquet", 70),
        ("npz", 70),
        ("png", 14),
        ("jpeg", 14),
        ("gif", 8),
        ("bmp", 8),
        ("tiff", 14),
        ("webp", 8),
    ):
        for number in range(count):
            content = bytearray(good[kind])
            how = draw.choice(["flip", "flip", "cut", "double", "zero", "tail"])
            if how == "flip":
                for _ in range(draw.randint(1, 8)):
                    content[draw.randrange(len(content))] = draw.randrange(256)
            elif how == "cut":
                content = content[: draw.randrange(len(content))]
            elif how == "double":
                at = draw.randrange(len(content))
                content = content[:at] + content[at // 2 :]
            elif how == "zero":
                at = draw.randrange(len(content))
                content[at : at + 40] = bytes(len(content[at : at + 40]))
            else:  # where Parquet and zip keep their directory
                for _ in range(6):
                    content[-1 - draw.randrange(min(len(content), 200))] = draw.randrange(256)
            if kind in ("parquet", "npz"):
                path = place / f"damaged-{number}.{kind}"
                path.write_bytes(content)
                yield Input("damaged", f"{kind} {number} {how}", ("data", "inspect", f"{kind}:{path}"))
            else:
                folder = place / f"damaged-{kind}-{number}"
                folder.mkdir()
                (folder / f"a.{kind}").write_bytes(content)
                (folder / f"b.{kind}").write_bytes(good[kind])
                yield Input("damaged", f"{kind} {number} {how}", ("data", "inspect", f"folder:{folder}"))


def bombs(place: Path) -> Iterator[Input]:
    """Little files that stand for much, and files that are programs."""

    def npz(name: str, header: str, rows: int, labels: bytes | None = None) -> Path:
        path = place / f"{name}.npz"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            text = header.encode().ljust(117) + b"\n"
            with archive.open("images.npy", "w", force_zip64=True) as file:
                file.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
                for _ in range(rows):
                    file.write(bytes(1 << 20))
            if labels is not None:
                archive.writestr("labels.npy", labels)
        return path

    head = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }"
    yield Input(
        "bombs",
        "npz one enormous row",
        ("data", "inspect", f"npz:{npz('row', head % ('|u1', '(2, 32768, 32768)'), 2048)}"),
    )
    yield Input(
        "bombs",
        "npz that promises rows",
        (
            "data",
            "inspect",
            f"npz:{npz('promise', head % ('|u1', '(10**12, 8, 8)'.replace('10**12', str(10**12))), 1)}",
        ),
    )
    yield Input(
        "bombs", "npz of negative shape", ("data", "inspect", f"npz:{npz('negative', head % ('|u1', '(-5, 8, 8)'), 1)}")
    )
    yield Input(
        "bombs",
        "npz of a shape of text",
        ("data", "inspect", f"npz:{npz('text', head % ('|u1', chr(39) + 'x' + chr(39)), 1)}"),
    )
    yield Input(
        "bombs", "npz with an object type", ("data", "inspect", f"npz:{npz('object', head % ('|O', '(5, 8, 8)'), 1)}")
    )
    labels = io.BytesIO()
    np.lib.format.write_array_header_1_0(labels, {"descr": "<i8", "fortran_order": False, "shape": (1 << 40,)})
    yield Input(
        "bombs",
        "npz labels without end",
        ("data", "inspect", f"npz:{npz('labels', head % ('|u1', '(100, 8, 8)'), 1, labels.getvalue())}"),
    )
    pickled = io.BytesIO()
    np.lib.format.write_array(pickled, np.array([Mark(place / "executed")], object), allow_pickle=True)
    yield Input(
        "bombs",
        "npz with a pickle",
        ("data", "inspect", f"npz:{npz('pickle', head % ('|u1', '(1, 8, 8)'), 1, pickled.getvalue())}"),
    )
    for name, size in (("wide", (60_000, 60_000)), ("flat", (1, 100_000_000)), ("limit", (13_000, 13_000))):
        folder = place / f"bomb-{name}"
        folder.mkdir()
        for number in range(2):
            (folder / f"{number}.png").write_bytes(png_of(*size))
        yield Input("bombs", f"png {name}", ("data", "inspect", f"folder:{folder}"))
    deep = place / "bomb-deep"
    deep.mkdir()
    for number in range(2):
        (deep / f"{number}.png").write_bytes(png_of(13_000, 13_000, bits=16))
    yield Input("bombs", "png of sixteen bits", ("data", "inspect", f"folder:{deep}"))
    schema, rows = (
        pa.schema([("image", pa.binary())]),
        pa.table({"image": pa.array([bytes(1 << 14)] * 5000, pa.binary())}),
    )
    with pq.ParquetWriter(place / "dictionary.parquet", schema, use_dictionary=True) as writer:
        for _ in range(20):  # 1.6 GB of equal images in a few kilobytes
            writer.write_table(rows)
    yield Input("bombs", "parquet dictionary", ("data", "inspect", f"parquet:{place / 'dictionary.parquet'}"))
    folder = place / "generator"
    folder.mkdir()
    (folder / "generator.json").write_bytes(pickle.dumps(Mark(place / "executed")))
    (folder / "recipe.yaml").write_bytes(b"!!python/object/apply:os.mkdir ['%s']" % str(place / "executed").encode())
    (folder / "generator.safetensors").write_bytes((1 << 62).to_bytes(8, "little") + b"{}")
    yield Input("bombs", "generator of programs", ("sample", str(folder), "--out", str(place / "g.png")))
    (place / "generator.json.bomb").mkdir()
    (place / "generator.json.bomb" / "generator.json").write_text("[" * 100_000)
    yield Input(
        "bombs", "generator nested", ("sample", str(place / "generator.json.bomb"), "--out", str(place / "g.png"))
    )


def filled(text: str, place: Path) -> str:
    for name in ("pipe", "socket", "loop", "text", "folder", "empty", "names", "maze", "pipes", "generator-of-pipes"):
        text = text.replace(f"{{{name}}}", str(place / name))
    return text


def lay_out(place: Path) -> None:
    """What `filled` names."""
    os.mkfifo(place / "pipe")
    os.mkfifo(place / "pipe.yaml")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(place / "socket"))
    (place / "loop").symlink_to(place / "loop")
    (place / "loop.yaml").symlink_to(place / "loop.yaml")
    (place / "text").write_text("no database at all, and no image")
    for name in ("folder", "folder.yaml", "empty", "names", "maze", "pipes", "generator-of-pipes"):
        (place / name).mkdir()
    (place / "folder" / "a.png").write_bytes(png())
    for name in (
        b"\xff\xfe.png",
        b"a\nb.png",
        b"-rf.png",
        b"$(touch x).png",
        b"%s%n.png",
        b"..png",
        b"x" * 250 + b".png",
    ):
        Path(os.fsdecode(os.fsencode(place / "names") + b"/" + name)).write_bytes(png())
    for one in range(9):
        (place / "maze" / f"f{one}").mkdir()
        for other in range(9):
            (place / "maze" / f"f{one}" / f"to{other}").symlink_to(f"../f{other}")
    (place / "maze" / "f0" / "a.png").write_bytes(png())
    for number in range(3):
        (place / "pipes" / f"{number}.png").symlink_to(place / "pipe")
    for name in ("generator.json", "recipe.yaml", "generator.safetensors"):
        os.mkfifo(place / "generator-of-pipes" / name)


def png(number: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8), number, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def png_of(width: int, height: int, bits: int = 8) -> bytes:
    """A grey image of so many zeros, a few kilobytes large."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")

    packer, parts, row = zlib.compressobj(9), [], bytes(1 + width * bits // 8)
    for _ in range(min(height, 13_000)):
        parts.append(packer.compress(row))
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([bits, 0, 0, 0, 0])
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", b"".join(parts) + packer.flush())
        + chunk(b"IEND", b"")
    )


# -- the trial --------------------------------------------------------------------------------------------------------


def go(given: Input, place: Path) -> End:
    environment = {**os.environ, "GAN_PIPELINE_CACHE": str(place / "cache"), "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    directory = place
    for name, value in given.variables:
        environment.pop(name, None)
        if name == "PWD" and value:
            directory = Path(value)
        elif value is not None:
            environment[name] = value
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [*PROGRAM, *given.words], cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        alarm = threading.Timer(SECONDS, lambda: os.killpg(process.pid, 9))
        alarm.start()
        _, status, usage = os.wait4(process.pid, 0)
        alarm.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read().decode(errors="replace")
    return End(process.returncode, said, time.monotonic() - began, usage.ru_maxrss * 1024)


def faults(end: End, usual: int, executed: bool) -> list[str]:
    found = []
    if end.seconds >= SECONDS:
        found.append("hangs")
    elif end.code not in (0, 1, 2, 3):
        found.append(f"exit code {end.code}")
    if "Traceback" in end.said or "gan-pipeline: unexpected " in end.said:
        found.append("traceback")
    if end.memory > usual + MEMORY:
        found.append(f"memory {end.memory / 1e9:.1f} GB")
    if executed:
        found.append("executed")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="KIND", help="settings, addresses, places, documents, damaged or bombs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list", action="store_true", help="print each input with its sentence")
    asked = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="hostile-"))
    lay_out(place)
    good = [("recipes", "show", "dcgan"), ("data", "inspect", f"folder:{place / 'folder'}")]
    usual = max(go(Input("good", "good", words), place).memory for words in good)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    draw = random.Random(asked.seed)
    every = itertools.chain(
        settings(place), addresses(place), places(place), documents(place), damaged(place, draw), bombs(place)
    )
    for given in every:
        if asked.only and given.kind != asked.only:
            continue
        end = go(given, place)
        wrong = faults(end, usual, (place / "executed").exists())
        counts[given.kind].update(["inputs", f"exit {end.code}", *(fault.split()[0] for fault in wrong)])
        last = (end.said.strip().splitlines() or [""])[-1][:200]
        if wrong:
            sys.stdout.write(f"{given.kind}: {given.name!r}: {', '.join(wrong)}: {last}\n")
        elif asked.list:
            sys.stdout.write(f"{given.kind}: {given.name!r}: {end.code}: {last}\n")
        sys.stdout.flush()
    sys.stdout.write(json.dumps({kind: dict(sorted(found.items())) for kind, found in counts.items()}, indent=1) + "\n")
    shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
