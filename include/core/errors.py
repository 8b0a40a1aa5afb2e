"""Everything Vitrine raises on purpose.

Each error says what was expected, what came, where, and what to do next. The two branches decide
what Airflow does with it:

* VitrineError
    * Terminal: trying again cannot help; the task fails at the first try.
        - BadSettings: a setting is unknown, out of range, or contradicts another.
        - BadSource: the catalogue file is not what it should be.
        - HashMismatch: the file is not the one that was pinned.
        - TooManyRejects: the share of unusable lines is above the limit.
        - EmptyCatalogue: nothing is left to train on or to index.
        - BadModel: a model directory, package or checkpoint cannot be used.
        - TrainingDiverged: the loss became NaN or infinite.
        - VerificationFailed: the built index does not hold what it should.
        - AnswersWorse: the live index answers worse than when it was published.
        - AlreadyAsked: the run has asked a person about other figures.
        - UnknownVersion: the named index version does not exist.
        - NoLiveIndex: nothing has been published yet.
        - OlderDate: the run stands for an older date than the live index, and such are refused.
        - BadQuestion: a question is empty or too long.
        - BadFilter: a filter cannot be read, or asks for what the index does not have.
        - NotPublished: the run has ended before publish could decide.
    * Transient: trying again, later, can help.
        - SourceUnreachable: the catalogue's host did not answer, or the transfer broke off.
        - QuotaExceeded: Google Drive's daily quota for the file is used up; can last 24 hours.
        - StorageFull: the disk has no room left.
        - DamagedArtifact: a stored file does not match its manifest; the task that made it rebuilds it.
        - ArtifactBusy: another try holds the lock on the same output.
        - StoreUnavailable: the vector store did not answer.
        - CleaningInterrupted: a process that cleans lines died; the retry converts again.
        - TrainingInterrupted: the training process died; the retry resumes at the checkpoint.
        - GeneratorUnavailable: the language model behind `generator=llm` did not answer.
        - TranslationFailed: the translator could not translate a question or a quote.
"""


class VitrineError(Exception):
    """Base of all errors raised on purpose.

    Args:
        what: What was expected and what came, with the place (file, line, shard).
        next_step: What the reader can do about it, as a full sentence.
    """

    def __init__(self, what: str, next_step: str = "") -> None:
        self.what = what
        self.next_step = next_step
        super().__init__(f"{what} {next_step}".strip())

    def __reduce__(self) -> tuple[type["VitrineError"], tuple[str, str]]:
        return type(self), (self.what, self.next_step)


class Terminal(VitrineError):
    """Trying again cannot help."""


class Transient(VitrineError):
    """Trying again, later, can help."""


class BadSettings(Terminal):
    """A setting is unknown, out of range, or contradicts another."""


class BadSource(Terminal):
    """The catalogue file is not what it should be."""


class HashMismatch(Terminal):
    """The file is not the one that was pinned."""


class TooManyRejects(Terminal):
    """The share of unusable lines is above the limit."""


class EmptyCatalogue(Terminal):
    """Nothing is left to train on or to index."""


class BadModel(Terminal):
    """A model directory, package or checkpoint cannot be used."""


class TrainingDiverged(Terminal):
    """The loss became NaN or infinite."""


class VerificationFailed(Terminal):
    """The built index does not hold what it should."""


class AnswersWorse(Terminal):
    """The live index answers worse than when it was published."""


class AlreadyAsked(Terminal):
    """The run has asked a person about other figures."""


class UnknownVersion(Terminal):
    """The named index version does not exist."""


class NoLiveIndex(Terminal):
    """Nothing has been published yet."""


class OlderDate(Terminal):
    """The run stands for an older date than the live index, and such are refused."""


class BadQuestion(Terminal):
    """A question is empty or too long."""


class BadFilter(Terminal):
    """A filter cannot be read, or asks for what the index does not have."""


class NotPublished(Terminal):
    """The run has ended before publish could decide."""


class SourceUnreachable(Transient):
    """The catalogue's host did not answer, or the transfer broke off."""


class QuotaExceeded(Transient):
    """Google Drive's daily quota for the file is used up."""


class StorageFull(Transient):
    """The disk has no room left."""


class DamagedArtifact(Transient):
    """A stored file does not match its manifest."""


class ArtifactBusy(Transient):
    """Another try holds the lock on the same output."""


class StoreUnavailable(Transient):
    """The vector store did not answer."""


class CleaningInterrupted(Transient):
    """A process that cleans lines died."""


class TrainingInterrupted(Transient):
    """The training process died."""


class GeneratorUnavailable(Transient):
    """The language model behind `generator=llm` did not answer."""


class TranslationFailed(Transient):
    """The translator could not translate a question or a quote."""
