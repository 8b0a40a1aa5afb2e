"""Questions in another language than the catalogue's: searched for in translation, and answered in their own language.

Whether a question is in another language is told by `language.py`; what is not sure is taken for the catalogue's. A
language that no translator covers is not guessed at, unless the index's model reads many: the answer says so.
"""

import logging
import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from include.answering.asked import Asked
from include.answering.judged import BETWEEN, Judged
from include.answering.language import detect
from include.answering.reply import Reply
from include.answering.sentences import named, say
from include.answering.translation import LANGUAGES, Known, Translator, nothing_known
from include.core.errors import VitrineError
from include.store.words import words

log = logging.getLogger(__name__)

_QUOTE = re.compile(r"(“)(.+?)(”)(?= \[\d+\])", re.DOTALL)  # up to its citation: it may have a ” of its own, 13”
_SENTENCES = re.compile(r"(\s*)((?:[^\s\[]|\s+(?!\s*\[)|\[(?!\d+\]))+)(\s*)")  # what stands between two citations


@dataclass(frozen=True)
class Reading:
    """How questions are read over one index.

    Attributes:
        catalogue: The language of its texts, ISO 639-1; empty where it is not known, and nothing is translated then.
        translator: None without.
        multilingual: Whether the index's model reads many languages.
        known: Whether the index has a word, in small letters. A question of such words alone is the catalogue's,
            whatever language it looks like: brands are named in all of them.
    """

    catalogue: str
    translator: Translator | None = None
    multilingual: bool = False
    known: Known = nothing_known

    def read(self, question: str) -> Asked:
        """The question as it is searched for."""
        own = all(map(self.known, words(question)))
        language = self.catalogue if own else detect(question) or self.catalogue
        asked = Asked(question, question, language)
        if not self.catalogue or language == self.catalogue:
            return asked
        if (translator := self._from(language, self.catalogue)) is None:
            return asked if self.multilingual else self._unserved(asked)
        try:
            text = translator.translate(question, language, self.catalogue)
        except VitrineError as error:
            log.warning("the question is searched for as it is: %s", error)
            return replace(asked, warnings=(say("not_translated", language, reason=error.what),))
        by = {"from": language, "to": self.catalogue, "by": translator.name}
        return replace(asked, text=text, translated=by)

    def lacking(self, asked: Asked, judged: Judged) -> Judged:
        """What is judged, with what no text tells in the question's own words, or back in its language."""
        translator = self._from(self.catalogue, asked.language) if asked.translated else None
        if translator is None:
            return judged
        written = set(words(asked.question))
        try:
            own = [
                each if written.issuperset(words(each)) else translator.translate(each, self.catalogue, asked.language)
                for each in judged.lacking.split(BETWEEN)
            ]
        except VitrineError as error:
            log.warning("what is lacking stays in the catalogue's language: %s", error)
            return judged
        return replace(judged, lacking=BETWEEN.join(own))

    def reply(self, asked: Asked, reply: Reply, titles: Collection[str]) -> Reply:
        """A reply in the question's language: quotes, or all that a language model wrote, and below in the original.

        Of a question that was not translated, it stays as it is; and so do the products' `titles`, which are names.
        """
        modelled = reply.generation.name == "llm" and not reply.generation.fallback
        if asked.unserved and not modelled:  # a language model may well read it
            return Reply(asked.unserved, [], [])
        translator = self._from(self.catalogue, asked.language) if asked.translated and reply.cited else None
        if translator is None:
            return reply
        foreign = _SENTENCES if modelled else _QUOTE

        def own(found: re.Match[str]) -> str:
            if found[2] in titles:
                return found[0]
            return found[1] + translator.translate(found[2], self.catalogue, asked.language) + found[3]

        try:
            text = foreign.sub(own, reply.text)
        except VitrineError as error:
            log.warning("the answer stays in the catalogue's language: %s", error)
            return reply
        if originals := " ".join(each[0].strip() for each in foreign.finditer(reply.text) if each[2] not in titles):
            text = f"{text}\n{say('machine_translated', asked.language, original=originals)}"
        return replace(reply, text=text)

    def _from(self, source: str, target: str) -> Translator | None:
        covered = self.translator is not None and self.translator.covers(source, target)
        return self.translator if covered else None

    def _unserved(self, asked: Asked) -> Asked:
        names = {
            "question": named(asked.language, asked.language),
            "catalogue": named(self.catalogue, asked.language),
        }
        offered = {asked.language, self.catalogue} == LANGUAGES
        warning = say("how_to_serve" if offered else "no_translator", asked.language, **names)
        return replace(asked, unserved=say("unserved", asked.language, **names), warnings=(warning,))
