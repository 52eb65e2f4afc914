"""A small model copies characters that it has never seen, because those that are rare in its training text are bytes."""

import random
import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest

from nmt.decoding.translator import Translator

WORDS = [
    "der Hund=the dog, die Katze=the cat, das Kind=the child, ein Vogel=a bird, meine Schwester=my sister, "
    "unser Nachbar=our neighbour",
    "sieht=sees, hört=hears, findet=finds, sucht=looks for, kennt=knows, zeichnet=draws",
    "den Ball=the ball, das große Haus=the big house, die Straße=the street, das Fahrrad=the bicycle",
    "heute=today, im Garten=in the garden, am Abend=in the evening, jeden Tag=every day",
]
RANGES = {
    "emoji": [range(0x1F300, 0x1F650), range(0x1F680, 0x1F6D8), range(0x1F900, 0x1FA00)],
    "Chinese": [range(0x4E00, 0x9FA5)],
    "accents": [range(0xC0, 0x250), range(0x1E00, 0x1F00)],
}
PAIRS = 6000
SENTENCES = 60
LEAST = {"emoji": 40, "Chinese": 25, "accents": 45}
"""Sentences of each kind that must be right; measured: 55, 40 and 59."""


def alphabet(kind: str) -> list[str]:
    """The characters of a kind that are alike in every normal form of compatibility."""
    characters = [chr(number) for numbers in RANGES[kind] for number in numbers]
    wanted = "So" if kind == "emoji" else "L"
    named = [one for one in characters if unicodedata.category(one).startswith(wanted)]
    return [one for one in named if unicodedata.normalize("NFKC", one) == one and one not in "äöüÄÖÜß"]


def sentence_pair(source: random.Random, character: str | None = None) -> tuple[str, str]:
    """A sentence in English and German, with a character before its last part."""
    chosen = [source.choice(part.split(", ")).split("=") for part in WORDS]
    sides = [[german_english[side] for german_english in chosen] for side in (1, 0)]
    for words in sides:
        words[3:3] = [character] if character else []
    english, german = (f"{' '.join(words)} ." for words in sides)
    return english, german


def write(stem: Path, pairs: Sequence[tuple[str, str]]) -> None:
    for language, lines in zip(("en", "de"), zip(*pairs, strict=True), strict=True):
        stem.with_suffix(f".{language}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.mark.slow
def test_characters_never_seen_are_copied_where_a_fifth_of_the_pairs_has_rare_ones(tmp_path: Path) -> None:
    source = random.Random(1)
    seen, unseen = {}, {}
    for kind in RANGES:
        characters = alphabet(kind)
        source.shuffle(characters)
        fourth = len(characters) // 4
        unseen[kind], seen[kind] = characters[:fourth], characters[fourth:]
    pairs = []
    for _ in range(PAIRS):
        rare = source.choice(seen[source.choice(list(RANGES))]) if source.random() < 0.2 else None
        pairs.append(sentence_pair(source, rare))
    write(tmp_path / "train", pairs)
    write(tmp_path / "dev", [sentence_pair(source) for _ in range(50)])
    keys = [f"data.train={tmp_path / 'train'}", f"data.dev={tmp_path / 'dev'}", "data.src=en", "data.tgt=de"]
    keys += [
        "tokenizer.vocab_size=450",
        "model=transformer_tiny",
        "model.dropout=0",
        "optimizer.lr=3e-3",
        "schedule.warmup=100",
    ]
    keys += ["train.tokens_per_batch=2000", "train.max_updates=2500", "train.validate_every=2500", "decode.beam=1"]
    keys += [f"run_dir={tmp_path / 'run'}", f"paths.cache={tmp_path / 'cache'}", "device=cpu"]
    subprocess.run([sys.executable, "-m", "nmt", "train", "data=text", *keys], check=True)
    translator = Translator.load(tmp_path / "run", checkpoint="last", device="cpu")
    right = {}
    for kind, characters in unseen.items():
        tests = [sentence_pair(source, character) for character in source.sample(characters, SENTENCES)]
        found = translator.translate([english for english, _ in tests])
        right[kind] = sum(text == german for text, (_, german) in zip(found, tests, strict=True))
    assert all(right[kind] >= least for kind, least in LEAST.items()), right
