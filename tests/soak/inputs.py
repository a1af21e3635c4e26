"""Bad inputs: words of the command line, data files and model folders, one changed at a time.

Each is given to the whole command in this process, which stops where the first stage would be computed. It has to be
taken, or refused in one line: a traceback, two lines or half a minute of a CPU is a fault.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import shutil
import signal
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from omegaconf import OmegaConf

from mt.config.compose import compose_unchecked
from mt.run import main
from tests.engines.tiny import tiny_policy, tiny_reward
from tests.small import SMALL
from tests.soak.found import Found

PATIENCE_S, SILENCE_S = 30, 600
"""Seconds of a CPU, and on the clock, after which a command hangs."""
VALUES = [
    "", "null", "true", "-1", "0", "1", "2", "0.5", "1e999", "-inf", "nan", "1e-320", "1e20", str(2**70), "9" * 5000,
    "[]", "{}", "[1]", "{a:1}", "[[[[", "x" * 5000, "'", '"', "a b", "ünï\u2028", "\udcff", "\x00", "\x1b[2J", "${x}",
    "${oc.env:NOWHERE}", "1,2", "range(0,100000)", "choice(1,2)", "glob(*)", "/", "/proc/self/mem", "/dev/zero", "~",
    "..", "file:///etc/passwd", "owner/name", "2024-13-45", "cuda:99", "@file", "[" * 3000, "a=b", "\\", "None",
    "False",
]  # fmt: skip
WORDS = [
    "@x=1", "=1", "~seed", "+seed=1", "++seed=2", "seed", "seed=(", "policy@x=1", "-m", "--json", "--help", "--info",
    "--cfg", "--cfg=job", "-p=x", "--resolve", "objective=nope", "objective=dpo,ipo", "+new.thing=1", "seed=1 seed=2",
    "", " ", "--", "-", "objective", "objective=", "judge=openai", "data=jsonl", "experiment=nope", "scale=llama3_8b",
]  # fmt: skip
CELLS: list[Any] = [
    None, True, -1, 1e308, float("nan"), 10**400, "", " ", "\x00", "\ud800", "x" * 1_000_000, [], {}, [None], [[]],
    [{}], {"role": "user"}, [{"role": "user", "content": 5}], [{"role": "ghost", "content": "x"}],
    [{"role": "user", "content": "\udfff"}], [{"role": "system", "content": "x"}] * 2, "why",
]  # fmt: skip
SETTINGS: list[Any] = [
    None, True, -1, 0, 1.5, 1e308, 10**30, "", "text", "llama", [], {}, [5], {"a": {}}, [[[]]], "\ud800",
]  # fmt: skip


def give(place: Path, seed: int, count: int) -> Found:
    """Give `count` bad inputs to the command; files are made in `place`."""
    rng, found = random.Random(seed), Found()
    tiny_policy(place / "policy")
    tiny_reward(place / "reward")
    paths = list(_paths(OmegaConf.to_container(compose_unchecked([]), resolve=False)))
    makers = [_words, _values, _rows, _model]
    for number in range(count):
        make, changed = makers[number % len(makers)], place / f"changed-{number}"  # a name that nothing remembers
        changed.mkdir()
        arguments = make(rng, place, changed, paths)
        own = ["sampling.max_new_tokens=6", "eval=[held_out]"] if "data=jsonl" in arguments else SMALL
        own = [word for word in own if not any(one.startswith(word.partition("=")[0]) for one in arguments)]
        where = [f"store={place}/store", f"runs={place}/runs"]
        status, stderr, failure = _outcome([*own, *where, *arguments])
        shutil.rmtree(changed)
        found.counts.update({"inputs": 1, "refused": int(status == 2)})
        lines = [line for line in stderr.splitlines() if line.strip()]
        if failure or status not in (0, 2, 130) or (status == 2 and len(lines) != 1):
            shown = " ".join(word[:80] for word in arguments)
            found.faults.append(f"{make.__name__[1:]} {shown!a}: {status} {failure} {stderr[:300]!a}")
    return found


def _outcome(arguments: list[str]) -> tuple[int | None, str, str]:
    """Return the exit status, what was said on the standard error stream, and what came out of the command."""

    def late(*_: object) -> None:
        raise TimeoutError("it hangs")

    stderr = io.StringIO()
    timers = {signal.ITIMER_PROF: (signal.SIGPROF, PATIENCE_S), signal.ITIMER_REAL: (signal.SIGALRM, SILENCE_S)}
    for timer, (number, seconds) in timers.items():
        signal.signal(number, late)
        signal.setitimer(timer, seconds)
    try:
        with (
            patch("mt.workflow.execute.compute", side_effect=KeyboardInterrupt),
            contextlib.redirect_stderr(stderr),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            return main(arguments), stderr.getvalue(), ""
    except SystemExit as end:
        return int(end.code or 0), stderr.getvalue(), ""
    except BaseException as error:  # whatever it is, it is a fault
        return None, stderr.getvalue(), f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        for timer, (number, _) in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(number, signal.SIG_DFL)


def _paths(values: Any, above: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield f"{above}{name}"
        if isinstance(value, dict):
            yield from _paths(value, f"{above}{name}.")


def _words(rng: random.Random, place: Path, changed: Path, paths: list[str]) -> list[str]:
    chosen = rng.sample(WORDS, rng.choice((1, 1, 2)))
    return [*chosen, f"{rng.choice(paths)}{rng.choice(['', '=', '==1', '.x=1', '@a=b'])}"][: rng.choice((1, 2, 3))]


def _values(rng: random.Random, place: Path, changed: Path, paths: list[str]) -> list[str]:
    return [f"{rng.choice(paths)}={rng.choice(VALUES)}" for _ in range(rng.choice((1, 1, 2)))]


def _given(place: Path, data: Path, **models: Path) -> list[str]:
    named = {kind: models.get(kind, place / kind) for kind in ("policy", "reward")}
    return ["data=jsonl", f"data.path={data}", *(f"{kind}.path={folder}" for kind, folder in named.items())]


def _rows(rng: random.Random, place: Path, changed: Path, paths: list[str]) -> list[str]:
    """A data file: a cell, the bytes or the kind of it are changed."""
    answers = {"response": "red", "judgment": "Score: 3", "chosen": "red", "rejected": "blue", "output": "red"}
    rows: list[Any] = [{"prompt": f"tell me the colour of fox {n}", "subset": "s", **answers} for n in range(40)]
    kind = rng.choice(["prompts", "prompts", "demonstrations", "preferences", "eft", "outputs", "pairs"])
    for _ in range(rng.choice((1, 2))):
        row = rng.randrange(len(rows))
        if rng.random() < 0.2:
            rows[row] = rng.choice(CELLS)
        elif isinstance(rows[row], dict):
            rows[row] = {**rows[row], rng.choice(list(rows[row])): rng.choice(CELLS)}
    path = changed / rng.choice(["rows.jsonl", "rows.json", "rows.csv", "rows.parquet", "rows.jsonl.gz"])
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(_damaged(rng, content) if rng.random() < 0.5 else content)
    good = changed / "good.jsonl"
    good.write_text("".join(json.dumps({"prompt": f"count from one {n}"}) + "\n" for n in range(40)))
    also = {
        "prompts": [],
        "demonstrations": [f"data.demonstrations={path}", "method=spin"],
        "preferences": [f"data.preferences={path}", "method=offline"],
        "eft": ["method=meta_rewarding", f"method.eft={path}"],
        "outputs": ["eval=[alpaca_eval]", "judge=reward_model", f"eval.alpaca_eval.outputs={path}"],
        "pairs": ["eval=[reward_bench]", f"eval.reward_bench.pairs={path}"],
    }[kind]
    return [*_given(place, path if kind == "prompts" else good), *also]


def _model(rng: random.Random, place: Path, changed: Path, paths: list[str]) -> list[str]:
    """A model folder: a setting of one of its files, or the bytes of one, are changed."""
    which = rng.choice(["policy", "reward"])
    model = shutil.copytree(place / which, changed / which)
    file = rng.choice(sorted(path for path in model.iterdir() if path.is_file()))
    if file.suffix == ".json" and rng.random() < 0.7:
        values = json.loads(file.read_text())
        inner = values
        while isinstance(inner, dict) and inner and rng.random() < 0.3:
            inner = rng.choice([inner, *[one for one in inner.values() if isinstance(one, dict) and one]])
        inner[rng.choice([*inner, "architectures", "weight_map", "rope_scaling", "auto_map"])] = rng.choice(SETTINGS)
        file.write_text(json.dumps(rng.choice(SETTINGS) if rng.random() < 0.1 else values))
    elif file.suffix == ".safetensors" and rng.random() < 0.5:
        content = file.read_bytes()
        size = struct.unpack("<Q", content[:8])[0]
        header = _damaged(rng, content[8 : 8 + size])
        file.write_bytes(struct.pack("<Q", rng.choice([len(header), 2**60, 0])) + header + content[8 + size :])
    elif rng.random() < 0.2:
        file.unlink()
    else:
        file.write_bytes(_damaged(rng, file.read_bytes()))
    good = changed / "good.jsonl"
    good.write_text("".join(json.dumps({"prompt": f"count from one {n}"}) + "\n" for n in range(40)))
    return _given(place, good, **{which: model})


def _damaged(rng: random.Random, content: bytes) -> bytes:
    at = rng.randrange(max(1, len(content)))
    return rng.choice([
        b"", content[:at], content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :], content[at:], b"\0" * 64,
        rng.randbytes(200), content[:at] + b"[" * 20_000, b"[" + content, content.decode("latin-1").encode("utf-16"),
        content[:at] + b"9" * 6000 + content[at:],
    ])  # fmt: skip
