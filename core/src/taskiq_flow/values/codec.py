"""Between values and payloads: the one place that picks a serializer and the codecs behind it.

A payload's id names its serializer and each codec that changed the bytes, in order, with ``+`` between them
(``json+zstd+encrypted``). So one configuration can read the payloads of another.
"""

from __future__ import annotations

import functools
import pickle
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Union

from attrs import field, frozen

from taskiq_flow.errors import PayloadError, PluginError
from taskiq_flow.graph.types import describe
from taskiq_flow.payloads import FAILURES, ClaimCheck, ListedValue, Payload, Value, bare, has_claim_checks
from taskiq_flow.serializer import ByteCodec, Serializer
from taskiq_flow.values.elements import collect_as, elements_of, pair_of
from taskiq_flow.values.failures import text_of
from taskiq_flow.values.fitting import check_result, needs_no_look
from taskiq_flow.values.places import FailureSerializer
from taskiq_flow.values.sizes import describe_size

__all__ = ["UNFETCHED_BLOB", "Codec", "CodecRecipe", "make_codec"]

_PLAIN = frozenset({type(None), bool, int, float, str, bytes, list, dict, tuple, set, frozenset})


class _UnfetchedBlob:
    """Stands for a blob in guards and filters: true, and equal to nothing else.

    They need not fetch the blob: plain data that is false, or that a guard may compare with, is shorter than any blob.
    """

    def __repr__(self) -> str:
        return "<a value kept as a blob>"


UNFETCHED_BLOB: Final = _UnfetchedBlob()
"""Stands for a blob in the result of :meth:`Codec.read`."""

_NO_CODECS: Mapping[str, type[ByteCodec]] = {}


class Codec:
    """Encodes with one serializer and the codecs behind it, decodes with those that wrote the payload.

    :param serializers: The installed serializers, by id.
    :param default: The id of the serializer for nodes that name none.
    :param codecs: The codecs that change encoded values, in order: names, or objects.
    :param installed: The installed classes of codecs, by name.
    :param max_value_bytes: The largest size of a serialized value in bytes, before codecs; ``None`` for no limit.
    :raises PluginError: a codec is not installed, is named twice, or cannot be used.
    """

    def __init__(
        self,
        serializers: Mapping[str, type[Serializer]],
        default: str,
        *,
        codecs: Sequence[str | ByteCodec] = (),
        installed: Mapping[str, type[ByteCodec]] = _NO_CODECS,
        max_value_bytes: int | None = None,
    ) -> None:
        self._factories = serializers
        self._codec_factories = installed
        self._made: dict[str, Serializer] = {FAILURES: FailureSerializer()}
        self._codecs: dict[str, ByteCodec] = {}
        self._given = tuple(codecs)
        self.max_value_bytes = max_value_bytes
        self.default = default
        self._recipe: CodecRecipe | None = None
        if wrong := [name for name in (*serializers, *installed) if "+" in name]:
            raise PluginError(
                f"serializers and codecs {', '.join(map(repr, wrong))} have '+' in their names, which stands between "
                "the names in a payload's id; rename them"
            )
        self.serializer(default)
        self._chain = tuple(self._name_codec(each) for each in codecs)
        if len(set(self._chain)) < len(self._chain):
            raise PluginError(f"codecs {', '.join(self._chain)}: one stands there twice; name each once")

    @property
    def codecs(self) -> tuple[str, ...]:
        """The names of the codecs that encode, in order."""
        return self._chain

    def recipe(self) -> CodecRecipe:
        """Return the recipe from which another process makes the same codec, with :func:`make_codec`.

        :raises PluginError: a codec cannot be pickled.
        """
        if self._recipe is not None:
            return self._recipe
        for each in self._given:
            try:
                pickle.dumps(each)
            except Exception as error:
                raise PluginError(
                    f"codec {each!r} cannot be sent to the processes of a flow: {type(error).__name__}: {error}; "
                    "remove from its state whatever cannot be pickled"
                ) from error
        self._recipe = CodecRecipe(
            id=uuid.uuid4().hex,
            serializers=tuple(sorted(self._factories.items())),
            default=self.default,
            codecs=self._given,
            installed=tuple(sorted(self._codec_factories.items())),
            max_value_bytes=self.max_value_bytes,
        )
        return self._recipe

    def serializer(self, name: str) -> Serializer:
        """Return the serializer of an id.

        :raises PayloadError: it is not installed here.
        """
        made = self._made.get(name)
        if made is None:
            factory = self._factories.get(name)
            if factory is None:
                raise PayloadError(
                    f"a payload was written by serializer {name!r}, which is not installed here; "
                    f"{_there(self._factories)}; install the plugin that offers it (taskiq-flow-serializers?)"
                )
            made = self._made[name] = _call(name, "be made to handle", factory)
        return made

    def require(self, name: str) -> None:
        """Check that a chosen serializer can be used.

        :raises PluginError: it is not installed, or lacks something.
        """
        # The table of offers raises an error that lists the serializers, and says what to install.
        self._factories[name]
        try:
            self.serializer(name)
        except PayloadError as error:
            raise PluginError(f"serializer {name!r} cannot be used: {error}") from error

    def encode(self, value: Any, serializer: str | None = None, type_: Any = Any) -> Payload:
        """Encode a value.

        :param serializer: The id of the serializer; ``None`` for the default.
        :param type_: The annotation that must give the value back.
        :raises PayloadError: it cannot be encoded, is too large, or does not fit the annotation.
        """
        name = serializer or self.default
        made = self._made.get(name) or self.serializer(name)
        data: bytes = _call(name, "encode", made.dumps, value)
        if self.max_value_bytes is not None and len(data) > self.max_value_bytes:
            raise PayloadError(
                f"the value has {describe_size(len(data))} as {name}, more than the "
                f"{describe_size(self.max_value_bytes)} that a value may have; "
                "return a reference to where it is kept, or raise max_value_bytes"
            )
        if type_ is not Any and not needs_no_look(made, value, type_):
            check_result(value, type_, lambda: _call(name, "decode", made.loads, data, type_))
        return self._seal(name, data, self._chain) if self._chain else Payload(name, data)

    def decode(self, value: Value, type_: Any = Any) -> Any:
        """Decode a value by an annotation.

        :raises PayloadError: it is damaged, does not fit, or its serializer or a codec is not installed.
        """
        if type(value) is Payload:
            name, data = self._open(value)
        else:
            value = bare(value)
            joined = None
            if isinstance(value, ListedValue):
                joined = self._join_payloads(value.parts) if value.keys is None else None
                if joined is None and len(self._writers(value)) > 1:
                    return self._decode_each(value, type_)
            name, data = joined or self._join(value)
        made = self._made.get(name) or self.serializer(name)
        return _call(name, "decode", made.loads, data, type_)

    def reader(self, id_: str, type_: Any) -> Callable[[bytes], Any] | None:
        """Return a function that decodes payloads of an id by an annotation; it may raise anything.

        :returns: ``None`` where the payloads need codecs, or the serializer has no such function.
        :raises PayloadError: the serializer is not installed.
        """
        return None if "+" in id_ else self.serializer(id_).reader(type_)

    def read(self, value: Value) -> Any:
        """Decode a value to plain data, for guards and filters.

        :returns: The value, with :data:`UNFETCHED_BLOB` in the place of each blob.
        :raises PayloadError: it cannot be decoded, or is neither true nor false.
        """
        found = self._decode_here(value)
        if type(found) not in _PLAIN:
            try:
                bool(found)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:
                # Nothing is awaited here, so even a CancelledError is the value's own.
                raise PayloadError(
                    f"a {type(found).__name__} is neither true nor false: {text_of(error)}"
                ) from error
        return found

    def _decode_here(self, value: Value) -> Any:
        """Decode a value without fetching its blobs."""
        value = bare(value)
        if isinstance(value, ClaimCheck):
            return UNFETCHED_BLOB
        if isinstance(value, ListedValue) and has_claim_checks(value):
            parts = [self._decode_here(part) for part in value.parts]
            keys = value.keys
            return parts if keys is None else dict(zip(map(self.decode, keys), parts, strict=True))
        return self.decode(value)

    def flat(self, value: Value) -> Value:
        """Join a listed value into one payload, unless some of its elements are blobs or serializers differ.

        :raises PayloadError: the elements cannot be joined.
        """
        value = bare(value)
        if not isinstance(value, ListedValue):
            return value
        if (joined := self.join_usual(value)) is not None:
            return joined
        if has_claim_checks(value) or len(self._writers(value)) > 1:
            return ListedValue(tuple(map(self.flat, value.parts)), value.keys)
        return self._seal(*self._join(value), self._chain_over(_ids(value)))

    def join_usual(self, value: ListedValue) -> Payload | None:
        """Return a list as one payload, where one serializer wrote all its elements and nothing changed them.

        It is the usual case, and lists are long: ``None`` in any other.
        """
        joined = None if self._chain or value.keys is not None else self._join_payloads(value.parts)
        return None if joined is None else Payload(*joined)

    def _join_payloads(self, parts: tuple[Value, ...]) -> tuple[str, bytes] | None:
        if set(map(type, parts)) != {Payload}:
            return None
        payloads: tuple[Payload, ...] = parts  # type: ignore[assignment]
        names = {part.serializer for part in payloads}
        name = names.pop()
        if names or "+" in name:
            return None
        return name, _call(name, "join", self.serializer(name).join, [part.data for part in payloads])

    def take_apart(self, value: Value) -> ListedValue:
        """Return an encoded list or dictionary as its elements.

        :raises PayloadError: it is neither.
        """
        value = bare(value)
        if isinstance(value, ListedValue):
            return value
        if isinstance(value, ClaimCheck):
            raise PayloadError(f"the blob {value.key!r} must be fetched before it can be mapped over")
        name, data = self._open(value)
        serializer = self.serializer(name)
        chain = self._chain_over((value.serializer,))
        try:
            parts, keys = _call(name, "split", _split, serializer, data), None
        except PayloadError:
            found = _call(name, "split", serializer.split_mapping, data)
            if found is None:
                raise
            keys = tuple([self._seal(name, key, chain) for key in found[0]])
            parts = found[1]
        return ListedValue(tuple([self._seal(name, part, chain) for part in parts]), keys)

    # Codecs

    def _name_codec(self, given: str | ByteCodec) -> str:
        """Return the name of a selected codec, and make the codec."""
        if isinstance(given, str):
            if given not in self._codecs:
                # The table of offers raises an error that lists the codecs, and says what to install.
                factory = self._codec_factories[given]
                try:
                    made = factory()
                except PluginError:
                    raise
                except Exception as error:
                    raise PluginError(
                        f"codec {given!r} cannot be made: {type(error).__name__}: {error}"
                    ) from error
                made.max_bytes = self.max_value_bytes if made.max_bytes is None else made.max_bytes
                self._codecs[given] = made
            return given
        name = getattr(given, "name", None)
        if not isinstance(given, ByteCodec) or not isinstance(name, str) or not name or "+" in name:
            raise PluginError(
                f"{given!r} is no codec; give the name of one, or a ByteCodec with a name without '+'"
            )
        if given.max_bytes is None:
            given.max_bytes = self.max_value_bytes
        self._codecs[name] = given
        return name

    def _codec(self, name: str, chain: str) -> ByteCodec:
        if name not in self._codecs:
            if name not in self._codec_factories:
                raise PayloadError(
                    f"a payload was written as {chain!r}, and codec {name!r} is not installed here; "
                    f"{_there(self._codec_factories)}; install the plugin that offers it (taskiq-flow-serializers?)"
                )
            try:
                self._name_codec(name)
            except PluginError as error:
                raise PayloadError(f"a payload was written as {chain!r}: {error}") from error
        return self._codecs[name]

    def _seal(self, name: str, data: bytes, chain: Iterable[str]) -> Payload:
        for codec in chain:
            changed = _recode(codec, "encode", self._codecs[codec].encode, data)
            if changed is not data:
                name, data = f"{name}+{codec}", changed
        return Payload(name, data)

    def _open(self, payload: Payload) -> tuple[str, bytes]:
        """Undo the codecs: return the serializer's id and the bytes that it wrote."""
        if "+" not in payload.serializer:
            return payload.serializer, payload.data
        name, *chain = payload.serializer.split("+")
        data = payload.data
        for codec in reversed(chain):
            data = _recode(codec, "decode", self._codec(codec, payload.serializer).decode, data)
        return name, data

    def _join(self, value: Value) -> tuple[str, bytes]:
        """Return a whole value in the form of one serializer."""
        value = bare(value)
        if isinstance(value, Payload):
            return self._open(value)
        if isinstance(value, ClaimCheck):
            raise PayloadError(f"the blob {value.key!r} must be fetched before it can be decoded")
        if value.keys is not None:
            return self._join_mapping(value.parts, value.keys)
        # A pair for each element of a long list would take more than the elements.
        joined = self._join_payloads(value.parts)
        if joined is not None:
            return joined
        parts = [self._join(part) for part in value.parts]
        name = parts[0][0] if parts else self.default
        return name, _call(name, "join", self.serializer(name).join, [data for _, data in parts])

    def _writers(self, value: Value) -> set[str]:
        """Return the serializers that wrote the elements of a value, those of blobs included."""
        return {each.partition("+")[0] for each in _ids(value)}

    def _decode_each(self, value: ListedValue, type_: Any) -> Any:
        """Decode the elements of a list that several serializers wrote, each on its own.

        :raises PayloadError: an element, or the number of elements, does not fit.
        """
        if value.keys is not None:
            return self._decode_values(value, value.keys, type_)
        decoded: list[Any] = []
        wanted = elements_of(type_, len(value.parts))
        if wanted is None:
            raise PayloadError(f"expected {describe(type_)}, found a list of {len(value.parts)} elements")
        try:
            for part, each in zip(value.parts, wanted, strict=True):
                decoded.append(self.decode(part, each))
        except PayloadError as error:
            raise PayloadError(f"at [{len(decoded)}]: {error}") from error
        return collect_as(type_, decoded)

    def _decode_values(self, value: ListedValue, keys: tuple[Value, ...], type_: Any) -> Any:
        """Decode the keys and values of a dictionary that several serializers wrote, each on its own."""
        key_type, part_type = pair_of(type_)
        decoded: dict[Any, Any] = {}
        for key, part in zip(keys, value.parts, strict=True):
            name = self.decode(key, key_type)
            try:
                decoded[name] = self.decode(part, part_type)
            except PayloadError as error:
                raise PayloadError(f"at [{name!r}]: {error}") from error
        return decoded

    def _join_mapping(self, parts: tuple[Value, ...], keys: tuple[Value, ...]) -> tuple[str, bytes]:
        opened, opened_keys = [self._join(part) for part in parts], [self._join(key) for key in keys]
        name = opened[0][0] if opened else self.default
        join = self.serializer(name).join_mapping
        return name, _call(
            name, "join", join, [data for _, data in opened_keys], [data for _, data in opened]
        )

    def _chain_over(self, ids: Iterable[str]) -> tuple[str, ...]:
        """Return the codecs for a payload that is made of others: our own, then the others' that we do not have.

        A list of encrypted elements is encrypted, even where this process is not configured to encrypt.
        """
        chain = dict.fromkeys(self._chain)
        for id_ in ids:
            if "+" in id_:
                chain.update(dict.fromkeys(name for name in id_.split("+")[1:]))
        return tuple(chain)


@frozen(kw_only=True)
class CodecRecipe:
    """The parts from which another process makes a codec; recipes of one codec are equal."""

    id: str
    serializers: tuple[tuple[str, type[Serializer]], ...] = field(eq=False)
    default: str = field(eq=False)
    codecs: tuple[Union[str, ByteCodec], ...] = field(eq=False, repr=False)
    installed: tuple[tuple[str, type[ByteCodec]], ...] = field(eq=False)
    max_value_bytes: Union[int, None] = field(eq=False)


@functools.lru_cache(maxsize=8)
def make_codec(recipe: CodecRecipe) -> Codec:
    """Return the codec of a recipe, the same object for equal recipes."""
    return Codec(
        dict(recipe.serializers),
        recipe.default,
        codecs=recipe.codecs,
        installed=dict(recipe.installed),
        max_value_bytes=recipe.max_value_bytes,
    )


def _ids(value: Value) -> Iterable[str]:
    value = bare(value)
    if isinstance(value, ListedValue):
        for part in (*value.parts, *(value.keys or ())):
            yield from _ids(part)
    else:
        yield value.serializer


def _call(name: str, verb: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a method of a serializer; whatever it raises fails what reads or writes the value, and nothing else."""
    try:
        return function(*arguments)
    except (PayloadError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        # Nothing is awaited here, so even a CancelledError is the serializer's own.
        raise PayloadError(f"serializer {name!r} cannot {verb} the value: {_describe(error)}") from error


def _split(serializer: Serializer, data: bytes) -> list[bytes]:
    # It may be a generator, which raises only when it is read.
    return list(serializer.split(data))


def _recode(name: str, verb: str, function: Callable[[bytes], bytes], data: bytes) -> bytes:
    try:
        changed = function(data)
    except PayloadError as error:
        raise PayloadError(f"codec {name!r} cannot {verb} the value: {error}") from error
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise PayloadError(f"codec {name!r} cannot {verb} the value: {_describe(error)}") from error
    if type(changed) is not bytes:
        raise PayloadError(f"codec {name!r} must {verb} to bytes, found {type(changed).__name__}")
    return changed


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {text_of(error)}"


def _there(names: Iterable[str]) -> str:
    known = ", ".join(repr(name) for name in sorted(names))
    return f"there are {known}" if known else "there is none"
