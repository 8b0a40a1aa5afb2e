"""Every kind of output and the number of its present format.

Raise a number when the code writes other bytes: then what was made with the one before, and what depends on it, is made
again. `tests/test_formats.py` has the table of what depends on which.
"""

from include.core.artifacts import Kind

SOURCE = Kind("source", 1)
SAMPLE = Kind("sample", 1)  # the synthetic file in a source; beyond it, a file is known by its bytes
CATALOGUE = Kind("catalogue", 3)  # also when a rule of cleaning changes
QUESTIONS = Kind("questions", 1)  # also when a rule of what is accepted changes
BASE = Kind("base", 1)
BASE_DIRECTORY = Kind("base-directory", 1)  # no artifact: a model where the user keeps it
TOKENS = Kind("tokens", 1)
NEGATIVES = Kind("negatives", 1)
MODEL = Kind("model", 2)  # how it is trained, and what its ONNX copy computes, but for how that rounds
READER = Kind("reader", 3)  # its ONNX graph included, and how it is trained; 3: word pieces met, 8-bit products
EVALUATION = Kind("evaluation", 6)  # 6: corpora are drawn text by text, not by their places
PLAN = Kind("plan", 2)  # 2: the formats of what is built from it
EMBEDDING = Kind("embedding", 1)  # also how a text becomes a vector; vectors of another number are not copied
EDGE = Kind("edge", 2)  # points, payloads, text index, the engine's files; 2: the text index holds terms
SERVER = Kind("server", 2)  # no artifact: a version's collection on a server: points, payloads, text index
VERSION = Kind("version", 1)
EXAM = Kind("exam", 1)  # also when a figure is counted otherwise
ANSWERS = Kind("answers", 1)  # made anew by each run that asks
REPORT = Kind("report", 4)
