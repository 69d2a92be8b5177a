"""Checks of codecs, as functions that raise :class:`AssertionError` with a sentence."""

from __future__ import annotations

import random
import zlib
from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor

from taskiq_flow.errors import PayloadError
from taskiq_flow.serializer import ByteCodec
from taskiq_flow.testing._traps import forge, traps, watch_unpickling
from taskiq_flow.testing.kit import Kit, check_name, expect, not_awaited

__all__ = [
    "ByteCodecKit",
    "check_bound",
    "check_codec",
    "check_damage",
    "check_description",
    "check_round_trips",
    "check_safety",
    "check_tampering",
    "check_threads",
]

_LARGE = 3_000_000


class ByteCodecKit(Kit):
    """Tests of a codec, for pytest.

    ::

        class TestAcme(ByteCodecKit):
            def make(self):
                return AcmeCodec()
    """

    #: Declare ``True`` where a single changed bit must be noticed: for encryption.
    authenticates = False

    @abstractmethod
    def make(self) -> ByteCodec:
        """Return a new codec."""

    def test_description(self) -> None:
        """It has a name."""
        check_description(self.make())

    def test_round_trips(self) -> None:
        """Any bytes come back as they were."""
        check_round_trips(self.make())

    def test_damage(self) -> None:
        """Noise and truncated data are read or refused with a PayloadError."""
        check_damage(self.make())

    def test_safety(self) -> None:
        """Decoding runs no code."""
        check_safety(self.make())

    def test_bound(self) -> None:
        """It makes no more than ``max_bytes``."""
        check_bound(self.make())

    def test_threads(self) -> None:
        """One object serves several threads."""
        check_threads(self.make())

    def test_tampering(self) -> None:
        """A codec that authenticates notices a changed bit."""
        if self.authenticates:
            check_tampering(self.make())


def check_codec(codec: ByteCodec, *, authenticates: bool = False) -> None:
    """Make all checks.

    :param codec: The codec.
    :param authenticates: Whether a single changed bit must be noticed.
    :raises AssertionError: the codec breaks a promise that the core relies on.
    """
    check_description(codec)
    check_round_trips(codec)
    check_damage(codec)
    check_safety(codec)
    check_threads(codec)
    if authenticates:
        check_tampering(codec)
    check_bound(codec)


def check_description(codec: ByteCodec) -> None:
    """Check that it has a name that can stand in the id of a payload."""
    check_name(codec, ByteCodec)
    expect("+" not in codec.name, f"the name must not have a plus sign in it, found {codec.name!r}")


def check_round_trips(codec: ByteCodec) -> None:
    """Check that any bytes come back as they were."""
    for data in _samples():
        encoded = _encode(codec, data)
        if encoded is data:
            # Unchanged data is not decoded either: the payload's id does not name the codec.
            continue
        found = _decode(codec, encoded)
        expect(found == data, f"{_short_repr(data)} must come back as it was, found {_short_repr(found)}")


def check_damage(codec: ByteCodec) -> None:
    """Check that noise and truncated data are refused with a :class:`PayloadError`, or read; nothing else."""
    choice = random.Random(1)
    data = b"some text that repeats, some text that repeats, " * 20
    encoded = _encode(codec, data)
    damaged = [b"", *(choice.randbytes(length) for length in range(1, 100))]
    if encoded is not data:
        damaged += [encoded[:end] for end in range(0, len(encoded), 1 + len(encoded) // 50)]
        damaged += [_flip(encoded, place) for place in range(0, len(encoded), 1 + len(encoded) // 200)]
    for each in damaged:
        _reads_or_refuses(codec, each)
    if encoded is not data:
        for end in (len(encoded) // 2, len(encoded) - 1):
            found = _reads_or_refuses(codec, encoded[:end])
            expect(
                found is None,
                f"data cut at byte {end} must be refused with a PayloadError, found {_short_repr(found)}",
            )


def check_safety(codec: ByteCodec) -> None:
    """Check that decoding foreign bytes runs no code: neither a pickle nor an expression may be executed.

    The codec's own output is forged too: a pickle in it is replaced by one that runs code.
    """
    mine = [_encode(codec, data) for data in (b"short", b"again and again " * 20)]
    with watch_unpickling() as (sprung, _):
        for trap in (*traps(), *(each for data in mine for each in forge(data))):
            _reads_or_refuses(codec, trap)
            expect(not sprung, f"decode() ran code that was in the data, {_short_repr(trap)}")


def check_bound(codec: ByteCodec) -> None:
    """Check that it refuses to make more than ``max_bytes``, so that a small payload cannot fill the memory."""
    data = bytes(_LARGE)
    encoded = _encode(codec, data)
    if encoded is data:
        return
    before = codec.max_bytes
    try:
        codec.max_bytes = _LARGE
        expect(_decode(codec, encoded) == data, "it must give as many bytes as it may, and it did not")
        codec.max_bytes = _LARGE // 3
        found = _reads_or_refuses(codec, encoded)
    finally:
        codec.max_bytes = before
    # A codec that cannot grow its input needs no bound: the core checks the length of the input.
    expect(
        found is None or len(encoded) >= _LARGE // 3,
        f"{len(encoded)} bytes became {_LARGE}, and {_LARGE // 3} were allowed; stop at max_bytes with a PayloadError",
    )


def check_threads(codec: ByteCodec) -> None:
    """Check that one object can be used from several threads at once."""
    samples = list(_samples())

    def round_trips(number: int) -> bool:
        return all(
            (encoded := codec.encode(data)) is data or codec.decode(encoded) == data
            for data in (*samples[number:], *samples[:number])
        )

    with ThreadPoolExecutor(4) as pool:
        fine = list(pool.map(round_trips, range(8)))
    expect(all(fine), "used from several threads at once, it mixes things up")


def check_tampering(codec: ByteCodec) -> None:
    """Check that no changed bit is overlooked, and that the output does not reveal the input."""
    data = b"a secret that nobody may read or change"
    encoded = _encode(codec, data)
    expect(b"secret" not in encoded, f"the input can be read in the output, {encoded!r}")
    for place in range(len(encoded)):
        found = _reads_or_refuses(codec, _flip(encoded, place))
        expect(
            found is None,
            f"byte {place} was changed, and it must be refused with a PayloadError, found {found!r}",
        )


def _samples() -> list[bytes]:
    choice = random.Random(3)
    noise = choice.randbytes(5000)
    return [
        b"",
        b"\x00",
        b"short",
        bytes(range(256)),
        b"again and again " * 1000,
        noise,
        zlib.compress(noise),
    ]


def _flip(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def _encode(codec: ByteCodec, data: bytes) -> bytes:
    try:
        encoded: bytes = not_awaited("encode", codec.encode(data))
    except Exception as error:
        raise AssertionError(
            f"{_short_repr(data)} must be encoded, found {type(error).__name__}: {error}"
        ) from error
    expect(type(encoded) is bytes, f"encode() must give bytes, found {type(encoded).__name__}")
    return encoded


def _decode(codec: ByteCodec, data: bytes) -> bytes:
    try:
        decoded: bytes = not_awaited("decode", codec.decode(data))
    except Exception as error:
        raise AssertionError(
            f"{_short_repr(data)}, which it wrote, must be decoded, found {type(error).__name__}: {error}"
        ) from error
    expect(type(decoded) is bytes, f"decode() must give bytes, found {type(decoded).__name__}")
    return decoded


def _reads_or_refuses(codec: ByteCodec, data: bytes) -> bytes | None:
    try:
        return codec.decode(data)
    except PayloadError:
        return None
    except Exception as error:
        raise AssertionError(
            f"{_short_repr(data)}, which it never wrote, must be refused with a PayloadError, "
            f"found {type(error).__name__}: {error}"
        ) from error


def _short_repr(data: bytes | None) -> str:
    if data is None:
        return "nothing"
    return repr(data) if len(data) <= 60 else f"{data[:57]!r}… ({len(data)} bytes)"
