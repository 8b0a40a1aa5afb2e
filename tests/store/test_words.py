"""Words of 20 scripts, compared with the real engine's: evaluation and answering must see what the index sees."""

from pathlib import Path

import pytest
import qdrant_edge
from hypothesis import given
from hypothesis import strategies as st

from include.answering.passages import word_overlap
from include.core.index_settings import IndexSettings
from include.evaluation.bm25 import Bm25
from include.store.edge_shard import Job, _create
from include.store.protocol import TEXT_FIELD
from include.store.words import words

TEXTS = {
    "Latin": "LG 7.3 cu . ft. X-Pro_2 Café ½ İstanbul naïve máquina",
    "Latin, decomposed": "cafe\u0301 ma\u0301quina",
    "Greek": "Ηλεκτρικός βραστήρας ΟΔΟΣ",
    "Cyrillic": "Электрический чайник, гарантия два года",
    "Armenian": "Էլեկտրական թեյնիկ",
    "Georgian": "ელექტრო ჩაიდანი",
    "Hebrew, with points": "קוּמְקוּם חַשְׁמַלִּי",
    "Arabic, with vowels": "الضَّمان سنتان، وَزْنُهُ ٣ كغ",
    "Urdu": "بجلی کی کیتلی۔ نئی ہے",
    "Devanagari": "हिन्दी किताब की क़ीमत सौ रुपये।",
    "Bengali": "বৈদ্যুতিক কেটলি",
    "Gurmukhi": "ਬਿਜਲੀ ਦੀ ਕੇਤਲੀ",
    "Gujarati": "ઇલેક્ટ્રિક કીટલી",
    "Tamil": "தமிழ் புத்தகம்",
    "Telugu": "విద్యుత్ కెటిల్",
    "Kannada": "ವಿದ್ಯುತ್ ಕೆಟಲ್",
    "Malayalam": "ഇലക്ട്രിക് കെറ്റിൽ",
    "Sinhala": "විදුලි කේතලය",
    "Thai": "ราคาหม้อหุงข้าว สีแดง",
    "Khmer": "កំសៀវ អគ្គិសនី",
    "Ethiopic": "የኤሌክትሪክ ማንቆርቆሪያ፡ አዲስ",
    "Han": "电热水壶，不锈钢。保修期为两年",
    "Kana": "電気ケトル ガラス製です",
    "Hangul": "전기 주전자, 유리",
}


class Engine:
    """The embedded engine with a shard as ours are made, asked for exact words."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.shard = _create(Job(directory, 0, IndexSettings()), 2)
        self.count = 0

    def add(self, text: str) -> int:
        self.count += 1
        point = qdrant_edge.Point(self.count, [1.0, 0.0], {TEXT_FIELD: text})
        self.shard.update(qdrant_edge.UpdateOperation.upsert_points([point]))
        return self.count

    def has(self, number: int, word: str) -> bool:
        """Whether the text has all words of `word`, as the engine cuts both."""
        match = qdrant_edge.FieldCondition(key=TEXT_FIELD, match=qdrant_edge.MatchText(text=word))
        found, _ = self.shard.scroll(qdrant_edge.ScrollRequest(limit=10_000, filter=qdrant_edge.Filter(must=[match])))
        return number in {point.id for point in found}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(tmp_path_factory.mktemp("words") / "shard")


def agrees(engine: Engine, text: str) -> None:
    """Each word of ours is one of the engine's, and no part of it is."""
    number, ours = engine.add(text), words(text)
    for word in ours:
        if words(word) != [word]:  # "İ" in small letters is cut when the engine reads it again as a question
            assert not any(engine.has(number, part) for part in words(word) if part not in ours), "cut, then made small"
            continue
        assert engine.has(number, word), f"{word!r} of {text!r} is no word of the index"
        for end in range(1, len(word)):
            part = word[:end]
            if words(part) == [part] and part not in ours:
                assert not engine.has(number, part), f"the index cuts {word!r} of {text!r} after {part!r}"


@pytest.mark.parametrize("script", TEXTS)
def test_words_are_the_engines(engine: Engine, script: str) -> None:
    """Evaluation that cuts at each vowel sign measures a search that nobody will have."""
    agrees(engine, TEXTS[script])


@given(st.text(alphabet="aİß._-'²½Ⅷ①ªਂंा्ीৎ்ทำַُّุ้้ﷺ𝐀🙂\u0301\u200d\u200c電", min_size=1, max_size=12))
def test_words_of_awkward_characters_are_the_engines(engine: Engine, text: str) -> None:
    """Marks, joiners, ligatures and numbers of all kinds, in any order."""
    agrees(engine, text)


def test_words_keep_numbers_and_single_letters() -> None:
    """Model numbers and sizes tell products apart; bm25s's own tokenizer drops single characters."""
    assert words("LG 7.3 cu . ft. X-Pro_2 Café") == ["lg", "7", "3", "cu", "ft", "x", "pro", "2", "café"]


def test_vowel_signs_stay_in_their_words() -> None:
    """Cut at each sign, "किताब" is "क", "त" and "ब", which half of all Hindi texts have."""
    assert words("किताब की कीमत") == ["किताब", "की", "कीमत"]
    assert words("الضَّمان سنتان") == ["الضَّمان", "سنتان"]
    assert words("புத்தகம்")[0] == "புத"


def test_evaluation_and_answering_use_them() -> None:
    """One way of cutting words, everywhere: a letter of a word is not the word."""
    items, _ = Bm25(["किताब की कीमत", "क त"]).search(["किताब"], 2)
    assert items.tolist() == [[0, -1]]
    assert word_overlap("किताब", ["किताब अच्छी है", "क त ब"]).tolist() == pytest.approx([1.0, 0.0])
