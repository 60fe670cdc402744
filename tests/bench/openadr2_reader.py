"""Program: reads one message again and again, as often as it is asked. `python -m tests.bench.openadr2_reader WHO`

`ours`: bytes -> hardened parse -> schema -> typed message. `openleadr`: what its VEN does with a reply: schema-bound
parse, then the dict. Each line on stdin names a file; each answer is how long one reading took, s.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path


def ours() -> Callable[[bytes], object]:
    """The codec as the gateway builds it, a new one for each file: the first reading has nothing learnt before."""
    from vpp_gateway.northbound.openadr2 import schema
    from vpp_gateway.northbound.openadr2.codec import Codec

    xsd, codecs = schema.load(), dict[bytes, Codec]()

    def read(body: bytes) -> object:
        codec = codecs.get(body) or codecs.setdefault(body, Codec(schema=xsd))
        return codec.decode(body, 0.0)

    return read


def openleadr() -> Callable[[bytes], object]:
    """As in its client's `_perform_request`."""
    from openleadr.messaging import parse_message, validate_xml_schema

    def read(body: bytes) -> object:
        validate_xml_schema(body)
        return parse_message(body)

    return read


def main(who: str) -> None:
    """Command line."""
    read = {"ours": ours, "openleadr": openleadr}[who]()
    bodies: dict[str, bytes] = {}
    for line in sys.stdin:
        name = line.strip()
        body = bodies.get(name) or bodies.setdefault(name, Path(name).read_bytes())
        began = time.perf_counter()
        read(body)
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
