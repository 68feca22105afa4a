"""In which encoding a text table is written: UTF-8, UTF-16, or a code page that its letters tell.

Windows-1252, which Latin-1 is near enough, is taken where the words read well in it; else charset-normalizer ranks the
code pages, and the first is taken in which every word has letters of one script and one case. A table is mostly plain
letters, so only the words with others are looked at.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from charset_normalizer import from_bytes

from tidal_core.errors import InputError

_LOOKED_AT = 1 << 20
_WORDS = 400
_CODE_PAGES = [
    *("cp1251", "cp1250", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "koi8_r", "mac_roman", "mac_cyrillic"),
    *("cp850", "cp852", "cp866", "cp437", "cp932", "cp949", "gb18030", "big5", "cp874", "iso8859_5", "iso8859_2"),
]
_STRICT = {"cp949": "euc_kr", "gb18030": "gb2312", "cp932": "shift_jis"}  # the letters in use, of those that there are
_NO_LETTERS = "\u0192\u00aa\u00ba"  # signs that Unicode counts among the letters
_IN_WORDS = {
    "cp1252": "Windows-1252 (Latin-1)",
    "mac_roman": "Mac OS Roman",
    "cp932": "Shift-JIS",
    "gb18030": "GB 18030",
    "cp949": "Korean (CP949)",
}


@dataclass(frozen=True)
class Encoding:
    """An encoding and how sure it is."""

    codec: str
    is_guessed: bool = False
    example: str = ""  # a word with letters that another encoding would read otherwise

    @property
    def in_words(self) -> str:
        """As people call it."""
        windows = f"Windows-{self.codec[2:]}" if re.fullmatch(r"cp125\d", self.codec) else self.codec.upper()
        return _IN_WORDS.get(self.codec, windows)


def checked_encoding(name: str) -> str:
    """The codec of an encoding that a person named. Raises InputError where there is none."""
    try:
        codec = codecs.lookup(name.strip())
        "".encode(codec.name)
    except (LookupError, UnicodeError) as error:
        raise InputError(
            f"there is no encoding {name!r}; give one such as utf-8, utf-16, cp1252, cp1251 or shift_jis."
        ) from error
    return "utf-8-sig" if codec.name == "utf-8" else codec.name


def encoding_of(path: Path, said: str | None = None) -> Encoding:
    """The encoding of a text file; what a person has ``said`` stands. Raises OSError, InputError for no encoding."""
    if said:
        return Encoding(checked_encoding(said))
    with path.open("rb") as file:
        start = file.read(_LOOKED_AT)
        if start.startswith(codecs.BOM_UTF8):
            return Encoding("utf-8-sig")
        if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)) and len(start) % 4 == 0:
            return Encoding("utf-32")
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return Encoding("utf-16")
        if (wide := _wide(start)) is not None:
            return Encoding(wide)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            decoder.decode(start)
            while chunk := file.read(_LOOKED_AT):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            file.seek(0)
            return code_page(_odd_words(file.read(8 * _LOOKED_AT)))
    return Encoding("utf-8")


def _wide(start: bytes) -> str | None:
    """UTF-16 without its mark: nearly every second byte of a table is zero then."""
    even, odd = start[0:4096:2], start[1:4096:2]
    if len(odd) < 4:
        return None
    if odd.count(0) > 0.7 * len(odd) and not even.count(0):
        return "utf-16-le"
    if even.count(0) > 0.7 * len(even) and not odd.count(0):
        return "utf-16-be"
    return None


def _odd_words(data: bytes) -> list[bytes]:
    """Different words with bytes above 127."""
    cells = re.findall(rb"[^\s,;|\"']*[\x80-\xff][^\s,;|\"']*", data)
    return list(dict.fromkeys(cells))[:_WORDS]


def code_page(words: list[bytes], usual: Sequence[str] = ("cp1252",)) -> Encoding:
    """The code page in which all words read like words: one of the ``usual`` ones, or the likeliest of the others."""
    codec = _code_page(words, usual)
    return Encoding(codec, is_guessed=True, example=words[0].decode(codec, "replace") if words else "")


def _code_page(words: list[bytes], usual: Sequence[str] = ("cp1252",)) -> str:
    """As ``code_page``; the first of the usual ones where none reads well."""
    for codec in usual:
        if _reads_well(words, codec):
            return codec
    ranked = [match.encoding for match in from_bytes(b" ".join(words), cp_isolation=_CODE_PAGES)]
    good = [codec for codec in dict.fromkeys([*ranked, *_CODE_PAGES]) if codec in _CODE_PAGES]
    good = [codec for codec in good if _reads_well(words, codec)]
    in_capitals = [codec for codec in good if all(word.decode(codec).isupper() for word in words)]
    return next((codec for codec in good if codec not in in_capitals), next(iter(good), usual[0]))


def _reads_well(words: list[bytes], codec: str) -> bool:
    try:
        texts = [word.decode(_STRICT.get(codec, codec)) for word in words]
    except UnicodeDecodeError:
        return False
    foreign = [letter for text in texts for letter in text if letter > "\x7f"]
    if all(_script(letter) == "LATIN" for letter in foreign) and 10 * len(foreign) > 9 * sum(map(len, texts)):
        return False  # Latin words have plain letters, too
    return all(map(_is_word, texts))


def _script(letter: str) -> str:
    return unicodedata.name(letter, "?").split()[0]


def _is_word(text: str) -> bool:
    """Whether the letters are of one script, and of one case or begin with a capital."""
    letters = [letter for letter in text if letter > "\x7f" or letter.isalpha()]
    if not all(unicodedata.category(letter)[0] in "LM" and letter not in _NO_LETTERS for letter in letters):
        return False
    scripts = {_script(letter) for letter in letters}
    if len(scripts) > 1 and not scripts <= {"HIRAGANA", "KATAKANA", "CJK", "KATAKANA-HIRAGANA"}:
        return False
    parts = re.findall(r"[^\W\d_]+", text)
    return "HALFWIDTH" not in scripts and all(part[1:] == part[1:].lower() or part == part.upper() for part in parts)
