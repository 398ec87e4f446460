"""A decoder process: `python -m components.prepare_data.decode_worker`, started by `decode_pool`.

Reads pickled requests from standard input, answers on standard output, and ends when its input ends: when the parent
goes, however it goes, the pipe closes and no process is left behind. Only ever talks to the process that started it.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
import warnings

from PIL import Image

from components.prepare_data.decoding import decode_batch


def main() -> None:
    """Serve requests (items, target) until end of file."""
    # Ctrl-C reaches the whole process group; the parent decides what happens, and closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    gc.freeze()  # what was imported stays: no need to look at it again
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not break the protocol
    while True:
        try:
            items, target = pickle.load(requests)
        except (EOFError, pickle.UnpicklingError):
            return
        try:
            pickle.dump(decode_batch(items, target), answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()
        except BrokenPipeError:
            return


if __name__ == "__main__":
    main()
