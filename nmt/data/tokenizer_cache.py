"""Tokenizers that were trained before on the same text, so that a second run starts at once."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmt.config import TokenizerSettings
from nmt.data.corpus import Corpus
from nmt.data.tokenizer import Tokenizer, train
from nmt.errors import UserError


def cached_tokenizer(corpus: Corpus, config: Mapping[str, Any], cache: Path) -> Tokenizer:
    """The tokenizer of a corpus' training split, from the cache or trained now.

    Raises:
        UserError: if the split is empty, or the vocabulary does not suit it.
    """
    settings = TokenizerSettings(**config)
    decisive = {name: value for name, value in config.items() if name != "sampling"}
    key = hashlib.sha256(json.dumps(["1", corpus.fingerprint("train"), decisive], sort_keys=True).encode()).hexdigest()[:32]
    directory = cache / f"tokenizer-{key}"
    if not directory.exists():
        if next(iter(corpus.pairs("train")), None) is None:
            raise UserError("train has no pairs: set data.train to text that is not empty")
        tokenizer = train(corpus.pairs("train"), settings)
        cache.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".tokenizer-", dir=cache))
        try:
            tokenizer.save(scratch)
            if not directory.exists():
                os.rename(scratch, directory)  # noqa: PTH104 - atomic: another process sees all of it or none
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return Tokenizer.load(directory, sampling=settings.sampling)
