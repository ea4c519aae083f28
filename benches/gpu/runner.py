"""The folder of a run: what each step came to, what was printed meanwhile, and how programs are called."""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

#: PYTHONPATH would put what was installed here before torch's own libraries, which belong to it.
BOOT = """\
import runpy, sys
sys.path.append(sys.argv[1])
del sys.argv[:2]
if sys.argv[0].endswith(".py"):
    runpy.run_path(sys.argv[0], run_name="__main__")
else:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
#: How often a step may be begun without coming to an end, by being killed or for want of time.
ATTEMPTS = 2
TAIL = 4000
#: of <sys/prctl.h>
PR_SET_PDEATHSIG = 1


class StepFailed(Exception):
    """Why a step came to nothing."""


class OutOfTime(Exception):
    """A program was stopped because this call's time was over."""


class Missing(Exception):
    """What a step tries out is not there, which is no failure."""


class Kit:
    """The folder of a run and how the runtime is called in it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.work = Path(options.work).resolve()
        self.steps = self.work / "steps"
        self.steps.mkdir(parents=True, exist_ok=True)
        # after torch and what else is there, whose versions belong together
        sys.path.append(str(self.work / "python"))
        self.deadline = time.monotonic() + 60 * options.minutes
        self._commands: list[dict] = []
        self._begun = self.steps / "none.begun"

    @property
    def checkpoint(self) -> Path:
        return self.work / "checkpoint"

    def package(self, name: str) -> Path:
        return self.work / f"package-{name}"

    def left(self) -> float:
        """Seconds until this call must be over."""
        return max(1.0, self.deadline - time.monotonic())

    # ── what steps came to

    def outcome(self, step: str) -> dict | None:
        """`status` (done, failed, skipped) of a step and what goes with it."""
        path = self.steps / f"{step}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def done(self, step: str) -> dict | None:
        """What a step found, if it ended well."""
        outcome = self.outcome(step)
        return outcome["found"] if outcome and outcome["status"] == "done" else None

    def keep(self, step: str, status: str, **facts: object) -> None:
        """Writes what a step came to, as a whole or not at all."""
        write_json(self.steps / f"{step}.json", {"status": status, **facts})

    def forget(self, step: str) -> None:
        """Removes all that a step left, so that it is done again."""
        for path in self.steps.glob(f"{step}.*"):
            path.unlink()

    def attempt(self, step: str, act: Callable[[Kit], dict]) -> bool:
        """Takes a step and keeps what comes of it; false if it is to be gone on with in the next call."""
        self._begun = begun = self.steps / f"{step}.begun"
        times = int(begun.read_text()) if begun.is_file() else 0
        if times >= ATTEMPTS:
            self.keep(step, "failed", error=f"begun {times} times, and killed or out of time each time")
            return True
        begun.write_text(str(times + 1))
        started, self._commands = time.monotonic(), []
        try:
            found = act(self)
        except Missing as error:
            self.keep(step, "skipped", reason=str(error), final=True, commands=self._commands)
            begun.unlink()
        except OutOfTime as error:
            print(f"{step}: {error}", flush=True)
            return False
        except (Exception, SystemExit) as error:  # whatever it is, other steps may go well
            told = str(error) if isinstance(error, StepFailed) else f"{type(error).__name__}: {error}"
            print(f"{step} failed: {told}", flush=True)
            self.keep(step, "failed", error=told, **self._facts(started))
        else:
            self.keep(step, "done", found=found, **self._facts(started))
        return True

    def part(self, step: str, name: str, act: Callable[[], dict]) -> dict:
        """A part of a step, which is not done again where the step is gone on with."""
        path = self.steps / f"{step}.{name}.part.json"
        if not path.is_file():
            write_json(path, act())
            self.progressed()
        return json.loads(path.read_text(encoding="utf-8"))

    def progressed(self) -> None:
        """A step that comes further each time it is begun is not given up."""
        self._begun.write_text("1")

    def _facts(self, started: float) -> dict:
        return {"seconds": round(time.monotonic() - started, 1), "commands": self._commands}

    # ── programs

    def fleming(self, verb: str, *arguments: object, allowed: tuple[int, ...] = (0,)) -> str:
        """Runs the built binary, with the provider under test unless told, and returns what it printed."""
        words = [str(argument) for argument in arguments]
        if "--provider" not in words:
            words = ["--provider", self.options.provider, *words]
        if words[words.index("--provider") + 1].startswith("tensorrt"):
            # in this folder, so that a build that took minutes is there in the next call
            words += ["--engine-cache", str(self.work / "engines")]
        library = next((self.work / "site/onnxruntime/capi").glob("libonnxruntime.so.*"), None)
        if library is not None:
            words += ["--onnxruntime", str(library)]
        return self.run([self.options.fleming, verb, *words], allowed)

    def python(self, program: object, *arguments: object) -> str:
        """Runs a script or a module with the exporter and what was installed here."""
        words = [self.work / "python", program, *arguments]
        return self.run([sys.executable, "-c", BOOT, *map(str, words)])

    def in_torch(self, script: str, step: str, request: dict) -> dict:
        """Runs a script of this folder in a process of its own, so that the GPU is free again afterwards."""
        asked, answer = (self.steps / f"{step}.{name}.json" for name in ("request", "answer"))
        write_json(asked, {"checkpoint": str(self.checkpoint), **request})
        answer.unlink(missing_ok=True)
        self.python(HERE / script, asked, answer)
        return json.loads(answer.read_text(encoding="utf-8"))

    def run(self, command: list[str], allowed: tuple[int, ...] = (0,)) -> str:
        """What a command prints to stdout; what it prints to stderr is kept with the step."""
        shown = " ".join(word for word in command if word not in ("-c", BOOT))
        print("$", shown, flush=True)
        paths = [str(ROOT / "export"), str(HERE), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        started = time.monotonic()
        facts = {"command": shown, "code": None}
        self._commands.append(facts)
        try:
            made = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self.left(),
                env=environment,
                check=False,
                preexec_fn=_end_with_us,
            )
        except subprocess.TimeoutExpired:
            raise OutOfTime(f"stopped after {time.monotonic() - started:.0f} s: {command[0]}") from None
        except OSError as error:
            raise StepFailed(f"{command[0]}: {error}") from None
        facts |= {"code": made.returncode, "seconds": round(time.monotonic() - started, 1)}
        facts["stderr"] = made.stderr[-TAIL:]
        if made.returncode not in allowed:
            tail = f"{made.stderr[-TAIL:]}{made.stdout[-TAIL // 2 :]}".strip()
            raise StepFailed(f"{Path(command[0]).name} ended with {made.returncode}: {tail}")
        return made.stdout

    def drop(self, package: str) -> None:
        """Removes a package that no step needs any more: the disk holds few of them."""
        shutil.rmtree(self.package(package), ignore_errors=True)


def _end_with_us() -> None:
    """Where this process is killed, its programs do not go on holding the GPU."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def write_json(path: Path, content: object) -> None:
    """Writes a JSON file as a whole or not at all."""
    aside = path.with_name(f"{path.name}.partial")
    aside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(aside, path)
