"""What the page of an explanation shows, in a browser, and that nothing of a word or a name is obeyed by one."""

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.explain.page import Explained, Map, as_page

SOURCE = ["Ein", "Hund", "läuft", "schnell", "."]
TARGET = ["A", "dog", "runs", "very", "fast", "."]
NASTY = [
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    '<img src=x onerror="alert(3)">',
    "<!--<script>",
    "\"'`&amp;&#60;${alert(4)}",
    "{{ 7 * 7 }}{% raw %}",
    "one\u2028two\u2029three",
    "\x1b[31m\x00\t\x7f",
    "\u202egnol\ud800",
    "__proto__",
]
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
"""Of Chromium, which as root has no sandbox, and which otherwise asks the network about itself."""


def attention(layers: int, heads: int, rows: int, columns: int, seed: int = 0) -> Tensor:
    return (3 * torch.randn(layers, heads, rows, columns, generator=torch.Generator().manual_seed(seed))).softmax(-1)


def causal(layers: int, heads: int, rows: int, seed: int = 0) -> Tensor:
    scores = 3 * torch.randn(layers, heads, rows, rows, generator=torch.Generator().manual_seed(seed))
    return scores.masked_fill(torch.ones(rows, rows).triu(1).bool(), -torch.inf).softmax(-1)


def gradients(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.randn(1, 1, rows, columns, generator=torch.Generator().manual_seed(seed)) * 7


def explained(name: str = "runs/a", source: list[str] = SOURCE, target: list[str] = TARGET) -> Explained:
    """A run with attention of all kinds and two methods without layers, one of them signed."""
    s, t = len(source) + 1, len(target) + 1
    maps = [
        Map("attention", "source", attention(3, 2, t, s, 1)),
        Map("attention", "prefix", causal(3, 2, t, 2)),
        Map("attention", "encoder", attention(3, 2, s, s, 3)),
        Map("rollout", "source", attention(1, 1, t, s, 4)),
        Map("gradient_x_input", "source", gradients(t, s, 5)),
        Map("gradient_x_input", "prefix", gradients(t, t, 6).tril()),
    ]
    return Explained(name, "transformer", source, target, maps)


def bahdanau(source: list[str] = SOURCE) -> Explained:
    target = ["A", "dog", "runs", "."]
    return Explained("runs/b", "bahdanau", source, target, [Map("attention", "source", attention(1, 1, 5, len(source) + 1, 7))])


class Read(HTMLParser):
    """The tags and attributes of a page, and its data."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.block: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        if self.attributes[-2:] == [("type", "application/json"), ("id", "data")] and self.block is None:
            self.block = data

    def runs(self) -> list[dict[str, Any]]:
        assert self.block is not None
        runs: list[dict[str, Any]] = json.loads(self.block)
        return runs


def test_a_page_of_forty_words_and_all_heads_is_smaller_than_a_megabyte() -> None:
    words = ["Donaudampfschiff"] * 40
    maps = [
        Map("attention", "source", attention(6, 8, 41, 41)),
        Map("attention", "prefix", causal(6, 8, 41)),
        Map("attention", "encoder", attention(6, 8, 41, 41)),
        *(Map(f"method_{n}", kind, gradients(41, 41)) for n in range(6) for kind in ("source", "prefix")),
    ]
    page = as_page([Explained("a", "transformer", words, words, maps)])
    assert len(page.encode()) < 1_000_000
    assert len(Read(page).runs()[0]["maps"]) == 3 + 12


MAPS = [attention(3, 2, 7, 6), gradients(7, 6), -attention(1, 1, 7, 6), torch.zeros(1, 1, 7, 6), 1e-9 * gradients(7, 6)]


@pytest.mark.parametrize("values", MAPS)
def test_values_are_read_back_within_half_a_step(values: Tensor) -> None:
    (found,) = Read(as_page([Explained("a", "m", SOURCE, TARGET, [Map("x", "source", values)])])).runs()[0]["maps"]
    numbers = torch.tensor(list(base64.b64decode(found["bytes"]))).double().reshape(values.shape)
    steps = 127 if found["signed"] else 255
    read = (numbers - 128 if found["signed"] else numbers) / steps * found["scale"]
    assert found["scale"] == values.abs().max()
    assert found["signed"] == bool((values < 0).any())
    assert (read - values).abs().max() <= found["scale"] / steps / 2 * (1 + 1e-6)
    assert (found["layers"], found["heads"]) == values.shape[:2]


def test_markup_of_a_name_or_word_makes_no_element() -> None:
    plain = Read(as_page([explained("a", ["x"] * len(NASTY), ["y"] * len(NASTY))]))
    nasty = Read(as_page([explained("".join(NASTY), NASTY, NASTY[::-1])]))
    assert nasty.tags == plain.tags
    assert nasty.tags.count("script") == 2  # the data and the code
    assert nasty.attributes == plain.attributes
    assert not {"<", ">", "&", "'", "\u2028", "\u2029"} & set(nasty.block or "")


def test_words_arrive_whole_and_control_characters_as_pictures() -> None:
    page = as_page([explained("".join(NASTY), NASTY, NASTY[::-1])])
    (run,) = Read(page).runs()
    assert run["source"][:7] == NASTY[:7]
    assert run["source"][7] == "␛[31m␀␉␡"
    assert run["target"][::-1] == run["source"]
    assert run["name"] == "".join(run["source"])
    assert not {character for character in page if ord(character) < 0x20} - {"\n"}
    page.encode()  # half of a surrogate pair is in no UTF-8


def test_a_page_needs_nothing_from_elsewhere_and_a_browser_is_told_so() -> None:
    read = Read(as_page([explained()]))
    assert not {"src", "href", "action", "data"} & {name for name, _ in read.attributes}
    assert not {"link", "img", "iframe", "object", "base"} & set(read.tags)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'") in read.attributes
    assert "http" not in as_page([explained()]).replace("http-equiv", "")


def test_a_map_that_does_not_fit_the_words_is_refused() -> None:
    with pytest.raises(AssertionError):
        as_page([Explained("a", "m", SOURCE, TARGET, [Map("x", "source", attention(1, 1, 6, 7))])])


Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs a browser to drive: pip install playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs a browser: apt install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Opens runs from a file without network; at the end nothing was asked for, reported or popped up."""
    asked: list[str] = []
    said: list[str] = []
    contexts = []
    path = tmp_path / "page.html"

    def opened(*runs: Explained, address: str = "", clock: bool = False, **settings: Any) -> Any:
        path.write_text(as_page(runs), encoding="utf-8")
        context = browser.new_context(offline=True, **settings)
        contexts.append(context)
        context.set_default_timeout(5000)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(f"dialog {dialog.message}"), dialog.dismiss()))
        if clock:
            page.clock.install(time=0)
            page.clock.pause_at(1000)
        page.goto(path.as_uri() + address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []
    assert {url.partition("#")[0] for url in asked} == {path.as_uri()}


def word(page: Any, side: str, index: int, panel: int = 0) -> Any:
    return page.locator("section").nth(panel).locator(f"button[data-side={side}]").nth(index)


def numbers(page: Any, panel: int = 0) -> Tensor:
    """The map that a panel shows, (R, C); 0 where nothing is."""
    rows = page.locator("section").nth(panel).locator("tbody tr").all()
    cells = [row.locator("td").all_text_contents() for row in rows]
    return torch.tensor([[float(text.replace("−", "-") or 0) for text in row] for row in cells])


def weights(page: Any, side: str, panel: int = 0) -> Tensor:
    """How strongly the words of a side are shaded, from 0 to 1, as a browser computes it."""
    script = "items => items.map(item => getComputedStyle(item).getPropertyValue('--weight'))"
    found = page.locator("section").nth(panel).locator(f"button[data-side={side}]").evaluate_all(script)
    return torch.tensor([float(weight) for weight in found])


def readout(page: Any) -> list[str]:
    lines: list[str] = page.locator("#readout > div").all_text_contents()
    return lines


def choose(page: Any, **options: str | int) -> None:
    """In each control an option, which need not be offered where it is the only one."""
    for name, option in options.items():
        if page.locator(f"#{name}").input_value() != str(option):
            page.locator(f"#{name}").select_option(str(option))


def exact() -> Tensor:
    """Attention of two rows that have no ties, (1, 1, 7, 6)."""
    rows = torch.tensor([[0.6, 0.25, 0.1, 0.05, 0, 0], [0.07, 0.81, 0.05, 0.04, 0.02, 0.01], *[[1.0, 0, 0, 0, 0, 0]] * 5])
    return rows[None, None]


def test_pointing_at_a_word_of_the_translation_tells_and_shades_what_it_looked_at(show: Open) -> None:
    page = show(Explained("a", "bahdanau", SOURCE, TARGET, [Map("attention", "source", exact())]))
    assert readout(page) == ["no word chosen"]
    assert weights(page, "column").max() == 0
    word(page, "row", 1).hover()
    assert readout(page) == ["dog ← Hund 0.81, Ein 0.07, läuft 0.05, schnell 0.04, . 0.02, …"]
    assert weights(page, "column").tolist() == pytest.approx([0.07, 0.81, 0.05, 0.04, 0.02, 0.01], abs=0.003)
    assert word(page, "column", 1).get_attribute("title") == "0.81"
    assert word(page, "column", 1).get_attribute("aria-label") == "Hund, 0.81"
    assert word(page, "column", 1).evaluate("item => getComputedStyle(item).backgroundColor") != "rgba(0, 0, 0, 0)"
    page.mouse.move(0, 0)
    assert readout(page) == ["no word chosen"]
    assert word(page, "column", 1).get_attribute("aria-label") == "Hund"


def test_pointing_at_a_word_of_the_source_tells_which_words_looked_at_it(show: Open) -> None:
    page = show(Explained("a", "bahdanau", SOURCE, TARGET, [Map("attention", "source", exact())]))
    word(page, "column", 1).hover()
    assert readout(page) == ["Hund → dog 0.81, A 0.25"]
    assert weights(page, "row").tolist() == pytest.approx([0.25, 0.81, 0, 0, 0, 0, 0], abs=0.003)


def test_pointing_at_a_cell_tells_the_one_number(show: Open) -> None:
    page = show(Explained("a", "bahdanau", SOURCE, TARGET, [Map("attention", "source", exact())]))
    page.locator("tbody tr").nth(1).locator("td").nth(2).hover()
    assert readout(page) == ["dog ← läuft 0.05"]


def test_a_clicked_word_stays_until_it_is_clicked_again(show: Open) -> None:
    page = show(Explained("a", "bahdanau", SOURCE, TARGET, [Map("attention", "source", exact())]))
    word(page, "row", 0).click()
    word(page, "row", 1).hover()
    assert readout(page)[0].startswith("dog ←")
    page.mouse.move(0, 0)
    page.locator("#play").focus()
    assert readout(page) == ["A ← Ein 0.60, Hund 0.25, läuft 0.10, schnell 0.05"]
    assert word(page, "row", 0).get_attribute("aria-pressed") == "true"
    word(page, "row", 0).click()
    page.mouse.move(0, 0)
    page.locator("#play").focus()
    assert readout(page) == ["no word chosen"]


def test_ends_of_sentence_stand_apart(show: Open) -> None:
    page = show(explained())
    for side, names in (("row", TARGET), ("column", SOURCE)):
        assert page.locator(f"button[data-side={side}]").all_text_contents() == [*names, "⏎ end"]
        assert page.locator(f"button[data-side={side}].mark").all_text_contents() == ["⏎ end"]
    choose(page, kind="prefix")
    assert page.locator("button[data-side=column]").all_text_contents() == ["⊢ begin", *TARGET]
    assert page.locator("button[data-side=column].mark").all_text_contents() == ["⊢ begin"]
    choose(page, kind="encoder")
    assert page.locator("button[data-side=row]").all_text_contents() == [*SOURCE, "⏎ end"]


def test_the_map_has_the_numbers_of_the_chosen_method_kind_layer_and_head(show: Open) -> None:
    run = explained()
    page = show(run)
    for each in run.maps:
        values = each.values
        step = values.abs().max() / (127 if (values < 0).any() else 255) / 2
        for layer, head in [("mean", "mean"), (1, 2), (3, "mean"), ("mean", 1)] if len(values) > 1 else [("mean", "mean")]:
            choose(page, method=each.method, kind=each.kind, layer=layer, head=head)
            chosen = values.mean(0) if isinstance(layer, str) else values[layer - 1]
            shown = chosen.mean(0) if isinstance(head, str) else chosen[head - 1]
            difference = (numbers(page) - shown).abs().max()
            assert difference <= 0.005 + step + shown.abs().max() / 500, (each.method, each.kind, layer, head)


def test_a_chosen_word_stays_chosen_when_layer_and_method_change(show: Open) -> None:
    run = explained()
    page = show(run)
    word(page, "row", 4).click()
    for layer, head in ((2, 1), (3, 2)):
        choose(page, layer=layer)
        choose(page, head=head)
        best = run.maps[0].values[layer - 1, head - 1, 4].argmax()
        assert readout(page)[0].startswith(f"fast ← {[*SOURCE, '⏎ end'][best]} ")
        assert weights(page, "column").argmax() == best
    choose(page, method="rollout")
    assert readout(page)[0].startswith(f"fast ← {[*SOURCE, '⏎ end'][run.maps[3].values[0, 0, 4].argmax()]} ")


def test_a_chosen_word_is_dropped_where_its_place_is_that_of_another_word(show: Open) -> None:
    page = show(explained())
    word(page, "row", 1).click()
    page.mouse.move(0, 0)
    choose(page, kind="prefix")
    assert readout(page)[0].startswith("dog ← ")
    choose(page, kind="encoder")
    assert readout(page) == ["no word chosen"]
    word(page, "column", 1).click()
    page.mouse.move(0, 0)
    choose(page, kind="prefix")
    assert readout(page) == ["no word chosen"]


def test_only_what_a_method_has_can_be_chosen(show: Open) -> None:
    page = show(explained())
    offered = lambda name: page.locator(f"#{name} option").evaluate_all("items => items.map(item => item.value)")  # noqa: E731
    assert offered("method") == ["attention", "rollout", "gradient_x_input"]
    assert page.locator("#method option").all_text_contents()[2] == "gradient × input"
    assert (offered("kind"), offered("layer"), offered("head")) == (
        ["source", "prefix", "encoder"],
        ["mean", "1", "2", "3"],
        ["mean", "1", "2"],
    )
    choose(page, layer=2)
    choose(page, method="rollout")
    assert (offered("kind"), offered("layer"), offered("head")) == (["source"], ["mean"], ["mean"])
    assert all(page.locator(f"#{name}").is_disabled() for name in ("kind", "layer", "head"))


def test_what_speaks_against_a_word_has_another_colour_and_the_legend_says_which(show: Open) -> None:
    page = show(explained())
    assert page.locator("#legend").text_content() == f"0{numbers(page).max():.2f}"
    choose(page, method="gradient_x_input")
    values = numbers(page)
    assert page.locator("#legend").text_content() == f"against −{values.abs().max():.2f}{values.abs().max():.2f} for"
    colours = page.locator("tbody td").evaluate_all("cells => cells.map(cell => getComputedStyle(cell).backgroundColor)")
    hues: dict[bool, set[tuple[str, ...]]] = {True: set(), False: set()}
    for value, colour in zip(values.flatten().tolist(), colours, strict=True):
        if value:
            hues[value < 0].add(tuple(colour.strip("rgba()").split(",")[:3]))
    assert len(hues[True]) == len(hues[False]) == 1
    assert hues[True] != hues[False]
    row = values[2].abs().argmax()
    word(page, "row", 2).hover()
    sign = "−" if values[2, row] < 0 else ""
    assert f"{sign}{values[2, row].abs():.2f}" in readout(page)[0]


def test_a_map_without_any_weight_is_shown_as_zeros(show: Open) -> None:
    page = show(Explained("a", "m", SOURCE, TARGET, [Map("relevance", "source", torch.zeros(1, 1, 7, 6))]))
    word(page, "row", 0).hover()
    assert readout(page) == ["A ← nothing"]
    assert set(page.locator("tbody td").all_text_contents()) == {"0"}
    assert page.locator("#legend").text_content() == "00"


def test_playing_writes_the_translation_word_by_word(show: Open) -> None:
    page = show(explained(), bahdanau(), clock=True)
    visible = lambda panel: [word(page, "row", n, panel).is_visible() for n in range(5)]  # noqa: E731
    play = page.locator("#play")
    play.click()
    assert [line.partition(" ←")[0] for line in readout(page)] == ["runs/a: A", "runs/b: A"]
    page.clock.run_for(700)
    assert [line.partition(" ←")[0] for line in readout(page)] == ["runs/a: dog", "runs/b: dog"]
    assert visible(0) == visible(1) == [True, True, False, False, False]
    assert not page.locator("tbody tr").nth(2).locator("td").first.is_visible()
    play.click()
    page.clock.run_for(7000)
    assert "Play" in play.text_content()
    assert visible(0) == [True, True, False, False, False]
    choose(page, speed=350)
    play.click()
    page.clock.run_for(350)
    assert [line.partition(" ←")[0] for line in readout(page)] == ["runs/a: very", "runs/b: ."]
    page.clock.run_for(350)
    assert [line.partition(" ←")[0] for line in readout(page)] == ["runs/a: fast", "runs/b: ⏎ end"]
    page.clock.run_for(2000)
    assert "Play" in play.text_content()
    assert visible(0) == visible(1) == [True] * 5
    assert readout(page) == ["no word chosen"]


def test_of_words_already_written_playing_shows_none_that_are_not(show: Open) -> None:
    page = show(explained(), address="#kind=prefix", clock=True)
    page.locator("#play").click()
    page.clock.run_for(700)
    assert [word(page, "column", n).is_visible() for n in range(3)] == [True, True, False]  # begin, A
    page.keyboard.press("Escape")
    assert word(page, "column", 2).is_visible()


@pytest.mark.parametrize(("wish", "moves"), [("reduce", False), ("no-preference", True)])
def test_nothing_fades_for_who_wants_less_motion(show: Open, wish: str, moves: bool) -> None:
    page = show(explained(), reduced_motion=wish)
    duration = word(page, "column", 0).evaluate("item => getComputedStyle(item).transitionDuration")
    assert (duration != "0s") == moves


def test_the_same_word_is_pointed_at_in_every_run(show: Open) -> None:
    a, b = explained(), bahdanau()
    page = show(a, b)
    assert page.locator("h2").all_text_contents() == ["runs/a transformer", "runs/b bahdanau"]
    word(page, "column", 2, panel=1).hover()
    values = [numbers(page, panel)[:, 2] for panel in range(2)]
    assert [line.partition(" → ")[0] for line in readout(page)] == ["runs/a: läuft", "runs/b: läuft"]
    for panel in range(2):
        assert weights(page, "row", panel).argmax() == values[panel].argmax()
    word(page, "row", 1, panel=1).hover()  # the translations differ
    assert [line.partition(" ← ")[0] for line in readout(page)] == ["runs/b: dog"]
    assert weights(page, "column", 0).max() == 0


def test_words_of_different_sentences_are_not_the_same_word(show: Open) -> None:
    page = show(explained(), bahdanau(["Eine", *SOURCE[1:]]))
    word(page, "column", 2, panel=0).hover()
    assert [line.partition(" → ")[0] for line in readout(page)] == ["runs/a: läuft"]


def test_runs_share_one_scale(show: Open) -> None:
    halved = Explained("half", "m", SOURCE, TARGET, [Map("attention", "source", exact() / 2)])
    page = show(Explained("whole", "m", SOURCE, TARGET, [Map("attention", "source", exact())]), halved)
    word(page, "row", 1).hover()  # the translations are the same
    assert weights(page, "column", 0)[1].item() == pytest.approx(0.81, abs=0.003)
    assert weights(page, "column", 1)[1].item() == pytest.approx(0.405, abs=0.003)
    assert len(readout(page)) == 2


def test_a_run_without_the_chosen_says_what_it_has(show: Open) -> None:
    page = show(explained(), bahdanau())
    missing = page.locator(".missing")
    assert missing.count() == 0
    choose(page, layer=3)
    assert missing.all_text_contents() == ["attention of this run has no layer 3; it has 1"]
    choose(page, layer=1)
    choose(page, head=2)
    assert missing.all_text_contents() == ["attention of this run has no head 2; it has 1"]
    choose(page, kind="encoder")
    assert missing.all_text_contents() == ["this run has no attention for source → source; it has it for: translation → source"]
    choose(page, method="rollout")
    assert missing.all_text_contents() == ["this run has no rollout; it has: attention"]
    assert page.locator("section").nth(1).locator("dd").all_text_contents() == ["".join(SOURCE), "Adogruns."]
    assert page.locator("section").nth(0).locator("table").count() == 1


def test_a_keyboard_is_enough(show: Open) -> None:
    page = show(explained())
    page.locator("#speed").focus()
    for expected in ("column", "row"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.dataset.side") == expected
    assert readout(page)[0].startswith("A ← ")
    page.keyboard.press("ArrowRight")
    assert readout(page)[0].startswith("dog ← ")
    page.keyboard.press("End")
    assert readout(page)[0].startswith("⏎ end ← ")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+Tab")
    assert readout(page)[0].startswith("Ein → ")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.id") == "speed"
    assert readout(page)[0].startswith(". ← ")
    page.keyboard.press("Escape")
    assert readout(page) == ["no word chosen"]


def test_words_from_right_to_left_are_so_and_so_are_their_arrow_keys(show: Open) -> None:
    page = show(explained(source=["הכלב", "הגדול", "רץ", "2", "."]))
    source, target = page.locator("dd").all()
    assert (source.get_attribute("dir"), target.get_attribute("dir")) == ("rtl", "ltr")
    left = lambda index: word(page, "column", index).bounding_box()["x"]  # noqa: E731
    assert left(0) > left(1) > left(2) > left(5)
    assert {word(page, "column", n).get_attribute("dir") for n in range(6)} == {"auto"}
    assert word(page, "column", 0).evaluate("item => getComputedStyle(item).unicodeBidi") == "isolate"
    word(page, "column", 0).focus()
    page.keyboard.press("ArrowLeft")
    assert readout(page)[0].startswith("הגדול → ")


def test_the_address_keeps_what_is_shown(show: Open) -> None:
    page = show(explained(), bahdanau())
    choose(page, kind="prefix")
    choose(page, layer=2)
    choose(page, head=1)
    word(page, "row", 3).click()
    assert page.url.partition("#")[2] == "method=attention&kind=prefix&layer=2&head=1&word=0.row.3"
    page.mouse.move(0, 0)
    again = show(explained(), bahdanau(), address="#" + page.url.partition("#")[2])
    assert readout(again) == readout(page)
    assert numbers(again).equal(numbers(page))
    again.evaluate("location.hash = '#method=rollout&word=0.column.1'")
    again.wait_for_function("document.getElementById('method').value === 'rollout'")
    assert readout(again)[0].startswith("runs/a: Hund → ")


@pytest.mark.parametrize(
    "address", ["#method=<b>&kind=constructor&layer=99&head=-1&word=7.row.1", "#word=0.row.99", "#word=__proto__", "#%"]
)
def test_an_address_that_means_nothing_shows_the_first_there_is(show: Open, address: str) -> None:
    page = show(explained(), address=address)
    assert page.url.partition("#")[2] == "method=attention&kind=source&layer=mean&head=mean"
    assert readout(page) == ["no word chosen"]


def test_in_a_browser_a_word_is_only_text(show: Open) -> None:
    run = explained("".join(NASTY), NASTY, NASTY[::-1])
    page = show(run, explained("<b>b</b>", NASTY, NASTY[::-1]))
    visible = Read(as_page([run])).runs()[0]
    names = [text.replace("\ud800", "\ufffd") for text in visible["source"]]
    shown = [
        text.replace("\ud800", "\ufffd")
        for text in page.locator("section").first.locator("button[data-side=column]").all_text_contents()
    ]
    assert shown == [*names, "⏎ end"]
    for index in range(len(NASTY) + 1):
        word(page, "row", index).hover()
        word(page, "column", index).hover()
    word(page, "row", 0).click()
    for kind in ("prefix", "encoder"):
        choose(page, kind=kind)
    assert page.locator("script").count() == 2
    assert page.locator("img, main b, h2 b, [onerror]").count() == 0
    assert page.locator("h2").nth(1).text_content() == "<b>b</b> transformer"


def test_words_stay_where_they_are_when_pointed_at(show: Open) -> None:
    page = show(explained(), bahdanau(), viewport={"width": 1000, "height": 700})
    before = word(page, "row", 1).bounding_box()
    word(page, "column", 1).hover()
    assert len(readout(page)) == 2
    assert word(page, "row", 1).bounding_box() == before
    word(page, "row", 1).click()
    assert word(page, "row", 1).bounding_box() == before


def test_a_map_of_forty_words_scrolls_under_its_headings(show: Open) -> None:
    source, target = [f"Quelle{n}" for n in range(40)], [f"target{n}" for n in range(40)]
    run = Explained("a", "m", source, target, [Map("attention", "source", torch.eye(41)[None, None])])
    page = show(run, viewport={"width": 900, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    top, left = page.locator("thead th").nth(30), page.locator("tbody th").nth(30)
    x, y = left.bounding_box()["x"], top.bounding_box()["y"]
    page.locator(".map").evaluate("map => map.scrollTo(200, 300)")
    assert (left.bounding_box()["x"], top.bounding_box()["y"]) == (x, y)
    page.locator(".map").evaluate("map => map.scrollTo(0, 0)")
    word(page, "row", 35).click()
    box, row = page.locator(".map").bounding_box(), page.locator("tbody th").nth(35).bounding_box()
    assert box["y"] < row["y"] < box["y"] + box["height"]
    before = page.locator(".map").evaluate("map => [map.scrollLeft, map.scrollTop]")
    word(page, "row", 34).click()
    assert page.locator(".map").evaluate("map => [map.scrollLeft, map.scrollTop]") == before  # it was in view
    word(page, "column", 39).click()
    column = page.locator("thead th").nth(39).bounding_box()
    assert box["x"] < column["x"] < box["x"] + box["width"]
    strongest = page.locator("tbody tr").nth(39).bounding_box()
    assert box["y"] < strongest["y"] < box["y"] + box["height"]
    assert page.evaluate("scrollX") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_on_every_colour(show: Open, scheme: str) -> None:
    values = torch.linspace(-1, 1, 42).reshape(1, 1, 7, 6)
    page = show(Explained("a", "m", SOURCE, TARGET, [Map("x", "source", values)]), color_scheme=scheme, reduced_motion="reduce")
    script = "items => items.map(item => [getComputedStyle(item).color, getComputedStyle(item).backgroundColor])"
    colours = page.locator("tbody td").evaluate_all(script)
    behind = page.evaluate("getComputedStyle(document.body).backgroundColor")

    def channels(colour: str) -> Tensor:
        return torch.tensor([float(part) for part in colour.partition("(")[2].rstrip(")").split(",")])

    def luminance(rgb: Tensor) -> float:
        """Of sRGB from 0 to 255, as in WCAG 2.1."""
        share = rgb / 255
        linear = torch.where(share <= 0.03928, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        return float(linear @ torch.tensor([0.2126, 0.7152, 0.0722]))

    for text, shade in colours:
        alpha = (*channels(shade).tolist(), 1.0)[3]
        ground = channels(shade)[:3] * alpha + channels(behind)[:3] * (1 - alpha)
        dark, bright = sorted((luminance(channels(text)[:3]), luminance(ground)))
        assert (bright + 0.05) / (dark + 0.05) > 4.2, (text, shade)


def test_without_scripts_a_page_says_so(show: Open) -> None:
    page = show(explained(), java_script_enabled=False)
    assert page.locator("noscript strong").is_visible()
