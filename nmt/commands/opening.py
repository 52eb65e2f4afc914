"""What commands that open a run share: a translator from their config."""

from pathlib import Path

from nmt.checks import check_decode_settings
from nmt.decoding.loading import load_translator
from nmt.decoding.translator import Translator
from nmt.machine import use_threads
from nmt.run import Config


def runs_of(config: Config) -> list[Path]:
    """The run directories of `run=`, which is one or a list."""
    run = config["run"]
    return [Path(str(one)) for one in (run if isinstance(run, list) else [run])]


def open_translator(config: Config) -> Translator:
    """The translator that a config with the fields of `RunConfig` asks for; of several runs their ensemble."""
    check_decode_settings(config["decode"])
    use_threads(config["threads"])
    chosen = {name: config[name] for name in ("checkpoint", "weights", "device", "decode")}
    return load_translator(runs_of(config), **chosen)
