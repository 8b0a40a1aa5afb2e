"""A process that reads blocks of lines: `python -m` with how, a `Reading` as JSON.

`cleaning_pool.py` starts it and talks to it: blocks on standard input, `Rows` on standard output. It ends when standard
input does, so with its parent, whatever that one died of.
"""

import os
import pickle
import signal
import struct
import sys
import traceback

import msgspec

from include.catalogue.rows import Reading, RowReader

SIZE = struct.Struct("<Q")  # of what follows: a block; or the reply, pickled: Rows, or as a str what failed


def main() -> None:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches the parent too, which ends this
    reader = RowReader(msgspec.json.decode(sys.argv[1], type=Reading))
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get between the replies
    while len(header := requests.read(SIZE.size)) == SIZE.size:
        (size,) = SIZE.unpack(header)
        block = requests.read(size)
        if len(block) < size:
            break
        try:
            reply = pickle.dumps(reader.read(block), protocol=5)
        except Exception:  # the parent raises it again, with this traceback
            reply = pickle.dumps(traceback.format_exc())
        try:
            replies.write(SIZE.pack(len(reply)))
            replies.write(reply)
            replies.flush()
        except BrokenPipeError:  # the parent is gone
            os._exit(1)


if __name__ == "__main__":
    main()
