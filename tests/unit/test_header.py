"""Photo metadata in all places where formats store it, and malicious metadata."""

from __future__ import annotations

import io
import os
import signal
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from PIL import Image
from sample_library import heic
from test_picture import encoded, heif, scene

from facesearch.errors import PhotoError
from facesearch.photos.header import MADE_BY, Header, read_header
from facesearch.photos.parts import Pieces
from facesearch.photos.picture import Photo
from facesearch.photos.xmp import read_xmp
from facesearch.types import TakenAt

ORIGINAL, DIGITIZED, DATE_TIME = 0x9003, 0x9004, 0x0132
OFFSETS = {ORIGINAL: 0x9011, DIGITIZED: 0x9012}


def exif_of(dates: dict[int, str] | None = None, **more: Any) -> Image.Exif:
    exif = Image.Exif()
    for tag, value in (dates or {}).items():
        (exif if tag == DATE_TIME else exif.get_ifd(0x8769))[tag] = value
    for name, value in more.items():
        exif[{"orientation": 0x0112, "software": 0x0131}[name]] = value
    return exif


def xmp_of(attributes: str = "", elements: str = "") -> bytes:
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
        ' xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"'
        ' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"'
        f' {attributes}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def iptc_of(date: str, time: str = "") -> bytes:
    records = b"".join(
        struct.pack(">BBBH", 0x1C, 2, number, len(value)) + value.encode()
        for number, value in ((5, "A title"), (55, date), (60, time))
        if value
    )
    resource = b"8BIM\x04\x04\x00\x00" + struct.pack(">I", len(records)) + records + b"\0" * (len(records) % 2)
    return b"Photoshop 3.0\x008BIM\x03\xed\x00\x00\x00\x00\x00\x02ab" + resource


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def with_xmp(jpeg: bytes, packet: bytes) -> bytes:
    return with_segments(jpeg, segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    return png[:33] + b"".join(chunks) + png[33:]


def header(data: bytes) -> Header:
    found = read_header(io.BytesIO(data))
    facts = Photo(data).facts
    assert (facts.taken, facts.position, facts.ours) == (found.taken, found.position, found.ours)
    return found


def taken(data: bytes) -> tuple[str, str, str] | None:
    found = header(data).taken
    return None if found is None else (str(found), found.source, found.precision)


JPEG = encoded(scene(), "JPEG")


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        ({DATE_TIME: "2020:01:02 03:04:05"}, None),
        ({DATE_TIME: "2020:01:02 03:04:05", DIGITIZED: "2015:06:07 08:09:10"}, "2015-06-07T08:09:10 second"),
        ({ORIGINAL: "1962:07:03 10:11:12", DIGITIZED: "2015:06:07 08:09:10"}, "1962-07-03T10:11:12 second"),
        ({ORIGINAL: "0000:00:00 00:00:00", DIGITIZED: "2015:06:07 08:09:10"}, "2015-06-07T08:09:10 second"),
        ({ORIGINAL: "2019:07:06 21:22:23", 0x9011: "+02:00"}, "2019-07-06T21:22:23+02:00 second"),
        ({ORIGINAL: "2019:07:06 21:22:23", 0x9012: "+02:00"}, "2019-07-06T21:22:23 second"),
        ({DIGITIZED: "2019:07:06 21:22:23", 0x9012: "-0330"}, "2019-07-06T21:22:23-03:30 second"),
        ({ORIGINAL: "2019:07:06 21:22:23", 0x9011: "+99:99"}, "2019-07-06T21:22:23 second"),
        ({ORIGINAL: "1962:07:00 00:00:00"}, "1962-07-01T00:00:00 month"),
        ({ORIGINAL: "1962:00:00 00:00:00"}, "1962-01-01T00:00:00 year"),
        ({ORIGINAL: "1962:  :     :  :  "}, "1962-01-01T00:00:00 year"),
        ({ORIGINAL: "1962:07:03"}, "1962-07-03T00:00:00 day"),
        ({ORIGINAL: "2019:07:06 24:22:23"}, "2019-07-06T00:00:00 day"),
        ({ORIGINAL: "2019-7-3 1:02:3"}, "2019-07-03T01:02:03 second"),
        ({ORIGINAL: "2019:07:03 10:11:12 CEST"}, "2019-07-03T10:11:12 second"),
        ({ORIGINAL: "2019"}, "2019-01-01T00:00:00 year"),
        ({ORIGINAL: "2019 years ago"}, None),
        ({ORIGINAL: "20190703"}, None),
        ({ORIGINAL: "19991"}, None),
        ({ORIGINAL: "1999-123"}, None),
        ({ORIGINAL: "2020:13:45 99:99:99"}, None),
        ({ORIGINAL: "0001:01:01 00:00:00"}, None),
    ],
)
def test_only_exposure_and_scan_times_count(dates: dict[int, str], expected: str | None) -> None:
    found = taken(encoded(scene(), "JPEG", exif=exif_of(dates)))
    assert (None if found is None else f"{found[0]} {found[2]}") == expected
    assert found is None or found[1] == "exif"


@pytest.mark.parametrize(
    ("attributes", "elements", "expected"),
    [
        ('photoshop:DateCreated="1962-07-03T10:11:12.5+01:00"', "", "1962-07-03T10:11:12+01:00 second"),
        ('photoshop:DateCreated="1962-07-03T10:11"', "", "1962-07-03T10:11:00 minute"),
        ('photoshop:DateCreated="1962-07-03"', "", "1962-07-03T00:00:00 day"),
        ('photoshop:DateCreated="1962-07"', "", "1962-07-01T00:00:00 month"),
        ("", "<photoshop:DateCreated>1962</photoshop:DateCreated>", "1962-01-01T00:00:00 year"),
        ("", "<exif:DateTimeOriginal>1962-07-03T10:11:12Z</exif:DateTimeOriginal>", "1962-07-03T10:11:12+00:00 second"),
        (
            'photoshop:DateCreated="1970" exif:DateTimeOriginal="1962:07:03 10:11:12"', "",
            "1962-07-03T10:11:12 second",
        ),
        ('photoshop:DateCreated="long ago"', "", None),
        (
            "",
            '<xmpMM:DerivedFrom><rdf:Description photoshop:DateCreated="1999"/></xmpMM:DerivedFrom>',
            None,
        ),
    ],
)  # fmt: skip
def test_xmp(attributes: str, elements: str, expected: str | None) -> None:
    found = taken(with_xmp(JPEG, xmp_of(attributes, elements)))
    assert found == (None if expected is None else (*expected.split()[:1], "xmp", expected.split()[1]))


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        ("19620703", "101112+0100", "1962-07-03T10:11:12+01:00 second"),
        ("19620703", "", "1962-07-03T00:00:00 day"),
        ("19620700", "000000+0000", "1962-07-01T00:00:00 month"),
        ("19620000", "", "1962-01-01T00:00:00 year"),
        ("1962-07-03", "", "1962-07-03T00:00:00 day"),
        ("19621303", "", None),
        ("00000000", "", None),
    ],
)
def test_iptc(date: str, time: str, expected: str | None) -> None:
    found = taken(with_segments(JPEG, segment(0xED, iptc_of(date, time))))
    assert found == (None if expected is None else (expected.split()[0], "iptc", expected.split()[1]))


def test_the_camera_comes_before_what_was_written_later() -> None:
    captions = segment(0xED, iptc_of("19640101"))
    xmp = xmp_of('photoshop:DateCreated="1963"')
    dated = encoded(scene(), "JPEG", exif=exif_of({ORIGINAL: "1962:07:03 10:11:12"}))
    changed = encoded(scene(), "JPEG", exif=exif_of({DATE_TIME: "2020:01:02 03:04:05"}))
    assert [
        found and found[1]
        for found in (
            taken(with_xmp(with_segments(dated, captions), xmp)),
            taken(with_xmp(with_segments(changed, captions), xmp)),
            taken(with_segments(changed, captions)),
        )
    ] == ["exif", "xmp", "iptc"]


def late_exif(**options: Any) -> bytes:
    """Return a PNG with its EXIF after the picture."""
    png = encoded(scene(), "PNG")
    return png[:-12] + chunk(b"eXIf", options["exif"].tobytes().removeprefix(b"Exif\0\0")) + png[-12:]


def tiff(exif: Image.Exif) -> bytes:
    directories = {pointer: dict(exif.get_ifd(pointer)) for pointer in (0x8769, 0x8825)}
    return encoded(scene(), "TIFF", tiffinfo={**exif, **{tag: values for tag, values in directories.items() if values}})


CONTAINERS: dict[str, Callable[..., bytes]] = {
    "jpeg": lambda **options: encoded(scene(), "JPEG", **options),
    "png": lambda **options: encoded(scene(), "PNG", **options),
    "png, after the picture": late_exif,
    "webp": lambda **options: encoded(scene(), "WEBP", **options),
    "avif": lambda **options: encoded(scene(), "AVIF", **options),
    "heif": lambda **options: heic(scene(), **options),
    "tiff": tiff,
    "mpo": lambda **options: encoded(scene(), "MPO", save_all=True, append_images=[scene()], **options),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_exif_is_read_from_every_container(kind: str) -> None:
    exif = exif_of({ORIGINAL: "1962:07:03 10:11:12"}, software=MADE_BY)
    exif.get_ifd(0x8825).update({1: "S", 2: (33.0, 51.0, 30.0), 3: "E", 4: (151.0, 12.0, 0.0)})
    data = CONTAINERS[kind](exif=exif)
    found = header(data)
    assert found.taken == TakenAt("1962-07-03T10:11:12", "exif")
    assert found.position == pytest.approx((-33.858333, 151.2), abs=1e-5)
    assert found.ours


@pytest.mark.parametrize("kind", ["jpeg", "png, as text", "webp", "avif", "heif", "tiff"])
def test_xmp_is_read_from_every_container(kind: str) -> None:
    packet = xmp_of('photoshop:DateCreated="1962-07"')
    if kind == "png, as text":
        data = with_chunks(encoded(scene(), "PNG"), chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet))
    elif kind == "tiff":
        data = encoded(scene(), "TIFF", tiffinfo={700: packet})
    else:
        data = CONTAINERS[kind](xmp=packet)
    assert taken(data) == ("1962-07-01T00:00:00", "xmp", "month")


def test_iptc_in_tiff() -> None:
    resources = iptc_of("19620703").removeprefix(b"Photoshop 3.0\0")
    assert taken(encoded(scene(), "TIFF", tiffinfo={34377: resources})) == ("1962-07-03T00:00:00", "iptc", "day")


def test_exif_as_imagemagick_writes_it_into_a_png() -> None:
    exif = exif_of({ORIGINAL: "1962:07:03 10:11:12"}, orientation=6).tobytes()
    text = b"Raw profile type exif\0\nexif\n%8d\n%s\n" % (len(exif), exif.hex().encode())
    data = with_chunks(encoded(scene(), "PNG"), chunk(b"tEXt", text))
    assert taken(data) == ("1962-07-03T10:11:12", "exif", "second")
    assert Photo(data).size == (48, 64)


def test_xmp_orientation_is_used_without_an_exif_one() -> None:
    turned = with_xmp(JPEG, xmp_of('tiff:Orientation="6"'))
    assert Photo(turned).size == (48, 64)
    assert Photo(turned).pixels(64).shape == (64, 48, 3)
    both = with_xmp(encoded(scene(), "JPEG", exif=exif_of(orientation=1)), xmp_of('tiff:Orientation="6"'))
    assert Photo(both).size == (64, 48)


@pytest.mark.parametrize("software", ["GIMP", "made by facesearch 2", ""])
def test_only_our_own_mark_counts_as_ours(software: str) -> None:
    assert not header(encoded(scene(), "JPEG", exif=exif_of(software=software))).ours


ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "1962"}">' for n in range(12))


@pytest.mark.parametrize(
    "packet",
    [
        f"<!DOCTYPE x [{ENTITIES}]>".encode() + xmp_of(elements="<photoshop:DateCreated>&e11;</photoshop:DateCreated>"),
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + xmp_of('photoshop:DateCreated="1962"'),
        xmp_of('photoshop:DateCreated="1962"').replace(b"Description ", b"\0Description "),
        b"<" * 60000, b"\xff\xfe<\0", b"not XML", b"<a>" * 20000,
    ],
    ids=["entities", "external", "nul", "brackets", "utf-16", "text", "deep"],
)  # fmt: skip
def test_malicious_xmp_is_ignored(packet: bytes) -> None:
    assert read_xmp(packet) == (None, None)
    assert header(with_xmp(JPEG, packet[:60000])).taken is None


def test_a_packet_that_is_cut_short_counts_up_to_there() -> None:
    whole = xmp_of('photoshop:DateCreated="1962-07"', "<photoshop:City>Pisa</photoshop:City>")
    found = read_xmp(whole[: whole.index(b"Pisa")]).taken
    assert found is not None
    assert found.moment == "1962-07-01T00:00:00"


class Counting(io.BytesIO):
    """A stream that counts the bytes read."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


def test_a_jpeg_with_much_exif_is_not_read_for_it() -> None:
    """Pillow copies all earlier segments for each new one: 100 MB took 46 seconds."""
    first = encoded(scene(), "JPEG", exif=exif_of({ORIGINAL: "1962:07:03 10:11:12"}))
    more = segment(0xE1, b"Exif\0\0" + b"x" * 65000) * 400
    at = first.index(b"\xff\xdb")
    stream = Counting(first[:at] + more + first[at:])
    photo = Photo(stream)
    assert photo.pixels(64).shape == (48, 64, 3)
    assert photo.facts.taken == TakenAt("1962-07-03T10:11:12", "exif")
    assert stream.taken < 6e6


@pytest.mark.parametrize("kind", ["iCCP", "zTXt", "iTXt", "tEXt"])
def test_a_png_with_large_other_chunks_is_decoded(kind: str) -> None:
    bomb = zlib.compress(bytes(80_000_000), 9)
    content = {
        "iCCP": b"profile\0\0" + bomb, "zTXt": b"Comment\0\0" + bomb, "iTXt": b"XML:com.adobe.xmp\0\1\0\0\0" + bomb,
        "tEXt": b"Comment\0" + bytes(2_000_000),
    }[kind]  # fmt: skip
    plain = encoded(scene(), "PNG")
    photo = Photo(with_chunks(plain, chunk(kind.encode(), content), chunk(b"tEXt", b"Comment\0" + bytes(2_000_000))))
    assert (photo.pixels(64) == Photo(plain).pixels(64)).all()


def test_a_jpeg_with_too_many_scans_is_refused() -> None:
    """Each scan covers the whole picture, and needs only a hundred bytes to change nothing."""
    written = io.BytesIO()
    Image.new("L", (8000, 8000), 100).save(written, "JPEG", progressive=True)
    plain = written.getvalue()
    scan = plain[plain.rindex(b"\xff\xda") : -2]
    assert Photo(plain).size == (8000, 8000)
    with pytest.raises(PhotoError, match=r"damaged: 406 scans of 8000 x 8000 pixels take too long to decode"):
        Photo(plain[:-2] + scan * 400 + plain[-2:])


def test_the_comment_of_a_gif_is_skipped() -> None:
    """Otherwise it would be kept in memory twice, in full size."""
    plain = encoded(scene().quantize(), "GIF", transparency=3)
    at = plain.index(b"\x21\xf9")
    comment = b"\x21\xfe" + (b"\xff" + b"c" * 255) * 40_000 + b"\0"
    stream = Counting(plain[:at] + comment + plain[at:])
    assert (Photo(stream).pixels(64) == Photo(plain).pixels(64)).all()
    assert stream.taken < 2e6
    for length in range(len(plain)):
        read_header(io.BytesIO(plain[:length]))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_a_file_with_too_many_parts_is_refused(kind: str) -> None:
    plain = encoded(scene(), kind)
    endless = {
        "JPEG": lambda: with_segments(plain, segment(0xE2, b"") * 110_000),
        "PNG": lambda: with_chunks(plain, chunk(b"tEXt", b"") * 110_000),
        "GIF": lambda: plain[: plain.index(b",")] + b"\x21\xfe\x01c\0" * 60_000 + plain[plain.index(b",") :],
        "WEBP": lambda: plain[:12] + b"JUNK\0\0\0\0" * 110_000 + plain[12:],
    }
    with pytest.raises(PhotoError, match=r"damaged: more than 100,000 parts"):
        Photo(endless[kind]())


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Limit the processor time of this process, so that code that would run for hours fails instead."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"not done after {seconds} s of processor time")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def test_a_png_of_many_packed_texts_unpacks_one_of_each_kind() -> None:
    """Each unpacks to a thousand times its size; unpacking all of them would take minutes."""
    packed = b"Raw profile type exif\0\0" + zlib.compress(bytes(1 << 20), 9)
    with at_most(20):
        found = header(with_chunks(encoded(scene(), "PNG"), chunk(b"zTXt", packed) * 50_000))
    assert found == Header()


@pytest.mark.parametrize("pieces", [65535, 1])
def test_a_heif_file_with_an_endless_item_list_is_not_followed(pieces: int) -> None:
    """Zero-length list entries would take hours, and an item listed repeatedly would be read each time."""

    def box(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(content), kind) + content

    place = struct.pack(">II", 0, 1 << 20) if pieces == 1 else b""
    entry = struct.pack(">IHHH", 1, 0, 0, pieces) + place
    iloc = struct.pack(">BxxxBBI", 2, 0x44 if place else 0, 0, 100_000) + entry * 100_000
    kinds = struct.pack(">BxxxH", 0, 1) + box(b"infe", b"\2\0\0\0\0\1\0\0Exif\0")
    meta = box(b"meta", bytes(4) + box(b"iinf", kinds) + box(b"iloc", iloc))
    stream = Counting(box(b"ftyp", b"heic\0\0\0\0heicmif1") + meta)
    with at_most(20):
        assert read_header(stream) == Header()
    assert stream.taken < 1e7


def test_tags_that_claim_much_and_point_anywhere() -> None:
    entries = [
        struct.pack("<HHII", 0x0131, 2, 0xFFFFFFFF, 8),  # a software tag of four gigabytes
        struct.pack("<HHII", 0x02BC, 1, 0x7FFFFFFF, 0xFFFFFFF0),
        struct.pack("<HHII", 0x8769, 4, 1, 8),  # a pointer to this same directory
        struct.pack("<HHII", 0x8825, 4, 1, 0xFFFFFFFF),
    ]
    block = b"II*\0\x08\0\0\0" + struct.pack("<H", 65535) + b"".join(entries)
    data = with_segments(JPEG, segment(0xE1, b"Exif\0\0" + block))
    assert header(data) == Header()


@pytest.mark.parametrize("kind", CONTAINERS)
def test_no_prefix_and_no_damage_makes_a_header_fail(kind: str) -> None:
    data = CONTAINERS[kind](exif=exif_of({ORIGINAL: "1962:07:03 10:11:12"}))
    for length in range(0, len(data), max(1, len(data) // 60)):
        read_header(io.BytesIO(data[:length]))
        damaged = bytearray(data)
        damaged[length : length + 3] = os.urandom(len(damaged[length : length + 3]))
        read_header(io.BytesIO(bytes(damaged)))
        try:
            Photo(bytes(damaged)).pixels(64)
        except PhotoError:
            pass


def test_heif_without_metadata() -> None:
    assert header(heif(scene())) == Header()


def test_pieces_read_as_one_file() -> None:
    pieces = Pieces(io.BytesIO(bytes(range(100))), [(0, 10), (20, 25), (90, 100)])
    whole = bytes([*range(10), *range(20, 25), *range(90, 100)])
    assert pieces.read() == whole
    for start in range(30):
        for size in (0, 1, 7, 30):
            assert pieces.seek(start) == start
            assert pieces.read(size) == whole[start : start + size]
    assert pieces.seek(-3, io.SEEK_END) == 22
    assert pieces.read(2) == whole[22:24]
    assert pieces.tell() == 24
