"""sacreBLEU's test sets without a network: from an archive, and from its own folder."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from sacrebleu.dataset import DATASETS
from sacrebleu.dataset.fake_sgml import FakeSGMLDataset

from nmt.errors import UserError
from nmt.evaluation.metrics import score
from nmt.evaluation.testsets import from_test_set
from nmt.tokenisation import Tokenisation

SOURCES = ["Der Hund schläft.", "Zeile\u2028eins\u0085zwei", "", "Die Katze"]
REFERENCES = ["The dog sleeps.", "A line.", "Nothing", "The cat"]


def sgm(lines: list[str]) -> bytes:
    segments = "".join(f'<seg id="{n}">{line}</seg>\n' for n, line in enumerate(lines))
    return f'<srcset>\n<doc docid="d" genre="news" origlang="de">\n{segments}</doc>\n</srcset>\n'.encode()


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The archive of a test set `tiny/news`, which sacreBLEU then knows; there is no network."""
    file = tmp_path / "downloads" / "news.tgz"
    file.parent.mkdir()
    with tarfile.open(file, "w:gz") as tar:
        for name, lines in (("test/src.de.sgm", SOURCES), ("test/ref.en.sgm", REFERENCES), ("test/ref2.en.sgm", SOURCES)):
            content = sgm(lines)
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    pairs = {"de-en": ["test/src.de.sgm", "test/ref.en.sgm", "test/ref2.en.sgm"]}
    md5 = hashlib.md5(file.read_bytes()).hexdigest()
    dataset = FakeSGMLDataset("tiny/news", data=["https://example.org/x/news.tgz"], md5=[md5], langpairs=pairs)
    dataset._outdir = str(tmp_path / "sacrebleu" / "tiny/news")
    dataset._rawdir = str(tmp_path / "sacrebleu" / "tiny/news" / "raw")
    monkeypatch.setitem(DATASETS, "tiny/news", dataset)

    def no_network(address: str) -> None:
        raise urllib.error.URLError(OSError(-2, "Name or service not known"))

    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    return file


def test_an_archive_gives_the_lines_in_order_and_serves_later_evaluations_too(archive: Path) -> None:
    texts = from_test_set("tiny/news", "de-en", [archive])
    assert [len(texts.sources), *map(len, texts.references)] == [4, 4, 4]
    assert texts.references[0] == REFERENCES
    assert (texts.sources[0], texts.sources[2], texts.sources[3]) == (SOURCES[0], "", SOURCES[3])
    assert texts.name == "testset-tiny_news.de-en"
    assert texts.language == "en"
    archive.unlink()
    assert from_test_set("tiny/news", "de-en") == texts


def test_files_in_the_folder_of_sacrebleu_are_enough(archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sacrebleu" / "tiny/news"
    folder.mkdir(parents=True)
    for field, lines in (("src", SOURCES), ("ref-0", REFERENCES), ("ref-1", SOURCES)):
        (folder / f"tiny_news.de-en.{field}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    for field in ("docid", "genre", "origlang"):
        (folder / f"tiny_news.de-en.{field}").write_text("x\n" * 4)
    texts = from_test_set("tiny/news", "de-en")
    assert texts.sources == SOURCES
    assert texts.references == [REFERENCES, SOURCES]
    (folder / "tiny_news.de-en.src").write_text("one\n")
    with pytest.raises(UserError, match=r"testset=tiny/news is damaged \(.*src has 1 lines.*ref-0 has 4 lines"):
        from_test_set("tiny/news", "de-en")


@pytest.mark.parametrize(("name", "langpair", "words"), [("wmt14", "de-en", "13a"), ("wmt17", "en-zh", "zh")])
def test_the_sacrebleu_program_scores_a_test_set_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, langpair: str, words: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.setattr(DATASETS[name], "_outdir", str(folder))
    texts = {"src": SOURCES, "ref": REFERENCES, "docid": ["x"] * 4, "genre": ["x"] * 4, "origlang": ["x"] * 4}
    for field, lines in texts.items():
        (folder / f"{name}.{langpair}.{field}").write_text(
            "".join(f"{line} \n" for line in lines), encoding="utf-8", newline="\n"
        )
    hypotheses = ["The dog sleeps well.", "Line\u2028one.", "", "The cat 猫"]
    (tmp_path / "hypotheses.txt").write_text("".join(f"{line}\n" for line in hypotheses), encoding="utf-8", newline="\n")
    found = from_test_set(name, langpair)
    ours = score(hypotheses, found.references, ["bleu"], Tokenisation(language=found.language))["bleu"]
    command = [
        sys.executable,
        "-m",
        "sacrebleu",
        "-t",
        name,
        "-l",
        langpair,
        "-i",
        str(tmp_path / "hypotheses.txt"),
        "-w",
        "10",
    ]
    environment = os.environ | {"SACREBLEU": str(tmp_path)}
    theirs = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
    assert ours.score == pytest.approx(theirs["score"], abs=1e-9)
    assert ours.signature == theirs["signature"]
    assert f"tok:{words}" in ours.signature


def test_without_a_network_one_line_says_how_it_is_done_offline(archive: Path) -> None:
    with pytest.raises(UserError) as caught:
        from_test_set("tiny/news", "de-en")
    message = str(caught.value)
    for part in ("Name or service not known", "https://example.org/x/news.tgz", "archive=FILE", "SACREBLEU=DIR", "input=FILE"):
        assert part in message
    assert "\n" not in message


def test_what_a_broken_download_left_is_named(archive: Path, tmp_path: Path) -> None:
    raw = tmp_path / "sacrebleu" / "tiny/news" / "raw"
    raw.mkdir(parents=True)
    (raw / "tiny_news.news.tgz").write_bytes(archive.read_bytes()[:100])
    with pytest.raises(
        UserError, match=r"tiny/news is not complete: remove it, and it is fetched again; offline: .*archive=FILE"
    ):
        from_test_set("tiny/news", "de-en")
    assert from_test_set("tiny/news", "de-en", [archive]).references[0] == REFERENCES


def test_another_archive_and_a_missing_one_are_named(archive: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.tgz"
    with pytest.raises(UserError, match=r"archive: .*other\.tgz does not exist"):
        from_test_set("tiny/news", "de-en", [other])
    other.write_bytes(b"else")
    with pytest.raises(UserError, match=r"archive: .*other\.tgz \(MD5 \w+\) is not what tiny/news is made of: .*news\.tgz"):
        from_test_set("tiny/news", "de-en", [other])
    assert not (tmp_path / "sacrebleu").exists()


def test_an_archive_that_is_none_is_named(archive: Path) -> None:
    archive.write_bytes(b"no archive")
    DATASETS["tiny/news"].md5 = [hashlib.md5(b"no archive").hexdigest()]
    with pytest.raises(UserError, match=r"archive: .*news\.tgz cannot be unpacked"):
        from_test_set("tiny/news", "de-en", [archive])


def test_an_unknown_set_names_near_ones_and_an_unknown_pair_those_there_are() -> None:
    with pytest.raises(UserError, match=r"no test set 'wmt-14': near are .*wmt14"):
        from_test_set("wmt-14", "de-en")
    with pytest.raises(
        UserError, match=r"wmt14 has no language pair de-fr: langpair= is one of cs-en, de-en.*sets with de-fr: .*wmt19"
    ):
        from_test_set("wmt14", "de-fr")
