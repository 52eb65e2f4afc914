"""`nmt COMMAND key=value …`: finds the command and hands over to Hydra. Nothing heavy is imported before it is needed."""

import importlib
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import nmt
from nmt.errors import Interrupted, LostProcessError, UserError

COMMANDS = {
    "train": ("text to a trained, scored model; continues a run", "nmt train model=luong run_dir=runs/luong"),
    "evaluate": ("translate a text and score the translations", "nmt evaluate runs/luong split=test"),
    "translate": ("translate lines of text", 'nmt translate runs/luong text="The dog sleeps."'),
    "score": ("log-probabilities of given translations", "nmt score runs/luong src=in.de tgt=out.en"),
    "explain": ("show what a model looked at, and why it chose a word", 'nmt explain runs/luong text="The dog sleeps."'),
    "faithfulness": ("measure which explanations of a run to believe", "nmt faithfulness runs/luong split=dev"),
    "align": ("word alignments, and their error rate", "nmt align runs/luong src=in.de tgt=out.en gold=gold.txt"),
    "average": ("average a run's last checkpoints, and score that beside them", "nmt average runs/luong last=3"),
    "compare": ("test whether runs differ by more than chance, and show where", "nmt compare runs/bahdanau runs/luong"),
    "report": ("a table of runs, a row per setting", "nmt report sweeps/model+seed"),
}

SEVERAL = {"evaluate", "translate", "score", "explain"}
"""Commands that take several runs: as one model, or to be seen side by side."""

OVERRIDE = re.compile(r"[+~]{0,2}[A-Za-z_][\w./@:-]*=|~")
"""How an argument begins that is an override; any other one is a run directory."""

TAKES_VALUE = {"--config-dir", "-cd", "--config-name", "-cn", "--cfg", "-c", "--package", "-p", "--info", "-i"}
"""Hydra's own flags that are followed by a value."""

PATH_KEYS = {"run", "run_dir", "sweep_dir", "init_from", "input", "output", "reference", "src", "tgt", "prefixes"}
PATH_KEYS |= {"gold", "reverse", "dev.src", "dev.tgt", "dev.gold", "guide.links"}
PATH_KEYS |= {"paths.cache", "data.train", "data.dev", "data.test", "data.name", "archive", "comet_model"}
"""Keys whose values are paths: any may be typed; `null`, a list [a, b] and a quoted value keep their meaning."""

TEXT_KEYS = {"text", "prefix"}
"""Keys whose values are any text."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        _console().put(_help())
        return 0
    if arguments[0] in ("--version", "-V", "version"):
        _console().put(f"nmt {nmt.__version__}")
        return 0
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # asks for a checkpoint; where there is nothing to save, for nothing
    command, *rest = arguments
    if command not in COMMANDS:
        _console().put_error(f"nmt: there is no command {command!r}; there are: {', '.join(COMMANDS)} (nmt --help)")
        return 2
    try:
        for argument in rest:
            argument.encode()  # what is not UTF-8 is not text
        sweeping = bool({"-m", "--multirun"} & set(rest))
        if sweeping and command != "train":
            raise UserError("-m sweeps over trainings: only nmt train takes it")
        return _run(command, [_quoted(argument, sweeping=sweeping, command=command) for argument in _named(command, rest)])
    except UserError as error:
        return _fail(command, str(error))
    except UnicodeEncodeError:
        return _fail(command, "an argument is not valid UTF-8")
    except KeyboardInterrupt as end:
        again = "the same torchrun command" if "TORCHELASTIC_RUN_ID" in os.environ else shlex.join(["nmt", command, *rest])
        continued = f"; to continue: {again}" if command == "train" else ""
        _console().put_error(f"nmt {command}: {str(end) or 'interrupted'}{continued}")
        return 128 + getattr(end, "signal_number", signal.SIGINT)


def _end(number: int, _: object) -> None:
    raise Interrupted(number)


def _help() -> str:
    lines = [
        "nmt trains, evaluates and uses neural machine translation models.",
        "",
        "usage: nmt COMMAND [key=value …]      all keys of a command: nmt COMMAND --cfg job",
        "",
    ]
    for name, (what, example) in COMMANDS.items():
        lines += [f"  {name:<10} {what}", f"             {example}"]
    lines += ["", "  nmt --version, nmt --help, nmt COMMAND --help"]
    return "\n".join(lines)


def _named(command: str, arguments: list[str]) -> list[str]:
    """Positional run directories become `run=…`."""
    if command == "train":
        return arguments
    runs: list[str] = []
    rest: list[str] = []
    for before, argument in zip(["", *arguments], arguments, strict=False):
        is_value = argument.startswith("-") or before in TAKES_VALUE
        # A sweep's runs have = in their names
        is_folder = os.path.isdir(argument)  # noqa: PTH112 - Path.is_dir raises at a sentence too long for a path
        is_file = command == "compare" and os.path.isfile(argument)  # noqa: PTH113 - as above
        is_run = not is_value and (is_folder or is_file or not OVERRIDE.match(argument))
        (runs if is_run else rest).append(argument)
    if runs and (typed := [argument for argument in rest if argument.startswith("run=")]):
        raise UserError(f"{typed[0]} and {runs[0]} both name a run: give one of them, or several directories")
    several = command in ("compare", "report")
    if not several:  # any key of the run's corpus may be changed; Hydra knows none of them here
        rest = [f"+{argument}" if argument.startswith("data.") else argument for argument in rest]
        if len(runs) > 1 and command not in SEVERAL:
            raise UserError(f"one run at a time, but there are {len(runs)}: {', '.join(runs)}")
        if len(runs) > 1 and (others := [run for run in runs if not os.path.isdir(run)]):  # noqa: PTH112 - as above
            raise UserError(f"{' '.join(others)!r} is no run directory (a text with spaces needs quotes)")
    if several or len(runs) > 1:
        each = ",".join(_quoted(f"run={run}").removeprefix("run=") for run in runs)
        return [*rest, *([f"run=[{each}]"] if runs else [])]
    return [*rest, *(f"run={run}" for run in runs)]


def _quoted(argument: str, *, sweeping: bool = False, command: str = "") -> str:
    """Quote the value of a key that takes a sentence or a path for Hydra, so that any can be typed.

    In a sweep, what has commas for the data are several paths.
    """
    key, equals, value = argument.partition("=")
    is_text = key in TEXT_KEYS or (command, key) == ("explain", "reference")  # elsewhere a file
    is_path = not is_text and key.lstrip("+") in PATH_KEYS and value not in ("null", "") and value[0] not in "'\"["
    several = sweeping and key.lstrip("+").startswith("data.") and "," in value
    if not equals or several or not (is_path or is_text):
        return argument
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", value)
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    escaped = re.sub(r"(\\*)\$\{", r"\1\1\\${", escaped)  # no interpolation, whatever stands before it
    return f"{key}='{escaped}'"


def _run(command: str, overrides: list[str]) -> int:
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from nmt.config import config_directory, register
    from nmt.console import say_on_console

    asked = os.environ.get("HYDRA_FULL_ERROR", "0")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra shall raise its errors, not print them
    register()
    say_on_console()
    task = _task(command, with_traceback=asked == "1")
    sys.argv = [f"nmt {command}", *overrides]
    try:
        if {"-m", "--multirun"} & set(overrides) and not {"-h", "--help", "--hydra-help"} & set(overrides):
            from nmt.sweep.multirun import sweep

            return sweep(overrides, train=partial(_call, "train"), report=partial(_call, "report"))
        hydra.main(version_base="1.3", config_path=str(config_directory()), config_name=command)(task)()
    except (HydraException, OmegaConfBaseException) as error:
        if asked == "1":
            raise
        return _fail(command, _one_line(command, overrides, error))
    except ValueError as error:
        if asked == "1" or "Config group override" not in str(error):
            raise
        empty = next((override for override in overrides if override.endswith("=null")), "an override")
        return _fail(command, f"{empty}: a choice of configs needs a name; leave it out for the default")
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        os.environ["HYDRA_FULL_ERROR"] = asked
    return 0


def _call(command: str, config: dict[str, Any]) -> Any:
    return importlib.import_module(f"nmt.commands.{command}").main(config)


def _task(command: str, *, with_traceback: bool) -> Callable[[Any], Any]:
    """What Hydra calls with the composed config. It ends with status 2 where the user can mend what is wrong."""

    def task(config: Any) -> Any:
        from hydra.core.hydra_config import HydraConfig
        from omegaconf import OmegaConf
        from omegaconf.errors import MissingMandatoryValue

        from nmt.sweep.plan import check_single

        try:
            if command == "train":
                check_single(HydraConfig.get())
            plain: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
            return _call(command, plain)
        except BrokenPipeError:  # whoever read the output has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(141)
        except (MissingMandatoryValue, UserError, LostProcessError, OSError) as error:
            message = _message(error)
            if with_traceback or message is None:
                raise
            sys.exit(_fail(command, message))

    return task


def _message(error: Exception) -> str | None:
    """What to tell the user of an error; None where it is not theirs to mend."""
    if isinstance(error, UserError | LostProcessError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.strerror}: {error.filename or 'while writing a file'}" if error.errno is not None else None
    key = getattr(error, "full_key", None)
    return f"{key} has no default: set {key}=…"


def _fail(command: str, message: str) -> int:
    _console().put_error(f"nmt {command}: {message}")
    return 2


def _console() -> Any:
    """The module through which everything is shown; imported late, for it takes a while."""
    return importlib.import_module("nmt.console")


PARTS = ("positions", "pattern", "feedforward")
"""What a Transformer's encoder below a recurrent decoder has, too."""


def _with_choice(group: str) -> list[str]:
    """The YAMLs of the folder above a group of choices, such as model/attention, that have it, or begin with one that has."""
    from nmt.config import config_directory

    above, _, choice = group.rpartition("/")
    texts = {file.stem: file.read_text(encoding="utf-8") for file in sorted((config_directory() / above).glob("*.yaml"))}
    having = {name for name, text in texts.items() if f"- {choice}:" in text}
    while True:
        more = {name for name, text in texts.items() if any(f"  - {other}\n" in text for other in having)} - having
        if not more:
            return [name for name in texts if name in having]
        having |= more


def _one_line(command: str, overrides: list[str], error: Exception) -> str:
    """The message of an error without Hydra's advice about its own grammar."""
    if group := re.search(r"Could not override '(model/[^'@]+)'", str(error)):
        above = group[1].rpartition("/")[0]
        message = f"{group[1]}= is a choice of {above}={'|'.join(_with_choice(group[1]))}, not of this one"
        inside = group[1].replace("model/", "")
        return message + (
            f"; in model/encoder=transformer it is model/{inside}@model.encoder.{inside}=" if inside in PARTS else ""
        )
    if unknown := re.search(r"Could not override '([^']+)'", str(error)):
        from difflib import get_close_matches

        from nmt.config import all_keys

        choices = [override for override in overrides if re.match(r"[a-z/]+=", override)]
        near = get_close_matches(unknown[1], all_keys(command, choices), n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        return f"there is no key {unknown[1]}: {hint}nmt {command} --cfg job shows them all"
    lines = [line.strip() for line in str(error).split("Config search path:")[0].split("\n")]
    if error.__cause__ is not None:  # such as: Value 'x' of type 'str' could not be converted to Integer
        reason = str(error.__cause__).partition("\n")[0]
        lines.append(f"({reason})")
    useful = [line for line in lines if line and not line.startswith(("See https", "To append", "full_key", "object_type"))]
    return " ".join(useful)
