"""From which figures on an answer is told as sure, in words: Ask page and shell. Chosen, not calibrated."""

from typing import Final

SURE: Final = 0.75  # confidence of an answer that is found for sure; below it, and found, it is probable
CLOSE: Final = 0.6  # similarity of a nearest product that is a close match
RELATED: Final = 0.4  # of one that is a related product; below it nothing is close
