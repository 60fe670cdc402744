"""What a hostile or broken VTN may put into one answer, as data: name, bytes, and what must follow.

REFUSED   the message as a whole does not count: WireError, and these words reach the operator
ANSWERED  a signed, listed or readable event that cannot be carried out: its response code
TAKEN     odd, and legal: it must be read as what it says
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from tests.playbook.ven_stage import START, xsd
from tests.unit.openadr2_words import OADR, poll
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.messages import DistributeEvent
from vpp_gateway.sim.vtn import dispatch

Make = Callable[[], bytes]
VTN_ID = "VTN-1"
KEPT = dispatch("kept", start_at=START + 30, duration_s=7200, value=-1000)
"""Accepted before the bad message comes, and in force."""
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


def _cut(share: int) -> bytes:
    """A list of three events without its last `share` %."""
    whole = _events(3)
    return whole[: -(len(whole) * share // 100)]


LOL = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
HOSTILE: dict[str, Make] = {
    "empty": lambda: b"",
    "blank": lambda: b" \n\t ",
    "null bytes": lambda: b"\x00" * 1000,
    "html": lambda: b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>",
    "html without doctype": lambda: b"<html><body>502</body></html>",
    "plain text": lambda: b"Service unavailable",
    "json": lambda: b'{"error": 1}',
    "not utf-8": lambda: poll("<ei:venID>\xff</ei:venID>").replace("\xff".encode(), b"\xff\xfe\xfa"),
    "latin-1 said to be utf-8": lambda: b"<?xml version='1.0' encoding='utf-8'?><a>\xe9</a>",
    "unknown encoding": lambda: poll(head="<?xml version='1.0' encoding='x-none'?>"),
    "utf-7": lambda: poll(head="<?xml version='1.0' encoding='utf-7'?>"),
    "truncated": lambda: poll()[:-20],
    "trailing garbage": lambda: poll() + b"<x/>",
    "two documents": lambda: poll() + poll(),
    "unclosed tag": lambda: poll("<ei:venID>VEN-1"),
    "unbound prefix": lambda: poll("<nope:venID>1</nope:venID>"),
    "duplicate attribute": lambda: poll("<ei:venID a='1' a='2'>1</ei:venID>"),
    "control character": lambda: poll("<ei:venID>\x07</ei:venID>"),
    "character reference to zero": lambda: poll("<ei:venID>&#0;</ei:venID>"),
    "undefined entity": lambda: poll("<ei:venID>&who;</ei:venID>"),
    "billion laughs": lambda: poll("<ei:venID>&l9;</ei:venID>", f'<!DOCTYPE x [<!ENTITY l0 "ha">{LOL}]>'),
    "quadratic entity": lambda: poll(
        "<ei:venID>" + "&a;" * 5000 + "</ei:venID>", f'<!DOCTYPE x [<!ENTITY a "{"a" * 50000}">]>'
    ),
    "external entity": lambda: poll(
        "<ei:venID>&f;</ei:venID>", '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]>'
    ),
    "parameter entity": lambda: poll(head='<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x"> %p;]>'),
    "external dtd": lambda: poll(head='<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">'),
    "doctype in utf-16": lambda: ("\ufeff<!DOCTYPE x []>" + poll().decode()).encode("utf-16-le"),
    "attribute default by dtd": lambda: poll(head="<!DOCTYPE x [<!ATTLIST x a CDATA 'b'>]>"),
    "deep": lambda: b"<a>" * 5000 + b"</a>" * 5000,
    "very deep, unclosed": lambda: b"<a>" * 300_000,
    "many children": lambda: b"<r>" + b"<b/>" * 200_000 + b"</r>",
    "many attributes in one tag": lambda: b"<r " + b" ".join(b"a%d='1'" % n for n in range(60_000)) + b"/>",
    "attributes on many tags": lambda: b"<r>" + b"<b a='1' c='2'/>" * 15_000 + b"</r>",
    "many namespaces": lambda: b"<r " + b" ".join(b"xmlns:a%d='u'" % n for n in range(40_000)) + b"/>",
    "too long": lambda: poll("<ei:venID>" + "x" * 4_300_000 + "</ei:venID>"),
    "long name": lambda: b"<" + b"a" * 900_000 + b"/>",
    "another root": lambda: b"<Envelope xmlns='http://schemas.xmlsoap.org/soap/envelope/'/>",
    "right name, wrong namespace": lambda: poll().replace(OADR.encode(), b"http://openadr.org/oadr-2.0a"),
    "no message": lambda: f'<o:oadrPayload xmlns:o="{OADR}"><o:oadrSignedObject/></o:oadrPayload>'.encode(),
    "no signed object": lambda: f'<o:oadrPayload xmlns:o="{OADR}"/>'.encode(),
    "two messages": lambda: poll(around="{}").replace(
        b"</oadr:oadrSignedObject>",
        b"<oadr:oadrPoll><ei:venID>2</ei:venID></oadr:oadrPoll></oadr:oadrSignedObject>",
    ),
    "unknown message": lambda: poll().replace(b"oadrPoll", b"oadrPull"),
    "missing element": lambda: poll(""),
    "extra element": lambda: poll("<ei:venID>1</ei:venID><ei:venID>2</ei:venID>"),
    "element where text is due": lambda: poll("<ei:venID><ei:venID>1</ei:venID></ei:venID>"),
    "text between elements": lambda: poll("stray<ei:venID>1</ei:venID>"),
    "unknown attribute": lambda: poll("<ei:venID evil='1'>1</ei:venID>"),
    "wrong schema version": lambda: poll().replace(b'"2.0b"', b'"3.0"'),
    "xinclude": lambda: poll(
        '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/hostname" parse="text"/>'
    ),
    "xsi type": lambda: poll(
        '<ei:venID xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="ei:Evil">1</ei:venID>'
    ),
    "random bytes": lambda: bytes(range(256)) * 100,
    "gzip bytes": lambda: b"\x1f\x8b\x08\x00" + b"\x00" * 100,
    # -- entities and document types, hidden
    "internal entity": lambda: poll("<ei:venID>&a;</ei:venID>", '<!DOCTYPE x [<!ENTITY a "VEN-1">]>'),
    "entity in an attribute": lambda: poll("<ei:venID a='&a;'/>", '<!DOCTYPE x [<!ENTITY a "VEN-1">]>'),
    "doctype in utf-16, big end": lambda: ("\ufeff<!DOCTYPE x []>" + poll().decode()).encode("utf-16-be"),
    "doctype after a comment": lambda: poll(head="<!-- x --><!DOCTYPE x []>"),
    "doctype after an instruction": lambda: poll(head="<?x <!DOCTYPE ?><!DOCTYPE x []>"),
    "doctype in small letters": lambda: poll(head="<!doctype x>"),
    "doctype inside the message": lambda: poll("<!DOCTYPE x []><ei:venID>1</ei:venID>"),
    "doctype with a public id": lambda: poll(head='<!DOCTYPE x PUBLIC "-//W3C//DTD" "http://127.0.0.1:1/x">'),
    "doctype without an end": lambda: poll(head="<!DOCTYPE x ["),
    "notation": lambda: poll(head='<!DOCTYPE x [<!NOTATION n SYSTEM "file:///bin/sh">]>'),
    "entity that names itself": lambda: poll("<ei:venID>&a;</ei:venID>", '<!DOCTYPE x [<!ENTITY a "&a;">]>'),
    "entity bomb by parameters": lambda: poll(
        head='<!DOCTYPE x [<!ENTITY % a "aaaa"><!ENTITY % b "%a;%a;%a;"><!ENTITY c "%b;">]>'
    ),
    # -- encodings
    "utf-16 that says utf-8": lambda: ("<?xml version='1.0' encoding='utf-8'?>" + poll().decode()).encode(
        "utf-16-le"
    ),
    "utf-8 that says utf-16": lambda: poll(head="<?xml version='1.0' encoding='utf-16'?>"),
    "utf-32": lambda: poll().decode().encode("utf-32"),
    "ebcdic": lambda: poll().decode().encode("cp500"),
    "encoding of kilobytes": lambda: poll(head=f"<?xml version='1.0' encoding='{'x' * 60000}'?>"),
    "encoding with a path": lambda: poll(head="<?xml version='1.0' encoding='../../etc/hostname'?>"),
    "xml 1.1": lambda: poll(head="<?xml version='1.1'?>").replace(b"VEN-1", b"VEN&#1;1"),
    "xml 9.9": lambda: poll(head="<?xml version='9.9'?>"),
    "two byte order marks": lambda: b"\xef\xbb\xbf\xef\xbb\xbf" + poll(),
    "byte order mark in the middle": lambda: poll("\ufeff<ei:venID>1</ei:venID>"),
    "overlong utf-8": lambda: poll().replace(b"VEN-1", b"\xc0\xbcVEN"),
    "surrogates in utf-8": lambda: poll().replace(b"VEN-1", b"\xed\xa0\x80"),
    "null in the text": lambda: poll().replace(b"VEN-1", b"VEN\x00-1"),
    "null after the end": lambda: poll() + b"\x00" * 50,
    "declaration after a blank": lambda: poll(head=" <?xml version='1.0'?>"),
    "two declarations": lambda: poll(head="<?xml version='1.0'?><?xml version='1.0'?>"),
    "surrogate reference": lambda: poll("<ei:venID>&#xD800;</ei:venID>"),
    "reference beyond unicode": lambda: poll("<ei:venID>&#x110000;</ei:venID>"),
    "reference of a million digits": lambda: poll(f"<ei:venID>&#{'9' * 900_000};</ei:venID>"),
    # -- size and shape
    "half a million attributes": lambda: b"<r " + b" ".join(b"a%d=''" % n for n in range(500_000)) + b"/>",
    "an attribute of 900 kB": lambda: poll(f"<ei:venID a='{'x' * 900_000}'>1</ei:venID>"),
    "30 MB of text": lambda: b"<r>" + b"x" * 30_000_000 + b"</r>",
    "30 MB of blanks": lambda: b" " * 30_000_000,
    "1 MB of blanks": lambda: b" " * 1_000_000,
    "900 kB of comments": lambda: poll("<!--x-->" * 112_000),
    "900 kB of instructions": lambda: poll("<?x y?>" * 128_000),
    "100,000 references": lambda: poll("<ei:venID><a>" + "&#65;" * 100_000 + "</a></ei:venID>"),
    "depth 65": lambda: b"<a>" * 65 + b"</a>" * 65,
    "60,000 elements": lambda: b"<r>" + b"<b/>" * 59_000 + b"</r>",
    "19,000 attributes in one tag": lambda: b"<r " + b" ".join(b"a%d=''" % n for n in range(19_000)) + b"/>",
    "19,000 namespaces": lambda: b"<r " + b" ".join(b"xmlns:a%d='u'" % n for n in range(19_000)) + b"/>",
    "namespaces declared again and again": lambda: (
        b"".join(b"<a xmlns='urn:%d'>" % n for n in range(60)) + b"<b/>" * 50_000 + b"</a>" * 60
    ),
    "cdata without an end": lambda: poll("<ei:venID><![CDATA[" + "x" * 500_000),
    "comment without an end": lambda: poll("<!--" + "-x" * 250_000),
    "8,000 report requests without anything": lambda: _in_message(
        "oadrCreateReport", "<pyld:requestID>r</pyld:requestID>" + "<oadr:oadrReportRequest/>" * 8000
    ),
    "10,000 events without anything": lambda: _list(
        "</ei:vtnID>", "</ei:vtnID>" + "<oadr:oadrEvent/>" * 10_000
    ),
    "10,000 events": lambda: _events(1).replace(_one(), _one() * 10_000),
    **{
        f"cut off after {share} %": (lambda share=share: poll()[: len(poll()) * share // 100])  # type: ignore[misc]
        for share in (1, 10, 25, 50, 75, 90, 99)
    },
    **{f"an event list without its last {share} %": partial(_cut, share) for share in (3, 30, 60)},
    # -- names and structure
    "message twice": lambda: poll().replace(
        b"</oadr:oadrSignedObject>", b"</oadr:oadrSignedObject><oadr:oadrSignedObject/>"
    ),
    "unknown namespace inside": lambda: poll('<x:venID xmlns:x="urn:evil">VEN-1</x:venID>'),
    "namespace of 2.0a": lambda: poll().replace(b"201110", b"201010"),
    "no namespace": lambda: b"<oadrPayload><oadrSignedObject><oadrPoll/></oadrSignedObject></oadrPayload>",
    "prefix bound to nothing": lambda: poll('<ei:venID xmlns:ei="">VEN-1</ei:venID>'),
    "the xml prefix bound anew": lambda: poll('<ei:venID xmlns:xml="urn:evil">VEN-1</ei:venID>'),
    "xml:base": lambda: poll('<ei:venID xml:base="http://127.0.0.1:1/">VEN-1</ei:venID>'),
    "xsi:nil": lambda: poll(f'<ei:venID {XSI} xsi:nil="true"/>'),
    "xsi:type of text": lambda: poll(
        f'<ei:venID {XSI} xmlns:xs="http://www.w3.org/2001/XMLSchema" xsi:type="xs:int">x</ei:venID>'
    ),
    "html entities": lambda: poll("<ei:venID>&nbsp;</ei:venID>"),
    "markup in an id": lambda: poll("<ei:venID><b>VEN</b>-1</ei:venID>"),
    "]]> in an id": lambda: poll("<ei:venID>]]></ei:venID>"),
    "bare ampersand": lambda: poll("<ei:venID>A&B</ei:venID>"),
    "control characters and rtf": lambda: poll("<ei:venID>{\\rtf1\x0b}</ei:venID>"),
    "soap": lambda: (
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        + poll()
        + b"</s:Body></s:Envelope>"
    ),
    "pickle": lambda: b"\x80\x04\x95\x1c\x00\x00\x00",
    "zip": lambda: b"PK\x03\x04" + bytes(200),
    "multipart": lambda: b"--x\r\nContent-Type: text/xml\r\n\r\n" + poll() + b"\r\n--x--",
    "utf-8 in percent": lambda: poll().replace(b"<", b"%3C"),
    "list without a vtnID": lambda: _list("<ei:vtnID>VTN-1</ei:vtnID>", ""),
    "vtnID twice": lambda: _list("<ei:vtnID>VTN-1</ei:vtnID>", "<ei:vtnID>VTN-1</ei:vtnID>" * 2),
    "wrong order in a list": lambda: _list(
        "<ei:vtnID>VTN-1</ei:vtnID>", "", "<pyld:requestID>", "<ei:vtnID>VTN-1</ei:vtnID><pyld:requestID>"
    ),
}


def _events(count: int) -> bytes:
    events = tuple(dispatch(f"e{n}", start_at=START + 3600, duration_s=3600, value=-1) for n in range(count))
    return Codec(schema=xsd()).encode(DistributeEvent(request_id="r", vtn_id=VTN_ID, events=events), START)


def _one() -> bytes:
    text = _events(1)
    return text[
        text.index(b"<oadr:oadrEvent>") : text.index(b"</oadr:oadrEvent>") + len(b"</oadr:oadrEvent>")
    ]


def _list(*pairs: str) -> bytes:
    """An empty event list, with texts exchanged in pairs."""
    text = Codec(schema=xsd()).encode(DistributeEvent(request_id="r", vtn_id=VTN_ID), START).decode()
    for old, new in zip(pairs[::2], pairs[1::2], strict=True):
        assert old in text, old
        text = text.replace(old, new, 1)
    return text.encode()


def _in_message(name: str, content: str) -> bytes:
    """A message of this name in place of the poll."""
    pyld = "http://docs.oasis-open.org/ns/energyinterop/201110/payloads"
    whole = poll(content).decode().replace("oadr:oadrPoll", f"oadr:{name}")
    return whole.replace("<oadr:oadrPayload", f'<oadr:oadrPayload xmlns:pyld="{pyld}"', 1).encode()


def _bad(old: str, new: str) -> Make:
    """A list of an event `bad`, a text of it exchanged, and of the event `kept`, which is good."""

    def make() -> bytes:
        event = dispatch("bad", start_at=START + 3600, duration_s=3600, value=-12345)
        text = (
            Codec(schema=xsd())
            .encode(DistributeEvent(request_id="r", vtn_id=VTN_ID, events=(event, KEPT)), START)
            .decode()
        )
        assert old in text, f"{old} is not in {text}"
        return text.replace(old, new, 1).encode()

    return make


AT = "2026-01-01T01:00:00Z"
LASTS = "PT1H"
VALUE = "<ei:value>-12345</ei:value>"
NUMBER = "<ei:modificationNumber>0</ei:modificationNumber>"
ANSWERED: dict[str, Make] = {
    **{f"starts {text!r}": _bad(AT, text) for text in (
        "0000-01-01T00:00:00Z", "-2026-01-01T00:00:00Z", "99999-01-01T00:00:00Z", "2026-01-01T24:00:01Z",
        "2026-06-30T23:59:60Z", "2026-02-30T00:00:00Z", "2026-01-01T01:00:00+09:00", "2026-01-01", "1767229200",
        "tomorrow", "", "2026-01-01T01:00:00ZZ", "２０２６-01-01T01:00:00Z", "2026-1-1T1:00:00Z",
    )},
    **{f"lasts {text!r}": _bad(LASTS, text) for text in (
        "-PT1H", "PT1.5S", "P999999999999Y", "P101Y", "3600", "1H", "", "PT", "PT1H PT1H", "P" + "9" * 5000 + "D",
    ) if text != "PT"},
    **{f"asks for {text[:12]!r}": _bad(VALUE, f"<ei:value>{text}</ei:value>") for text in (
        "NaN", "INF", "-INF", "1e999", "twelve", "", "0x10", "1,5", "１", "1_000", "<b>1</b>", "9" * 5000,
    )},
    **{f"modification {text[:12]!r}": _bad(NUMBER, f"<ei:modificationNumber>{text}</ei:modificationNumber>") for text in (
        "-1", "1.5", "4294967296", "9" * 5000, "one", "",
    )},
    "a signal without a name": _bad(">LOAD_DISPATCH<", "><"),
    "a signal of another name": _bad(">LOAD_DISPATCH<", ">OTHER<"),
    "an unknown signal type": _bad(">delta<", ">epsilon<"),
    "an unknown status": _bad(">far<", ">soon<"),
    "a status in capitals": _bad(">far<", ">FAR<"),
    "no payload": _bad(f"<ei:payloadFloat>{VALUE}</ei:payloadFloat>", ""),
    "a foreign element": _bad("<ei:eventStatus>", '<x xmlns="urn:evil"/><ei:eventStatus>'),
}  # fmt: skip


TAKEN: dict[str, Make] = {
    "byte order mark": lambda: b"\xef\xbb\xbf" + _events(1),
    "utf-16": lambda: _events(1).decode().replace("UTF-8", "UTF-16").encode("utf-16"),
    "latin-1": lambda: _events(1).replace(b"UTF-8", b"ISO-8859-1"),
    "instructions and comments": lambda: _events(1).replace(b"<ei:venID>", b"<?x y?><!-- z --><ei:venID>"),
    "a comment that splits an id": lambda: _events(1).replace(b">e0<", b">e<!-- -->0<"),
    "an id in cdata": lambda: _events(1).replace(b">e0<", b"><![CDATA[e]]>0<"),
    "an id of references": lambda: _events(1).replace(b">e0<", b">&#101;&#x30;<"),
    "200 events": lambda: _events(200),
    "a stylesheet": lambda: _events(1).replace(b"?>", b"?><?xml-stylesheet href='file:///etc/hostname'?>", 1),
    "a schema location": lambda: _events(1).replace(
        b"<oadr:oadrPayload ", f'<oadr:oadrPayload {XSI} xsi:schemaLocation="{OADR} http://127.0.0.1:1/x" '.encode()
    ),
    **{
        f"an id like {id[:12]!r}": (lambda id=id: _events(1).replace(b">e0<", f">{id}<".encode()))  # type: ignore[misc]
        for id in (
            "0042", "1e5", "1.2.3", "true", "null", "NaN", "-0", "2026-01-01", "&lt;b&gt;", "]]&gt;", "&amp;amp;",
            "\u202eevil", "\u200b", "日本", "'; DROP TABLE", "../../etc", "${jndi:x}", "{\\rtf1}", "x" * 10_000,
        )
    },
}  # fmt: skip


def _with_part(pattern: str, times: int) -> bytes:
    """The list of `bad` and `kept`, the first element that fits `pattern` written `times` times."""
    whole = _bad(NUMBER, NUMBER)().decode()
    found = re.search(pattern, whole)
    assert found is not None
    return whole.replace(found.group(), found.group() * times, 1).encode()


ABSURD: dict[str, tuple[Make, str, str]] = {
    "the highest modification number": (_bad(NUMBER, NUMBER.replace(">0<", ">4294967295<")), "200", "optIn"),
    "starts in the year 9999": (_bad(AT, "9999-12-31T23:59:59Z"), "454", "optOut"),
    "starts in the year 1900": (_bad(AT, "1900-01-01T00:00:00Z"), "200", "optOut"),
    "2,000 intervals": (lambda: _with_part("<ei:interval>.*?</ei:interval>", 2000), "454", "optOut"),
    "no interval": (lambda: _with_part("<ei:interval>.*?</ei:interval>", 0), "454", "optOut"),
    "one event three times": (lambda: _with_part("<oadr:oadrEvent>.*?</oadr:oadrEvent>", 3), "200", "optIn"),
    "a uid that is no number": (
        _bad("<xcal:text>0</xcal:text></xcal:uid>", "<xcal:text>-1e9</xcal:text></xcal:uid>"),
        "200",
        "optIn",
    ),
}
"""Readable and absurd: name -> (list, response code of `bad`, opt)."""
