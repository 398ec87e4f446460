"""The leaderboard as a table: of Markdown, of HTML, and of texts for whoever draws another."""

from __future__ import annotations

from html import escape

from components.artifacts import Leaderboard, RankedTrial
from components.context import short_keys
from components.markdown import plain

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.3em .7em;text-align:left}"
)


def table(board: Leaderboard) -> list[list[str]]:
    """A heading, then a line for each trial: place, settings that differ, score, deciding figure, step, status."""
    heading = ["", *short_keys(board.varied), board.split or "score", board.metric or "figure", "step", "status"]
    return [heading, *(_line(trial, board.varied) for trial in board.trials)]


def caption(board: Leaderboard) -> str:
    """What the trials are ranked by."""
    return f"{len(board.trials)} trials, ranked by {board.ranked_by or 'nothing'}; lower is better."


def reasons(board: Leaderboard) -> list[str]:
    """A sentence for each trial without a place."""
    return [f"{trial.name}: {trial.sentence}" for trial in board.trials if trial.sentence]


def _line(trial: RankedTrial, varied: list[str]) -> list[str]:
    score, figure = ("" if value is None else f"{value:.4g}" for value in (trial.score, trial.figure))
    step = "" if trial.step is None else str(trial.step)
    return [str(trial.place or ""), *(trial.settings[key] for key in varied), score, figure, step, trial.status]


def markdown(board: Leaderboard) -> str:
    """The whole of leaderboard.md."""
    heading, *lines = [[plain(cell) for cell in cells] for cells in table(board)]
    rows = [heading, ["---"] * len(heading), *lines]
    said = f"{plain(caption(board))}\n\n"
    lines_of_table = [f"| {' | '.join(cells)} |" for cells in rows]
    return said + "\n".join([*lines_of_table, "", *(f"- {plain(each)}" for each in reasons(board))]).rstrip() + "\n"


def page(board: Leaderboard) -> str:
    """The whole of leaderboard.html: the table, and the figures of each trial."""
    names = list(dict.fromkeys(name for trial in board.trials for name in trial.figures))
    figures = [["trial", *names]]
    figures += [
        [trial.name, *(f"{trial.figures[name]:.4g}" if name in trial.figures else "" for name in names)]
        for trial in board.trials
    ]
    why = "".join(f"<li>{escape(each)}</li>" for each in reasons(board))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Leaderboard</title><style>{_STYLE}</style>'
        f"</head><body><h1>Leaderboard</h1><p>{escape(caption(board))}</p>"
        f"{_html(table(board))}<ul>{why}</ul><h2>Figures</h2>{_html(figures)}</body></html>\n"
    )


def _html(rows: list[list[str]]) -> str:
    heading, *lines = rows
    cells = [("th", heading), *(("td", line) for line in lines)]
    return (
        "<table>"
        + "".join(f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in row)}</tr>" for tag, row in cells)
        + "</table>"
    )
