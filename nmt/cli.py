"""`nmt COMMAND key=value …`: finds the command and hands over to Hydra. Nothing heavy is imported before it is needed."""

import importlib
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import nmt
from nmt.errors import Interrupted, LostProcessError, UserError
from nmt.stdout import NAME as STDOUT
from nmt.stdout import named_stdout, open_streams
from nmt.typed import check_repeated, in_quotes, plain, quoted

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
TAKES_VALUE |= {"--config-path", "-cp", "--experimental-rerun"}
"""Hydra's own flags that are followed by a value."""

MARKS = ("[", "'", '"')
"""What the value of a key that is a path begins with where it is more than a path."""

STREAMING = (["translate"], ["score"], ["align"])
"""Commands whose result goes to standard output, or to a file."""


def run() -> NoReturn:
    """Run the command line of this process and end it with the exit status."""
    status: object
    try:
        status = main()
    except SystemExit as end:
        status = end.code
    if {"RANK", "WORLD_SIZE"} <= os.environ.keys() and isinstance(status, int):
        # A thread of gloo may still hold the last tensor that was sent. It aborts the process when it gives it back
        # to an interpreter that is being taken down, so that is not done
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(status)
    sys.exit(status)


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    open_streams()
    command = next((argument for argument in arguments[:1] if argument in COMMANDS), "")
    try:
        with named_stdout():
            return _answer(arguments)
    except UserError as error:
        return _fail(command, str(error))
    except BrokenPipeError:  # the reader has closed the pipe
        return 141
    except OSError as error:
        if error.filename != str(STDOUT):
            raise
        return _fail(command, f"{STDOUT}: {error.strerror}")


def _answer(arguments: list[str]) -> int:
    if sys.stdout is None and not (arguments[:1] in STREAMING and any(a.startswith("output=") for a in arguments)):
        raise UserError("standard output is closed: send it to a file, such as /dev/null")
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
        _check_encoding(arguments)
        sweeping = bool({"-m", "--multirun"} & set(rest))
        if sweeping and command != "train":
            raise UserError("-m sweeps over trainings: only nmt train takes it")
        named = _named(command, _flags_last(rest))
        check_repeated(command, named, sweeping=sweeping)
        return _run(command, [quoted(argument, sweeping=sweeping, command=command) for argument in named])
    except KeyboardInterrupt as end:
        again = "the same torchrun command" if "TORCHELASTIC_RUN_ID" in os.environ else shlex.join(["nmt", command, *rest])
        continued = f"; to continue: {again}" if command == "train" else ""
        _console().put_error(f"nmt {command}: {str(end) or 'interrupted'}{continued}")
        return 128 + getattr(end, "signal_number", signal.SIGINT)


def _check_encoding(arguments: list[str]) -> None:
    """Raise `UserError` for what is not text in UTF-8, or not in the encoding in which Python has read it."""
    encoding = sys.getfilesystemencoding()
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            if encoding != "utf-8":
                raise UserError(f"an argument is not {encoding}, which is the encoding here: set PYTHONUTF8=1") from error
            raise UserError("an argument is not valid UTF-8") from error


def _flags_last(arguments: list[str]) -> list[str]:
    """Hydra reads overrides on one side of its flags only."""
    flags: list[str] = []
    others: list[str] = []
    for before, argument in zip(["", *arguments], arguments, strict=False):
        (flags if argument.startswith("-") or before in TAKES_VALUE else others).append(argument)
    return [*others, *flags]


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
        is_home = argument.startswith("~/") or os.path.isdir(os.path.expanduser(argument))  # noqa: PTH111, PTH112 - as above
        is_file = command == "compare" and os.path.isfile(argument)  # noqa: PTH113 - as above
        is_run = not is_value and (is_folder or is_home or is_file or not OVERRIDE.match(argument))
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
        return [*rest, *([f"run=[{','.join(map(in_quotes, runs))}]"] if runs else [])]
    return [*rest, *(f"run={in_quotes(run) if run == 'null' or run.startswith(MARKS) else run}" for run in runs)]


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
        _check_flags(overrides)
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


def _check_flags(arguments: list[str]) -> None:
    """Raise `UserError` for flags that Hydra does not have; none may be shortened."""
    from hydra._internal.utils import get_args_parser

    def refuse(message: str) -> NoReturn:
        raise UserError(f"{message}; the flags are those of Hydra (nmt COMMAND --help), everything else is key=value")

    parser = get_args_parser()
    parser.allow_abbrev = False
    parser.error = refuse  # type: ignore[method-assign]  # argparse offers no other way to raise instead of exit
    parser.parse_args(arguments)


def _call(command: str, config: dict[str, Any]) -> Any:
    return importlib.import_module(f"nmt.commands.{command}").main(config)


def _task(command: str, *, with_traceback: bool) -> Callable[[Any], Any]:
    """What Hydra calls with the composed config. It ends with status 2 where the user can mend what is wrong."""

    def task(config: Any) -> Any:
        from hydra.core.hydra_config import HydraConfig
        from omegaconf.errors import MissingMandatoryValue

        from nmt.sweep.plan import check_single

        try:
            if command == "train":
                check_single(HydraConfig.get())
            return _call(command, plain(config, command))
        except BrokenPipeError:  # the reader has closed the pipe
            sys.exit(141)
        except (
            MissingMandatoryValue,
            UserError,
            LostProcessError,
            OSError,
            RuntimeError,
            MemoryError,
            UnicodeEncodeError,
        ) as error:
            message = _message(error) or _too_little_memory(command, error)
            if with_traceback or message is None or getattr(error, "filename", None) == str(STDOUT):
                raise
            sys.exit(_fail(command, message))

    return task


def _message(error: Exception) -> str | None:
    """What to tell the user of an error; None where it is not theirs to mend."""
    if isinstance(error, UserError | LostProcessError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.strerror}: {error.filename or 'while writing a file'}" if error.errno is not None else None
    if isinstance(error, RuntimeError | MemoryError):
        return None
    if isinstance(error, UnicodeEncodeError):  # of the name of a file, where the system's encoding is not ours
        advice = f"{error.object!r:.80} cannot be written in {error.encoding}, the encoding here: set PYTHONUTF8=1"
        return None if error.encoding == "utf-8" else advice
    key = getattr(error, "full_key", None)
    return f"{key} has no default: set {key}=…"


def _too_little_memory(command: str, error: Exception) -> str | None:
    from nmt.machine import is_out_of_memory

    if not is_out_of_memory(error):
        return None
    if command in ("train", "compare", "report"):
        return "too little memory: close other programs" + (", or lower train.tokens_per_batch" if command == "train" else "")
    return "too little memory: lower decode.batch_size, decode.beam or decode.max_length, or give shorter lines"


def _fail(command: str, message: str) -> int:
    _console().put_error(f"{f'nmt {command}'.strip()}: {message}")
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
    from hydra.errors import OverrideParseException

    if group := re.search(r"Could not override '(model/[^'@]+)'", str(error)):
        above = group[1].rpartition("/")[0]
        having = _with_choice(group[1])
        if not having:
            return f"there is no key {group[1]}: nmt {command} --help shows the choices of configs"
        message = f"{group[1]}= is a choice of {above}={'|'.join(having)}, not of this one"
        inside = group[1].replace("model/", "")
        return message + (
            f"; in model/encoder=transformer it is model/{inside}@model.encoder.{inside}=" if inside in PARTS else ""
        )
    if unknown := re.search(r"Could not override '([^']+)'", str(error)):
        from difflib import get_close_matches

        from nmt.config import all_keys

        choices = [override for override in overrides if re.match(r"[a-z/]+=", override)]
        near = get_close_matches(unknown[1], set(all_keys(command, choices)) - {unknown[1]}, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        return f"there is no key {unknown[1]}: {hint}nmt {command} --cfg job shows them all"
    if isinstance(error, OverrideParseException):
        key, equals, value = str(error.override).partition("=")
        example = shlex.quote(f"{key}={in_quotes(value or 'VALUE')}")
        what = f"{key}={value} cannot be read" if equals else f"{error.override} is neither key=value nor a flag"
        return f"{what}: a value with spaces, commas, brackets or quotes needs quotes of its own, as in {example}"
    lines = [line.strip() for line in str(error).split("Config search path:")[0].split("\n")]
    if error.__cause__ is not None:  # such as: Value 'x' of type 'str' could not be converted to Integer
        reason = str(error.__cause__).partition("\n")[0]
        lines.append(f"({reason})")
    useful = [line for line in lines if line and not line.startswith(("See https", "To append", "full_key", "object_type"))]
    return " ".join(useful)
