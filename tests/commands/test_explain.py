"""`nmt explain` and `nmt faithfulness`: what they leave, and what bad input gets."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.decoding.explainer import Explainer
from nmt.decoding.translator import Translator
from nmt.explain.maps import Pair
from nmt.explain.methods import METHODS

MakeRun = Callable[..., Path]
TEXT = "the young doctor sees an apple pie today ."


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def explained(nmt: Any, run: Path, *keys: str) -> dict[str, Any]:
    done = nmt("explain", run, f"text={TEXT}", "output=out", *keys)
    assert done.status == 0, done.err
    return dict(json.loads(Path("out/explanation.json").read_text(encoding="utf-8")))


def test_a_sentence_leaves_data_pictures_and_a_page(nmt: Any, make_run: MakeRun, folder: Path) -> None:
    run = make_run("transformer_tiny")
    data = explained(nmt, run, "method=all")
    (found,) = data["runs"]
    assert found["translation"] == Translator.load(run).translate([TEXT])[0]
    assert found["source"] == TEXT.split()
    kinds = {(each["method"], each["kind"]) for each in found["maps"]}
    prefixed = {"attention", "rollout", "relevance", "gradient_x_input"}
    assert kinds == {("attention", "encoder"), ("norms", "source")} | {
        (name, kind) for name in prefixed for kind in ("source", "prefix")
    }
    for each in found["maps"]:
        values = torch.tensor(each["values"])
        words = {"source": (found["target"], found["source"]), "prefix": (found["target"],) * 2}
        rows, columns = words.get(each["kind"], (found["source"],) * 2)
        assert values.shape[2:] == (len(rows) + 1, len(columns) + 1)
        assert values.shape[:2] == {"attention": (2, 2), "norms": (2, 1)}.get(each["method"], (1, 1))
        name = each["method"] + {"source": "", "prefix": "-prefix", "encoder": "-encoder"}[each["kind"]]
        assert (folder / "out" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (folder / "out" / f"{name}.svg").read_text(encoding="utf-8")
    assert "<html" in (folder / "out" / "explanation.html").read_text(encoding="utf-8")


def test_words_are_sums_of_columns_and_means_of_rows(make_run: MakeRun) -> None:
    translator = Translator.load(make_run("luong_tiny"))
    by_piece, by_word = (Explainer(translator, units=units).explain(TEXT, ["attention"]) for units in ("pieces", "words"))
    pieces, words = by_piece.maps[0].values[0, 0], by_word.maps[0].values[0, 0]
    side = Explainer(translator).source(TEXT)
    for column in range(len(by_word.source)):
        own = [n for n, word in enumerate(side.of_piece) if word == column]
        torch.testing.assert_close(pieces[-1, own].sum(), words[-1, column])  # the last row is the end's alone
    torch.testing.assert_close(words.sum(1), torch.ones(len(words)))


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("attention", "norms")])
def test_what_is_shown_is_what_the_method_finds(make_run: MakeRun, method: str) -> None:
    translator = Translator.load(make_run("transformer_tiny"))
    explainer = Explainer(translator, units="pieces")
    shown = explainer.explain(TEXT, [method], reference="der Hund sieht den Ball .").maps[0].values[0, 0]
    tokenizer = translator.tokenizer
    ids = [tokenizer.encode([text], side)[0] for text, side in ((TEXT, "src"), ("der Hund sieht den Ball .", "tgt"))]
    found = METHODS[method](translator.model, Pair.of(*ids, translator.device)).shares()
    torch.testing.assert_close(shown, found.source)


def test_a_reference_is_explained_instead_of_the_own_translation(nmt: Any, make_run: MakeRun, folder: Path) -> None:
    data = explained(nmt, make_run("luong_tiny"), "reference=der Hund sieht den Ball .")
    assert data["runs"][0]["target"] == ["der", "Hund", "sieht", "den", "Ball", "."]
    assert data["reference"] == "der Hund sieht den Ball ."


def test_two_runs_are_shown_side_by_side_each_with_what_it_has(nmt: Any, make_run: MakeRun, folder: Path) -> None:
    runs = [make_run("luong_tiny"), make_run("transformer_tiny")]
    done = nmt("explain", *runs, f"text={TEXT}", "method=[attention,rollout]", "output=out")
    assert done.status == 0, done.err
    data = json.loads((folder / "out" / "explanation.json").read_text(encoding="utf-8"))
    assert [{each["method"] for each in run["maps"]} for run in data["runs"]] == [{"attention"}, {"attention", "rollout"}]
    assert {path.name for path in (folder / "out").glob("*.png")} >= {"attention-1.png", "attention-2.png", "rollout-2.png"}


def test_a_layer_and_a_head_can_be_drawn(nmt: Any, make_run: MakeRun, folder: Path) -> None:
    explained(nmt, make_run("transformer_tiny"))
    mean = (folder / "out" / "attention.png").read_bytes()
    explained(nmt, make_run("transformer_tiny"), "layer=2", "head=1")
    assert (folder / "out" / "attention.png").read_bytes() != mean


def test_without_an_output_all_lies_in_the_run(nmt: Any, make_run: MakeRun) -> None:
    run = make_run("bahdanau_tiny")
    done = nmt("explain", run, "text=the dog/../sees <b>")
    assert done.status == 0, done.err
    (folder,) = (run / "explanations").iterdir()
    assert re.fullmatch(r"the-dog-sees-b-[0-9a-f]{8}", folder.name)
    assert done.lines[-1] == str(folder / "explanation.html")


def test_html_in_a_sentence_is_text(nmt: Any, make_run: MakeRun, folder: Path) -> None:
    done = nmt(
        "explain",
        make_run("luong_tiny"),
        "text=</script><script>alert(1)</script>",
        "decode.max_source_length=60",
        "output=out",
    )
    assert done.status == 0, done.err
    page = (folder / "out" / "explanation.html").read_text(encoding="utf-8")
    assert "alert(1)</script>" not in page
    done = nmt("explain", make_run("luong_tiny"), "text=<img src=x> $x^2$", "reference=<b> $ \\", "output=out")
    assert done.status == 0, done.err
    assert "<img" not in (folder / "out" / "explanation.html").read_text(encoding="utf-8")


def test_characters_that_no_font_has_are_named(nmt: Any, make_run: MakeRun, folder: Path) -> None:
    done = nmt("explain", make_run("luong_tiny"), "text=the \U0001fae8\U00010fff dog", "output=out")
    assert done.status == 0, done.err
    assert "no font of this machine has" in done.err


@pytest.mark.parametrize(
    ("model", "keys", "message"),
    [
        ("luong_tiny", ["text=the dog", "method=lime"], r"there is no method 'lime'; there are: attention, rollout, norms"),
        ("luong_tiny", ["text=the dog", "method=rollout"], r"method=rollout needs self-attention in its decoder"),
        ("encdec_tiny", ["text=the dog"], r"method=attention needs attention to the source, which this model has not"),
        ("transformer_tiny", ["text=the dog", "layer=3"], r"layer=3 is not there: this model has layers 1 to 2"),
        ("transformer_tiny", ["text=the dog", "head=9"], r"head=9 is not there: this model has heads 1 to 2"),
        ("luong_tiny", ["text="], r"the sentence is empty"),
        ("luong_tiny", ["text=  "], r"the sentence is empty"),
        ("luong_tiny", [], r"nothing to explain: give a sentence with text="),
        ("luong_tiny", [f"text={'dog ' * 41}"], r"the sentence has 82 pieces, but decode\.max_source_length is 40"),
        ("luong_tiny", ["text=the dog", "reference="], r"the reference is empty"),
        ("luong_tiny", ["text=the dog", "method=[]"], r"method must be all, one of attention, .*but is \[\]"),
        ("luong_tiny", ["text=the dog", "method=norms", "layer=1"], r"layer=1 is of method=attention, which is not among"),
        ("luong_tiny", ["text=the dog", "units=letters"], r"units must be words or pieces, but is 'letters'"),
    ],
)
def test_what_cannot_be_explained_is_refused_and_leaves_nothing(
    nmt: Any, make_run: MakeRun, folder: Path, model: str, keys: list[str], message: str
) -> None:
    done = nmt("explain", make_run(model), *keys, "output=out")
    assert done.status == 2, done.err
    assert re.search(message, done.err), done.err
    assert done.err.count("\n") == 1
    assert not (folder / "out").exists()


def test_faithfulness_leaves_a_table_of_all_methods_beside_random(nmt: Any, make_run: MakeRun, folder: Path) -> None:
    keys = ["sentences=2", "steps=2", "data.test_pairs=3", "output=out"]
    done = nmt("faithfulness", make_run("transformer_tiny"), "method=[attention,relevance]", *keys)
    assert done.status == 0, done.err
    table = done.out.decode()
    assert table == (folder / "out" / "faithfulness.md").read_text(encoding="utf-8")
    names = [line.split(" ")[1] for line in table.splitlines()[2:]]
    assert sorted(names) == ["attention", "random", "relevance"]
    areas = json.loads((folder / "out" / "faithfulness.json").read_text(encoding="utf-8"))
    assert {name: len(each["deletion"]) for name, each in areas.items()} == dict.fromkeys(areas, 2)
    means = {name: sum(each["deletion"]) / 2 for name, each in areas.items()}
    assert names == sorted(means, key=lambda name: means[name])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["sentences=0"], r"sentences must be at least 1, but is 0"),
        (["split=train2"], r"split must be one of train, dev, test, but is 'train2'"),
        (["method=lime"], r"there is no method 'lime'"),
        (["method=rollout"], r"method=rollout needs self-attention"),
        (["method=[]"], r"method must be all"),
        (["seed=-1"], r"seed must be at least 0"),
    ],
)
def test_faithfulness_refuses_what_it_cannot_measure(nmt: Any, make_run: MakeRun, keys: list[str], message: str) -> None:
    done = nmt("faithfulness", make_run("luong_tiny"), *keys)
    assert done.status == 2, done.err
    assert re.search(message, done.err), done.err


@pytest.mark.parametrize("reference", ["'Tis a dog.", '"Hello" he said', "[A dog] sleeps", "a=b, {c}", "null"])
def test_any_sentence_is_a_reference(nmt: Any, make_run: MakeRun, folder: Path, reference: str) -> None:
    data = explained(nmt, make_run("luong_tiny"), f"reference={reference}")
    assert data["reference"] == reference


def test_pictures_of_before_do_not_stay(nmt: Any, make_run: MakeRun, folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "mine.png").touch()
    explained(nmt, make_run("transformer_tiny"), "method=[attention,rollout]")
    explained(nmt, make_run("transformer_tiny"), "method=norms")
    names = {path.name for path in (folder / "out").glob("[!.]*")}
    assert names == {"mine.png", "norms.png", "norms.svg", "explanation.html", "explanation.json"}


def test_a_file_in_place_of_the_folder_is_refused_before_any_work(nmt: Any, make_run: MakeRun, folder: Path) -> None:
    (folder / "out").touch()
    done = nmt("explain", make_run("luong_tiny"), "text=the dog", "output=out")
    assert done.status == 2
    assert re.search(r"output=out must be a folder, but \S*out is a file", done.err), done.err


def test_a_word_as_long_as_a_sentence_leaves_room(
    nmt: Any, make_run: MakeRun, folder: Path, recwarn: pytest.WarningsRecorder
) -> None:
    explained(nmt, make_run("luong_tiny"), f"reference={'Schiff' * 40}", "decode.max_source_length=300")
    assert [str(warning.message) for warning in recwarn if "layout" in str(warning.message)] == []
