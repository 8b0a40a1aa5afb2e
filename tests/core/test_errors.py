"""include/core/errors.py: the tree that retries hang on, and messages that survive process borders."""

import inspect
import pickle

import pytest

from include.core import errors

CONCRETE = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, errors.VitrineError) and cls not in (errors.VitrineError, errors.Terminal, errors.Transient)
]


@pytest.mark.parametrize("cls", CONCRETE)
def test_every_error_is_either_terminal_or_transient(cls: type[errors.VitrineError]) -> None:
    """One that is neither would be retried for an hour, or not at all, by accident."""
    assert issubclass(cls, errors.Terminal) != issubclass(cls, errors.Transient)


@pytest.mark.parametrize("cls", CONCRETE)
def test_every_error_is_explained_in_the_modules_docstring(cls: type[errors.VitrineError]) -> None:
    """The docstring is the list that users of the UI are pointed to."""
    assert f"- {cls.__name__}: " in (errors.__doc__ or "")


def test_the_message_and_the_next_step_survive_pickling() -> None:
    """Airflow and the training process hand errors over between processes."""
    error = pickle.loads(pickle.dumps(errors.BadSource("It is a web page.", "Use a direct address.")))
    assert str(error) == "It is a web page. Use a direct address."
    assert (error.what, error.next_step) == ("It is a web page.", "Use a direct address.")
