"""Which encoding a text has, told by how it begins; and a stream of it in UTF-8."""

import codecs
import io
import logging
import re
from dataclasses import dataclass

import charset_normalizer

from include.formats.lines import BYTE_ORDER_MARK, Reads

log = logging.getLogger(__name__)

SAMPLE = 16 * 1024  # bytes of lines beyond ASCII that decide, about


@dataclass(frozen=True)
class Encoding:
    """An encoding, as Python and as people call it; `sure` where a mark or the bytes of each character prove it."""

    codec: str
    name: str
    sure: bool = True

    def text(self, head: bytes) -> str:
        """The text that begins so; what is cut or wrong in it becomes U+FFFD."""
        return codecs.getincrementaldecoder(self.codec)("replace").decode(head)


GUESSED = "a guess by its letters: if they come out wrong, the setting encoding has another"
UTF_8 = Encoding("utf-8", "UTF-8")
MARKED = Encoding("utf-8-sig", "UTF-8 with a byte-order mark")
_MARKS = (
    (BYTE_ORDER_MARK, MARKED),
    (codecs.BOM_UTF32_LE, Encoding("utf-32", "UTF-32")),
    (codecs.BOM_UTF32_BE, Encoding("utf-32", "UTF-32")),
    (codecs.BOM_UTF16_LE, Encoding("utf-16", "UTF-16")),
    (codecs.BOM_UTF16_BE, Encoding("utf-16", "UTF-16")),
)
_SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")  # UTF-8 but for its meaning
_ASCII = re.compile(rb"[\t\r\n -~]{30}")
_BEYOND_ASCII = re.compile(r"[^\0-\x7f]+")
_WESTERN = "cp1252"
_WIDE = {"cp932", "euc_jp", "gb18030", "big5", "cp949"}  # a character may be several bytes, and these UTF-8 by chance
_NAMES = {
    _WESTERN: "Windows-1252",
    **{"cp932": "Shift-JIS", "euc_jp": "EUC-JP", "gb18030": "GB18030", "big5": "Big5", "cp949": "EUC-KR"},
    **{"cp1251": "Windows-1251", "koi8_r": "KOI8-R", "cp1250": "Windows-1250", "iso8859_2": "ISO-8859-2"},
    **{"cp1253": "Windows-1253", "cp1254": "Windows-1254", "cp1256": "Windows-1256", "cp1257": "Windows-1257"},
    **{"cp874": "Windows-874", "mac_roman": "Mac Roman", "cp850": "code page 850"},
}
# What Windows-1252 makes of others: signs between letters, letters that its languages hardly have, many in a row.
_UNLIKELY = re.compile(
    "(?<=[a-zA-Z\xc0-\xff])[\xa1-\xb6\xb8-\xbf\xd7\xf7\u0192\u02c6\u2020\u2021\u2030\u201a\u201e\u2039\u203a\u20ac]"
    "(?=[a-zA-Z\xc0-\xff])|[\u0160\u0161\u017d\u017e\xd0\xdd\xde\xf0\xfd\xfe]|[\xc0-\xd6\xd8-\xf6\xf8-\xff]{3,}|[^\0-\x7f]{5,}"
)


def encoding_of(head: bytes, given: str | None = None) -> Encoding:
    """The encoding of a text that begins so.

    Args:
        head: Its first bytes, which may end within a character.
        given: What it is said to be, as Python calls it; None where that is to be found out.
    """
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if given:
        return UTF_8 if given == UTF_8.codec else Encoding(given, _NAMES.get(given.replace("-", "_"), given))
    if wide := _wide(head[:4096]):
        return wide
    # These three are never the second half of a character.
    head = head[: max(map(head.rfind, (b"\n", b'"', b","))) + 1] or head
    head = _SURROGATE.sub(b"?", head)
    beyond = "".join(_BEYOND_ASCII.findall(head.decode("utf-8", "surrogateescape")))
    wrong = sum("\udc80" <= each <= "\udcff" for each in beyond)
    return _legacy(head) if 2 * wrong > len(beyond) else UTF_8


def _wide(sample: bytes) -> Encoding | None:
    """UTF-16 or UTF-32 without a mark: what is ASCII has zero bytes, at the same places each time."""
    if _ASCII.match(sample):
        return None
    units = max(len(sample) // 4, 1)
    zeros = [sample[place::4].count(0) / units for place in range(4)]
    for codec, high in (("utf-32-le", zeros[2:]), ("utf-32-be", zeros[:2])):
        if min(high) > 0.9 and sum(zeros) < 3.5:
            return Encoding(codec, "UTF-32")
    for codec, low in (("utf-16-le", 0), ("utf-16-be", 1)):
        few, many = (sample[place::2].count(0) for place in (low, 1 - low))
        text = sample.decode(codec, "ignore")
        if (
            many > max(5 * few, len(text) / 16)
            and re.search('["\n]', text)
            and not re.search(r"[\0-\x08\x0e-\x1f]", text)
        ):
            return Encoding(codec, "UTF-16")
    return None


def _legacy(head: bytes) -> Encoding:
    """The encoding of a text that is not UTF-8; a guess by letters and languages where bytes alone do not tell."""
    sample = b""
    for line in head.split(b"\n"):
        if len(sample) < SAMPLE and not line.isascii():
            sample += line + b"\n"
    try:
        western = sample.decode(_WESTERN)
    except UnicodeDecodeError:
        western = ""
    found = _WESTERN
    if not western or 20 * sum(map(len, _UNLIKELY.findall(western))) > len(_BEYOND_ASCII.findall(western)):
        best = charset_normalizer.from_bytes(sample, cp_isolation=list(_NAMES), enable_fallback=False).best()
        found = best.encoding if best else found
    if found == _WESTERN and "\xa4" in western:  # nobody writes that sign; it is where ISO-8859-15 has the euro's
        return Encoding("iso8859_15", "ISO-8859-15", sure=False)
    return Encoding(found, _NAMES[found], sure=False)


class Recoded:
    """A stream of text in UTF-8, out of one in another encoding.

    What the encoding does not have becomes half a surrogate pair, which is no UTF-8: who reads the record refuses it.
    Where the encoding is a guess, of one byte a character, a line in UTF-8 stays so: one stray byte proves little.

    Args:
        stream: Of bytes.
        encoding: Theirs.
    """

    def __init__(self, stream: Reads, encoding: Encoding) -> None:
        self._stream = stream
        self._name = encoding.name
        self._by_line = not encoding.sure and encoding.codec not in _WIDE
        self._rest = b""  # of a line
        self._utf_8 = 0  # lines that were
        wide = encoding.codec.startswith(("utf-16", "utf-32"))
        decoder = codecs.getincrementaldecoder(encoding.codec)
        self._decoder = decoder("surrogatepass" if wide else "surrogateescape")

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, all for -1; none at the end. UnicodeDecodeError if it ends within a character."""
        if self._by_line:
            return self._read_lines(size)
        while chunk := self._stream.read(size if size < 0 else max(size // 3, 1)):  # one byte may become three
            if text := self._decoder.decode(chunk):
                return text.encode("utf-8", "surrogatepass")
        return self._decoder.decode(b"", True).encode("utf-8", "surrogatepass")

    def _read_lines(self, size: int) -> bytes:
        while chunk := self._stream.read(size if size < 0 else max(size // 6, 1)):
            data = self._rest + chunk
            end = data.rfind(b"\n") + 1 or len(data)
            self._rest = data[end:]
            if end:
                return b"\n".join(map(self._line, data[:end].split(b"\n")))
        if self._utf_8:
            log.warning("%s lines of a text in %s are UTF-8, and read so", f"{self._utf_8:,}", self._name)
        rest, self._rest, self._utf_8 = self._rest, b"", 0
        return self._line(rest)

    def _line(self, line: bytes) -> bytes:
        if line.isascii():
            return line
        try:
            line.decode()
        except UnicodeDecodeError:
            return self._decoder.decode(line).encode("utf-8", "surrogatepass")
        self._utf_8 += 1
        return line


class Undecided:
    """A stream of text in UTF-8, out of one that begins in ASCII: the first piece that does not decides its encoding.

    Args:
        stream: Of bytes.
    """

    def __init__(self, stream: Reads) -> None:
        self._stream = stream
        self._decided = False

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, all for -1; none at the end."""
        data = self._stream.read(size)
        if self._decided or data.isascii():
            return data
        self._decided = True
        if (encoding := encoding_of(data)).sure:
            return data
        log.info("The text is not UTF-8 where it first leaves ASCII: it is read as %s; %s", encoding.name, GUESSED)
        self._stream = Recoded(_Chained(data, self._stream), encoding)
        return self._stream.read(size)


class _Chained:
    def __init__(self, data: bytes, stream: Reads) -> None:
        self._data = io.BytesIO(data)
        self._stream = stream

    def read(self, size: int = -1, /) -> bytes:
        return self._data.read(size) or self._stream.read(size)
