"""A comparison as one HTML page that needs no network and runs no script."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nmt.evaluation.findings import CONTROLS, Findings


def as_page(findings: Findings) -> str:
    """The page. Whatever the texts hold is escaped, and so shown, not obeyed."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = lambda text: text.translate(CONTROLS)
    return environment.get_template("page.html").render(findings=findings, names=list(findings.files))
