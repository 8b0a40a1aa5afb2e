"""The cleaning rules: what is done to titles and contents, in which order, and how often.

Each rule is linear in the length of the text, whatever the text: patterns are bounded or possessive,
so nobody can stall a conversion with one crafted line. Each is tried only if a cheap test (a search
for one character) says that it may apply: most texts need none. docs/cleaning.md gives the reasons
and the effect of every rule on training, embedding and payload.

What comes out is plain text, not safe HTML: whoever shows it in a page has to escape it.
"""

import html
import html.entities
import re
import unicodedata
from collections import Counter
from functools import cache, lru_cache

ENTITIES = "html entities"
TAGS = "html tags"
SURROGATES = "lone surrogates"
CONTROLS = "control characters"
INVISIBLE = "invisible characters"
UNICODE = "unicode form"
WHITESPACE = "whitespace"
EDITION = "edition note"
JUNK = "junk content"
REPEATED = "content equals title"
CUT = "cut"
RULES = (ENTITIES, TAGS, SURROGATES, CONTROLS, INVISIBLE, UNICODE, WHITESPACE, EDITION, JUNK, REPEATED, CUT)

# Contents that say nothing, compared without case and without what is not a letter or a digit.
JUNK_CONTENTS = frozenset(
    """
    na none null nil undefined nan tbd tba todo test testing testitem testproduct testlisting dummy blank empty
    testitemnottobid testitemdonotbid testitempleasedonotbid testitemnotforsale testdonotbuy donotbid donotbuy
    pleaseignore notforsale
    nodescription nodescriptionavailable nodescriptionprovided descriptionnotavailable noproductdescription
    noproductdescriptionavailable productdescription description notavailable notapplicable notspecified
    nocontent nocontentavailable noinformation noinformationavailable noinfo seetitle seeabove asdescribed
    asshown loremipsum
    """.split()  # noqa: SIM905  (a list of 45 quoted words is harder to read)
)
LONGEST_JUNK = 60  # characters; longer contents are not looked up

# Titles that programs and people write where there is none, compared without case; and titles of such signs alone.
PLACEHOLDERS = frozenset(
    {"null", "(null)", "none", "nan", "na", "<na>", "n/a", "#n/a", "n.a.", "undefined", "no title"}
)
LONGEST_PLACEHOLDER = 12  # characters; longer titles are not looked up
_PLACEHOLDER_SIGNS = re.compile(r"[-\u2010-\u2015_.\u2026?*/ ]+")

# With a semicolon only: `R&D`, `?a=1&copy=2` and `AT&T` are text. Digits are bounded, since int() refuses thousands.
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ESCAPED_TIMES = 3  # `&amp;amp;lt;` is seen in feeds that were escaped at every hop; deeper is hostile

# Known tags only: in `a <b and c> d` or `<3` the angle brackets are text.
_INLINE = "a|abbr|b|bdi|bdo|big|cite|code|del|em|font|i|ins|kbd|mark|q|s|samp|small|span|strike|strong|sub|sup|tt|u|var"
_BREAKING = (
    "address|article|aside|audio|blockquote|body|br|button|caption|center|col|colgroup|dd|details|div|dl|dt|embed|"
    "fieldset|figcaption|figure|footer|form|frame|frameset|h[1-6]|head|header|hr|html|iframe|img|input|label|legend|"
    "li|link|main|map|meta|nav|noscript|object|ol|option|p|param|picture|pre|section|select|source|style|script|"
    "summary|table|tbody|td|template|textarea|tfoot|th|thead|title|tr|ul|video|wbr"
)
# The first character stays outside of (?i:…): only then does `re` jump to the next "<" instead of trying everywhere.
_TAG = re.compile(
    rf"<(?i:/?(?:({_INLINE})(?:\s*+/?>|\s[^<>=]*+=[^<>]*+>)|(?:{_BREAKING})(?=[\s/>])[^<>]*+>))"  # `a<b and c>d`
)
_HIDDEN_START = re.compile(r"<(?i:(!--)|(?:script|(style))(?=[\s/>])[^<>]*+>)")
_SCRIPT_END = re.compile(r"<(?i:/script[^<>]*+>)")
_STYLE_END = re.compile(r"<(?i:/style[^<>]*+>)")
_COMMENT_END = re.compile(r"-->")

_ASCII = bytes(range(128))
_COMMON_SPACES = "\u00a0\n\t\r"  # nearly all there are
_MARKS_IN_A_ROW = 30
# Not Latin letters, punctuation, signs of currency and trademark: these are NFC, and no mark that would combine.
_MAY_COMPOSE = re.compile("[^\u0080-\u02ff\u2010-\u2027\u2030-\u205e\u20a0-\u20c0\u2122]")
_ASTRAL = re.compile("[\U00010000-\U0001efff]")  # not the emoji
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")  # those that are whitespace are left to that rule
# Soft hyphen, zero-width space, direction marks, joiners of words, BOM, and the tag characters, in which text can be
# hidden from people but not from a language model. ZWJ and ZWNJ stay: Persian, Indic scripts and emoji need them.
_UNSEEN = re.compile(
    "[\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\U000e0000-\U000e007f]"
)
_REFERS = " refers to "
_EDITION = re.compile(
    r"[Tt](?i:his text refers to (?:the|an?) [^.]{0,80}?\bedition(?: of this (?:title|book|item))?\s?(?:\.|$))"
)


class Cleaner:
    """Applies the rules and counts, per rule, the texts that it changed.

    Args:
        max_title_chars: Longer titles are cut at a word boundary.
        max_content_chars: Likewise for contents.

    Attributes:
        counts: Number of texts (a title, a content and an attribute are three) that each rule of RULES changed.
    """

    def __init__(self, max_title_chars: int, max_content_chars: int) -> None:
        self.counts: Counter[str] = Counter()
        self._max_title = max_title_chars
        self._max_content = max_content_chars

    def title(self, text: str, printable: bool = False) -> str:
        """A clean title; empty where nothing is left. `printable`: as in `plain`."""
        text = self.plain(text, printable)
        return text if len(text) <= self._max_title else self._cut(text, self._max_title)

    def content(self, text: str, title: str, printable: bool = False) -> str:
        """A clean content; empty where it says nothing, or nothing beyond `title` (which is clean)."""
        text = self.plain(text, printable)
        if _REFERS in text and (shorter := _without_edition_notes(text)) != text:
            self.counts[EDITION] += 1
            text = shorter
        if len(text) <= LONGEST_JUNK and text and _is_junk(text):
            self.counts[JUNK] += 1
            return ""
        if text == title and text:
            self.counts[REPEATED] += 1
            return ""
        return text if len(text) <= self._max_content else self._cut(text, self._max_content)

    def attribute(self, text: str) -> str:
        """A clean text of an attribute; cut as contents are."""
        text = self.plain(text)
        return text if len(text) <= self._max_content else self._cut(text, self._max_content)

    def plain(self, text: str, printable: bool = False) -> str:
        """The rules that titles and contents share: markup, characters, whitespace.

        Args:
            text: Any.
            printable: It is known to be printable ASCII, which takes long to find out.
        """
        if not text:
            return text
        if printable and not ("&" in text or "<" in text or "  " in text or text[0] == " " or text[-1] == " "):
            return text
        if "&" in text and (shorter := _unescape(text)) != text:
            self.counts[ENTITIES] += 1
            text = shorter
            printable = False
        if "<" in text and (shorter := _without_tags(text)) != text:
            self.counts[TAGS] += 1
            text = shorter
        before = text
        if not printable:
            for space in _COMMON_SPACES:
                text = text.replace(space, " ")
            printable = text.isprintable()
        # Printable text has no whitespace but the space.
        if not printable or "  " in text or text.strip() != text:
            text = _spaced(text)
        if text != before:
            self.counts[WHITESPACE] += 1
        if not (printable or text.isprintable()):
            text = _spaced(self._characters(text))
        if not text.isascii() and (shorter := _composed(text)) != text:
            self.counts[UNICODE] += 1
            text = shorter
        return text

    def _characters(self, text: str) -> str:
        for rule, pattern, replacement in (
            (SURROGATES, LONE_SURROGATE, "\ufffd"),
            (CONTROLS, _CONTROL, " "),
            (INVISIBLE, _UNSEEN, ""),
        ):
            text, found = pattern.subn(replacement, text)
            if found:
                self.counts[rule] += 1
        return text

    def _cut(self, text: str, limit: int) -> str:
        """At the last space within `limit` characters, unless that would lose half of them."""
        self.counts[CUT] += 1
        end = text.rfind(" ", 0, limit + 1)
        if end <= limit // 2:
            end = limit
            while end > limit // 2 and (unicodedata.combining(text[end]) or "\u200d" in text[end - 1 : end + 1]):
                end -= 1  # not between a letter and its accent, nor inside a joined emoji
        return text[:end].rstrip()


def is_placeholder(title: str) -> bool:
    """Whether a clean title only says that there is none: "N/A", "null", "---"."""
    if len(title) > LONGEST_PLACEHOLDER:
        return False
    return title.casefold() in PLACEHOLDERS or _PLACEHOLDER_SIGNS.fullmatch(title) is not None


def _spaced(text: str) -> str:
    """Single spaces for every run of whitespace; none at the ends."""
    return " ".join(text.split())


def _composed(text: str) -> str:
    """NFC. Of a run of combining marks, 30 stay, as in the stream-safe format of UAX #15.

    A longer run is no language's, and Python sorts it in quadratic time.
    """
    if _MAY_COMPOSE.search(text.encode().translate(None, _ASCII).decode()) is None:
        return text
    text = _long_mark_runs(_ASTRAL.search(text) is not None).sub(r"\1", text)
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


@cache
def _long_mark_runs(astral: bool) -> re.Pattern[str]:
    """Matches a run that is too long; what stays is group 1. Without the rare marks beyond U+FFFF, 100 times faster."""
    points = range(0x300, 0x1F000 if astral else 0x10000)  # no combining mark lies outside
    marks = "".join(character for character in map(chr, points) if unicodedata.combining(character))
    return re.compile(f"([{marks}][{marks}]{{{_MARKS_IN_A_ROW - 1}}})[{marks}]++")


def _without_edition_notes(text: str) -> str:
    kept: list[str] = []
    at = 0
    found = text.find(_REFERS)
    while found >= 0:
        start = found - len("This text")
        note = _EDITION.match(text, start) if start >= at else None
        if note is None:
            found = text.find(_REFERS, found + 1)
            continue
        kept.append(text[at:start].strip().rstrip("- "))  # the note often follows two hyphens
        at = note.end()
        found = text.find(_REFERS, at)
    kept.append(text[at:].strip())
    return " ".join(piece for piece in kept if piece)


def _unescape(text: str) -> str:
    """Resolve entities, also those that were escaped again: `&amp;#8211;` is a dash."""
    for _ in range(_ESCAPED_TIMES):
        before = text
        text = _ENTITY.sub(_resolved, text)
        if text == before or "&" not in text:
            break
    return text


def _resolved(match: re.Match[str]) -> str:
    return _character(match[0])


@lru_cache(maxsize=4096)
def _character(entity: str) -> str:
    if entity[1] != "#" and entity[1:] not in html.entities.html5:
        return entity  # html.unescape would take a known beginning: `&notable;` is not `¬able;`
    return html.unescape(entity)  # also maps the Windows-1252 numbers, such as &#150;, as browsers do


def _without_tags(text: str) -> str:
    """Drop comments, scripts and styles with their text; a known tag becomes nothing (inline) or a space."""
    if (start := _HIDDEN_START.search(text)) is not None:
        text = _without_hidden(text, start)
    return _TAG.sub(lambda tag: "" if tag[1] else " ", text)


def _without_hidden(text: str, start: re.Match[str] | None) -> str:
    """One pass from left to right. Once no end of a kind is left, it is not searched for again: linear."""
    kept: list[str] = []
    at = 0
    endless: set[re.Pattern[str]] = set()
    while start is not None:
        ends = _COMMENT_END if start[1] else _STYLE_END if start[2] else _SCRIPT_END
        end = None if ends in endless else ends.search(text, start.end())
        if end is None:
            endless.add(ends)  # never closed: the tag alone goes, its text stays
        kept += [text[at : start.end()]] if start[1] and end is None else [text[at : start.start()], " "]
        at = (end or start).end()
        start = _HIDDEN_START.search(text, at)
    kept.append(text[at:])
    return "".join(kept)


def _is_junk(text: str) -> bool:
    letters = "".join(filter(str.isalnum, text)).casefold()
    return not letters or letters in JUNK_CONTENTS
