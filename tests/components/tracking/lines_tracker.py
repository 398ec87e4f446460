"""A tracker that appends what is tracked to a file: `--tracking-uri lines:/abs/path/file.jsonl`."""

import json
from pathlib import Path

from components.tracking.backend import Answer, Sender, Tracker
from gan_models.errors import RequestError


class Lines(Tracker):
    name = "the file of lines"

    def check(self, uri: str, seconds: float = 5.0) -> Answer:
        if not file_of(uri).is_absolute():
            raise RequestError(f"--tracking-uri {uri}: name an absolute path, as in lines:/data/runs.jsonl")
        return "reachable" if file_of(uri).parent.is_dir() else "away"  # a disk may be mounted later

    def sender(self, context):
        return LinesSender(context)


class LinesSender(Sender):
    def send(self, stage, spool, entries, verify) -> None:
        file = file_of(self.context.tracking_uri)
        known = file.read_text().splitlines() if verify and file.exists() else []
        run = {"run": self.context.run_id, "stage": self.context.titles.get(stage, stage)}
        lines = [json.dumps({**run, **entry}) for entry in entries]
        with file.open("a") as target:
            target.writelines(f"{line}\n" for line in lines if line not in known)


def file_of(uri: str) -> Path:
    return Path(uri.removeprefix("lines:"))


TRACKER = Lines()
