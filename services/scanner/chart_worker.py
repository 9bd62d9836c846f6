"""The drawing process: reads chart specs from its input, writes pictures to its output, ends with its input.

A message is its length as four big-endian bytes, then its bytes; a picture that could not be drawn is an
empty one, and the reason goes to the error output. Started by ``drawing.py``. The first picture takes far
longer than all others (fonts are read), so it is drawn for nobody.
"""

from __future__ import annotations

import struct
import sys
import traceback

import msgspec

from services.scanner.chart_spec import ChartSpec
from services.scanner.charts import WARM_UP, draw

LENGTH = struct.Struct(">I")


def main() -> None:
    """Draw until the input ends."""
    decoder = msgspec.msgpack.Decoder(ChartSpec)
    source, out = sys.stdin.buffer, sys.stdout.buffer
    draw(WARM_UP)
    while head := source.read(LENGTH.size):
        (length,) = LENGTH.unpack(head)
        try:
            picture = draw(decoder.decode(source.read(length)))
        except Exception:
            traceback.print_exc()
            picture = b""
        out.write(LENGTH.pack(len(picture)))
        out.write(picture)
        out.flush()


if __name__ == "__main__":
    main()
