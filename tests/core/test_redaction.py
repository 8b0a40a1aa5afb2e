"""include/core/redaction.py: what a message may show of what others wrote."""

from pathlib import Path

import pytest

from include.core.errors import BadSettings
from include.core.failure import record
from include.core.redaction import addresses_hidden, foreign, hide, shown
from include.source.drive import _cookies
from include.store.connection import ServerConnection

SECRET = "p4ss/w'rd&"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cannot read https://u:p'hunter2@h/x now", "cannot read https://…@h/x now"),
        ("GET https://h/x?sig=ab'hunter2 failed", "GET https://h/x?… failed"),
        ("('https://h/x?sig=hunter2')", "('https://h/x?…')"),
        ('{"url": "https://u:hunter2@h/x#hunter2"}', '{"url": "https://…@h/x?…"}'),
    ],
)
def test_a_quotation_mark_in_a_secret_does_not_end_it(text: str, expected: str) -> None:
    """The part behind the mark stood in the message."""
    assert foreign(text) == expected


@pytest.mark.parametrize(
    "spelling",
    ["p4ss/w'rd&", r"p4ss\/w'rd&", "p4ss/w&#x27;rd&amp;", "p4ss/w&#39;rd&amp;", "p4ss%2fw%27rd%26", "p4ss%2Fw%27rd%26"],
)
def test_a_secret_is_known_in_the_spellings_of_servers(spelling: str) -> None:
    """PHP escapes a slash in JSON, an error page escapes signs of HTML, some write percents in small letters."""
    assert hide(f"refused: {spelling}!", [SECRET]) == "refused: ***!"


@pytest.mark.parametrize("path", ["storage.example.com/x.zip", "/data/x.zip", "~/x.zip"])
def test_an_address_without_its_scheme_loses_its_query(path: str) -> None:
    """Danger: "There is no file …?X-Amz-Signature=…", for a forgotten https://."""
    assert shown(f"{path}?X-Amz-Signature=hunter2&x=hunter2") == f"{path}?…"
    assert shown(f"{path}?") == f"{path}?", "a question alone is no query"


def test_an_unforeseen_error_is_kept_without_the_secrets_of_its_addresses() -> None:
    """The record goes into XCom, state store and report, where no masker knows a signed address."""
    text = "GET https://user:hunter2@h/x?sig=hunter2 failed.\nIs #3 right? 50% (of 4)"
    kept = record(RuntimeError(text))["what"]
    assert kept == "GET https://…@h/x?… failed.\nIs #3 right? 50% (of 4)"
    assert addresses_hidden("no address, #1 and ?x=2") == "no address, #1 and ?x=2"


@pytest.mark.filterwarnings("ignore:http.cookiejar bug")
def test_a_cookies_file_that_cannot_be_read_shows_no_cookie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's error quotes the line: a cookie is as good as a password."""
    file = tmp_path / "cookies.txt"
    file.write_text("# Netscape HTTP Cookie File\n.google.com TRUE / TRUE 1999999999 SID s3cr3t\n")
    monkeypatch.setenv("VITRINE_DRIVE_COOKIES", str(file))
    with pytest.raises(BadSettings, match="not in Netscape form") as caught:
        _cookies()
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_https_that_contradicts_the_address_is_an_error() -> None:
    """Danger: extra says https, the host says http://, and the key travels in clear."""
    with pytest.raises(BadSettings, match="http:// in its address, but https True in its extra"):
        ServerConnection.from_fields("http://q.example", None, "key-of-mine", {"https": True})
    same = ServerConnection.from_fields("https://q.example", None, "key-of-mine", {"https": "true"})
    assert same.url == "https://q.example:6333"
