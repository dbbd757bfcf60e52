"""Decoding of byte-level BPE with exact places: which character of the text each token starts.

Refuses other tokenizers implicitly: `Chat.check_prefix` compares a decoded probe. Never raises: an
id without a token, or bytes that are no UTF-8, become U+FFFD.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, and per token the index of the character that its first byte belongs to."""

    text: str
    starts: tuple[int, ...]


def _byte_of_char() -> dict[str, int]:
    """GPT-2's alphabet: printable Latin-1 stands for itself, all other bytes for U+0100 onwards."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {chr(byte): byte for byte in shown}
    hidden = (byte for byte in range(256) if byte not in shown)
    return table | {chr(256 + i): byte for i, byte in enumerate(hidden)}


_BYTES = _byte_of_char()


class ByteLevel:
    """The bytes behind the ids of one tokenizer, looked up once each."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._known: dict[int, bytes] = {
            i: token.content.encode() for i, token in tokenizer.added_tokens_decoder.items()
        }

    def token(self, index: int) -> bytes:
        """The bytes of one id."""
        if index not in self._known:
            self._known[index] = self._look_up(index)
        return self._known[index]

    def _look_up(self, index: int) -> bytes:
        try:
            word = self._tokenizer.convert_ids_to_tokens(int(index))
        except (IndexError, KeyError, OverflowError, ValueError):
            word = None
        if not isinstance(word, str):
            return "\ufffd".encode()
        if all(char in _BYTES for char in word):
            return bytes(_BYTES[char] for char in word)
        return word.encode()

    def decode(self, ids: Sequence[int]) -> Decoded:
        """The text of some ids."""
        pieces = [self.token(int(index)) for index in ids]
        whole = b"".join(pieces)
        if whole.isascii():
            starts, at = [], 0
            for piece in pieces:
                starts.append(at)
                at += len(piece)
            return Decoded(whole.decode("ascii"), tuple(starts))
        return _decode_slowly(pieces)


def _decode_slowly(pieces: Sequence[bytes]) -> Decoded:
    """Byte by byte: a character's bytes all get its index, also where tokens split it."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    chars: list[str] = []
    starts: list[int] = []
    for piece in pieces:
        starts.append(len(chars))
        for number, byte in enumerate(piece):
            chars.extend(decoder.decode(bytes([byte])))
            waiting = bool(decoder.getstate()[0])
            if number == 0:
                starts[-1] = len(chars) if waiting else len(chars) - 1
    chars.extend(decoder.decode(b"", final=True))
    return Decoded("".join(chars), tuple(starts))
