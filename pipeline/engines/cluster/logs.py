"""What a stage itself has printed, among the lines of what starts it in a pod."""

import re

# Of KFP's launcher, Argo's and KFP's executor; warnings and errors stay. What a stage tells its log, it prints too.
_BESIDE = re.compile(
    r"I\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ [\w.]+\.go:\d+\] "
    r"|time=\S+ level=INFO .*\bargo=true"
    r"|\[KFP Executor [^]]* INFO\]: "
)
_BEGINS_JSON = ("{", "executor_input:")


def own_lines(text: str) -> str:
    """The log of a stage without them.

    >>> own_lines("I1130 00:07:16.940577      58 launcher_v2.go:206] publish success.\\ntrain_gan: training 1/9\\n")
    'train_gan: training 1/9\\n'
    """
    kept, inside = [], False
    for line in text.splitlines(keepends=True):
        if inside:
            inside = line.rstrip() != "}"
        elif _BESIDE.match(line):
            inside = line.rstrip().endswith(_BEGINS_JSON)
        else:
            kept.append(line)
    return "".join(kept)
