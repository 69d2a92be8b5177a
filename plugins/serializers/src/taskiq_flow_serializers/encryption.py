"""Encryption of values, so that neither store nor broker can read them, or change them unnoticed.

AES-256 in Galois/Counter mode (NIST SP 800-38D), by the library ``cryptography``. The format::

    1 byte     1, the version of this format
    4 bytes    the id of the key: the beginning of its hash
    12 bytes   a random nonce
    the rest   the encrypted bytes, and 16 bytes that authenticate all of it
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from taskiq_flow.errors import PayloadError, PluginError
from taskiq_flow.serializer import ByteCodec
from taskiq_flow_serializers._words import import_extra

__all__ = ["KEYS_VARIABLE", "EncryptedCodec", "generate_key"]

KEYS_VARIABLE = "TASKIQ_FLOW_ENCRYPTION_KEYS"
"""The environment variable with the keys, commas between them."""

_VERSION = b"\x01"
_ID, _NONCE, _TAG = 4, 12, 16
_HEADER = len(_VERSION) + _ID
_MAKE_ONE = 'python -c "from taskiq_flow_serializers.encryption import generate_key; print(generate_key())"'


def generate_key() -> str:
    """Make a key: 32 random bytes, in URL-safe base64."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


class EncryptedCodec(ByteCodec):
    """Encrypts values with the first of its keys, and decrypts with the key that a value was encrypted with.

    To change keys: add the new one behind the others everywhere, then put it first everywhere, and remove the old one
    when the runs that used it are gone. One key is good for four billion values.

    ::

        Flow(broker, codecs=["zstd", "encrypted"])                  # keys from TASKIQ_FLOW_ENCRYPTION_KEYS
        Flow(broker, codecs=["zstd", EncryptedCodec([key, old])])

    :param keys: As :func:`generate_key` makes them; by default those in the environment.
    :raises PluginError: there are no keys, some are invalid, or ``cryptography`` is not installed.
    """

    name: ClassVar[str] = "encrypted"

    def __init__(
        self, keys: Sequence[str] | None = None, *, environment: Mapping[str, str] | None = None
    ) -> None:
        if isinstance(keys, (str, bytes)):
            raise PluginError("the keys of codec 'encrypted' are a list, found one text; write [key]")
        if keys is None:
            variables = os.environ if environment is None else environment
            keys = [key.strip() for key in variables.get(KEYS_VARIABLE, "").split(",") if key.strip()]
        if not keys:
            raise PluginError(
                f"codec 'encrypted' has no key; set {KEYS_VARIABLE} to one (or to several, with commas between them) "
                f"in all processes, or give EncryptedCodec([key]); make one with {_MAKE_ONE}"
            )
        _library()
        self._keys = [_bytes_of(key, number) for number, key in enumerate(keys, 1)]

    def __repr__(self) -> str:
        return f"EncryptedCodec(<keys {', '.join(_id_of(key).hex() for key in self._keys)}>)"

    def encode(self, data: bytes) -> bytes:
        """Encrypt."""
        key = self._keys[0]
        header, nonce = _VERSION + _id_of(key), os.urandom(_NONCE)
        cipher, _ = _library()
        sealed: bytes = cipher(key).encrypt(nonce, data, header)
        return header + nonce + sealed

    def decode(self, data: bytes) -> bytes:
        """Decrypt.

        :raises PayloadError: none of the keys fits, or the data was changed.
        """
        if data[:1] != _VERSION or len(data) < _HEADER + _NONCE + _TAG:
            raise PayloadError("it was not encrypted by this codec, or was cut")
        header, nonce, sealed = data[:_HEADER], data[_HEADER : _HEADER + _NONCE], data[_HEADER + _NONCE :]
        id_ = header[len(_VERSION) :]
        fitting = [key for key in self._keys if _id_of(key) == id_]
        if not fitting:
            there = ", ".join(_id_of(key).hex() for key in self._keys)
            raise PayloadError(
                f"it was encrypted with key {id_.hex()}, and here are only {there}; add that key to {KEYS_VARIABLE}, "
                "behind the first"
            )
        cipher, changed = _library()
        for key in fitting:
            try:
                plain: bytes = cipher(key).decrypt(nonce, sealed, header)
            except changed:
                continue
            return plain
        raise PayloadError("it was changed, or cut, after it was encrypted")


def _bytes_of(key: object, number: int) -> bytes:
    wrong = f"key {number} of codec 'encrypted' is not one; expected 32 bytes in base64, "
    # An error must not contain the key itself.
    if not isinstance(key, str):
        raise PluginError(f"{wrong}found {type(key).__name__}; make one with {_MAKE_ONE}")
    try:
        plain = base64.b64decode(key.translate(str.maketrans("-_", "+/")), validate=True)
    except (binascii.Error, ValueError):
        raise PluginError(f"{wrong}found another text; make one with {_MAKE_ONE}") from None
    if len(plain) != 32:
        raise PluginError(f"{wrong}found {len(plain)} bytes; make one with {_MAKE_ONE}")
    return plain


def _id_of(key: bytes) -> bytes:
    return hashlib.sha256(b"taskiq-flow key id\0" + key).digest()[:_ID]


@functools.lru_cache(maxsize=1)
def _library() -> tuple[Any, Any]:
    """Return the cipher, and its exception for changed data."""
    module = functools.partial(import_extra, user="codec 'encrypted'", extra="encryption")
    cipher = module("cryptography.hazmat.primitives.ciphers.aead").AESGCM
    return cipher, module("cryptography.exceptions").InvalidTag
