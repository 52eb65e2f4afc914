"""The checkpoints of a run: written whole or not at all, in the background."""

import json
import re
import secrets
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from nmt.errors import Interrupted, UserError, naming
from nmt.files import flush, flush_folder, folder_inside, is_abandoned, removed
from nmt.training.checkpoint import AVERAGED, FORMAT, MANIFEST, MODEL, Checkpoint, Contents, sha256

_STEP = re.compile(r"step-\d+")


def always(_: int) -> bool:
    """Every checkpoint belongs to the schedule."""
    return True


class Checkpoints:
    """The `checkpoints/` of a run, with the links `last` and `best`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def all(self) -> list[Checkpoint]:
        """All of them, damaged ones too, oldest first."""
        found = [Checkpoint(path) for path in self.directory.glob("step-*") if _STEP.fullmatch(path.name)]
        return sorted(found, key=lambda checkpoint: checkpoint.updates)

    def find(self, name: str) -> Checkpoint:
        """The checkpoint called `last`, `best`, `averaged` or by its number of updates.

        Raises:
            UserError: if there is none.
        """
        path = self.directory / (name if name in ("last", "best", AVERAGED) else f"step-{name:0>7}")
        if not path.is_dir():
            there = ", ".join(str(checkpoint.updates) for checkpoint in self.all())
            if not there:
                raise UserError(
                    f"{self.directory} holds no checkpoint: `nmt train` makes them; a copy of a run needs that folder, too"
                )
            makes = " (`nmt average` makes averaged)" if name == AVERAGED else ""
            raise UserError(f"checkpoint={name} is not in {self.directory}; those there are: best, last, {there}{makes}")
        return Checkpoint(path.resolve())

    def newest_intact(self, report: Callable[[str], None]) -> Checkpoint | None:
        """The newest checkpoint without damage, or None where none was ever written; damaged ones are reported.

        Raises:
            UserError: if there are some but all are damaged.
        """
        problems = []
        for checkpoint in reversed(self.all()):
            problem = checkpoint.damage()
            if problem is None:
                return checkpoint
            problems.append(problem)
            report(f"{problem}: trying the checkpoint before it")
        if problems:
            raise UserError(f"no checkpoint in {self.directory} is intact ({problems[0]}): start anew in another run_dir")
        return None

    def best_intact(self, report: Callable[[str], None]) -> Checkpoint:
        """The best checkpoint; where it is damaged or gone, the newest intact one, and that is reported.

        Raises:
            UserError: if none is intact.
        """
        best = Checkpoint((self.directory / "best").resolve())
        problem = best.damage()
        if problem is None:
            return best
        newest = self.newest_intact(report)
        if newest is None:
            raise UserError(f"there is no checkpoint in {self.directory}")
        report(f"{problem}: taking the newest intact checkpoint, of update {newest.updates}, for the best")
        return newest

    def begin(self, updates: int) -> Path:
        """An empty folder in which a checkpoint may grow until `finish` gives it its name."""
        return self._scratch(f"step-{updates:07d}")

    def _writable(self) -> Path:
        """The folder, made if it is not there; raises `UserError` if a link leads out of the run."""
        return folder_inside(self.directory.parent, self.directory.name)

    def _scratch(self, name: str) -> Path:
        scratch = self._writable() / f".writing-{name}-{secrets.token_hex(8)}"
        with naming(scratch):
            scratch.mkdir()
        return scratch

    def finish(self, scratch: Path, contents: Contents, *, keep: int, scheduled: Callable[[int], bool] = always) -> None:
        """Write what a checkpoint holds beside what is in its folder already, name it, point the links, remove old ones.

        All of it is flushed to disk before the folder is renamed, so that what has its name is whole.

        Args:
            scratch: from `begin`.
            contents: of the checkpoint.
            keep: newest ones kept, beside the best.
            scheduled: whether a checkpoint of an update belongs to the schedule; one that a signal or the end of training has
                brought is kept only as long as it is the newest, so that interruptions do not decide which others are kept.

        Raises:
            UserError, OSError: if it cannot be written, because the disk is full, for example.
        """
        self._write(scratch, self.directory / f"step-{contents.state['updates']:07d}", contents)
        self.point(contents.state)
        self._prune(contents.state, keep, scheduled)

    def save_averaged(self, weights: dict[str, Tensor], of: Sequence[Checkpoint]) -> Checkpoint:
        """Leave the mean of the parameters of some checkpoints as `averaged`, in place of an earlier one.

        Raises:
            UserError, OSError: if it cannot be written.
        """
        target = self.directory / AVERAGED
        contents = Contents({MODEL: weights}, None, {"averaged": [checkpoint.updates for checkpoint in of]})
        self._write(self._scratch(AVERAGED), target, contents)
        return Checkpoint(target)

    def _write(self, scratch: Path, target: Path, contents: Contents) -> None:
        """Fill a folder, flush it to disk and give it its name."""
        try:
            for name, weights in contents.weights.items():
                save_file(weights, scratch / name, metadata={"format": "pt"})
            if contents.training is not None:
                torch.save(contents.training, scratch / "training.pt")
            (scratch / "state.json").write_text(json.dumps(contents.state, indent=1), encoding="utf-8")
            files = sorted(path for path in scratch.rglob("*") if path.is_file())
            sums = {path.relative_to(scratch).as_posix(): sha256(path) for path in files}
            (scratch / MANIFEST).write_text(json.dumps({"format": FORMAT, "sha256": sums}, indent=1), encoding="utf-8")
            flush(scratch)
            self._name(scratch, target)
        except (SafetensorError, RuntimeError) as error:  # how the two libraries report a file that cannot be written
            raise UserError(f"the checkpoint cannot be written to {self.directory}: {error}; is the disk full?") from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _name(self, scratch: Path, target: Path) -> None:
        """Rename a finished checkpoint. One of the same update, from before an interruption, goes only when it is there."""
        old = self.directory / f".old-{target.name}"
        if target.is_symlink() or target.exists():
            removed(old)
            target.rename(old)
        scratch.rename(target)
        flush_folder(self.directory)
        removed(old)

    def clean(self) -> None:
        """Take away what a kill left unfinished, and give back its name to what a kill left without one."""
        self._writable()
        for old in self.directory.glob(".old-*"):
            target = self.directory / old.name.removeprefix(".old-")
            if target.exists() or target.is_symlink():
                removed(old)
            else:
                old.rename(target)
        for scratch in self.directory.glob(".writing-*"):
            if not scratch.name.startswith(f".writing-{AVERAGED}") or is_abandoned(scratch):  # `nmt average` may run beside
                removed(scratch)

    def point(self, state: dict[str, Any]) -> None:
        """Let `last` be the checkpoint of this state, and `best` the best one it knows: a kill may have come between."""
        self._writable()
        for name, updates in (("last", state["updates"]), *(("best", update) for update in _best_updates(state)[:1])):
            target = self.directory / f"step-{updates:07d}"
            if target.is_dir():
                self._link(name, target)
        flush_folder(self.directory)

    def _link(self, name: str, target: Path) -> None:
        scratch, link = self.directory / f".{name}", self.directory / name
        removed(scratch)
        if link.is_dir() and not link.is_symlink():  # a copy that followed the link
            removed(link)
        scratch.symlink_to(target.name)
        scratch.replace(link)

    def _prune(self, state: dict[str, Any], keep: int, scheduled: Callable[[int], bool]) -> None:
        """Keep the best ones and the newest up to this state; later ones belong to a future that was given up."""
        now = state["updates"]
        updates = [checkpoint.updates for checkpoint in self.all()]
        past = [update for update in updates if update == now or (update < now and scheduled(update))]
        kept = {*past[-keep:], *_best_updates(state)}
        for checkpoint in self.all():
            if checkpoint.updates not in kept:
                removed(checkpoint.directory)


def _best_updates(state: dict[str, Any]) -> list[int]:
    """The updates of the best validations that a state remembers, the best first."""
    found: list[int] = state["best_updates"] if "best_updates" in state else [best["update"] for best in state["best"]]
    return found


class CheckpointWriter:
    """Writes checkpoints in the background, one at a time; what goes wrong is raised at the next one or at the end.

    Args:
        checkpoints: of the run.
        keep: newest ones kept, beside the best.
        scheduled: whether a checkpoint of an update belongs to the schedule.
    """

    def __init__(self, checkpoints: Checkpoints, *, keep: int, scheduled: Callable[[int], bool] = always) -> None:
        self._checkpoints = checkpoints
        self._keep = keep
        self._scheduled = scheduled
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoints")
        self._pending: Future[None] | None = None

    def __enter__(self) -> "CheckpointWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._thread.shutdown(wait=True)
        if kind is None or issubclass(kind, Interrupted):  # which promises a checkpoint
            self.wait()

    def begin(self, updates: int) -> Path:
        """As `Checkpoints.begin`, after the checkpoint before is on disk."""
        self.wait()
        return self._checkpoints.begin(updates)

    def finish(self, scratch: Path, contents: Contents) -> None:
        """As `Checkpoints.finish`, in the background."""
        self._pending = self._thread.submit(
            self._checkpoints.finish, scratch, contents, keep=self._keep, scheduled=self._scheduled
        )

    def busy(self) -> bool:
        """Whether a checkpoint is being written."""
        return self._pending is not None and not self._pending.done()

    def wait(self) -> None:
        """Until the last checkpoint is on disk."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.result()
