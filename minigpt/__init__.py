"""minigpt: the package of the book that rebuilds the GPT-1 and GPT-2 papers.

Not the `minigpt` of the package index, which is a chat client: install this one from the book's repository.
"""

from minigpt.bpe import BPE
from minigpt.generate import generate
from minigpt.model import GPT, GPTConfig

__version__ = "0.1.0"
BOOK = "rebuilding GPT-1 and GPT-2"  # the chapters' first cells look for it: another package has the same name
__all__ = ["BOOK", "BPE", "GPT", "GPTConfig", "generate"]
