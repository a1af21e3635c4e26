"""Judgments from a file, from which a policy learns to judge (EFT)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mt.errors import DataError, describe
from mt.stages.load_benchmarks import conversation, required
from mt.types import Demonstration, Response
from mt.workflow.stage import External, Stage
from mt.workflow.volume import AssumptionsConfig, Volume, Volumes
from mt.workflow.work import Work


@dataclass(frozen=True, eq=False)
class LoadJudgments(Stage):
    """Judgments of responses as demonstrations of judging, the question put as the policy will be asked it."""

    VERSION: ClassVar[int] = 2
    source: External
    """JSONL or JSON: messages (or prompt), response, judgment."""
    rubric: str

    def run(self, work: Work) -> None:
        """Keep the judgments that the rubric can read; DataError where none is."""
        kept, total = self._read(work.path(self.source))
        work.count(judgments=total, unreadable=total - len(kept))
        work.write(kept, Demonstration)

    def check(self) -> None:
        """Read the file once, so that a malformed row is reported before anything heavy starts."""
        self._read(self.source.location)

    def _read(self, path: Path) -> tuple[list[Demonstration], int]:
        """Return the judgments that the rubric can read, and the number of all; raises DataError."""
        from mt.data.rubric import RUBRICS
        from mt.evaluation.files import read_records

        rubric, kept = RUBRICS[self.rubric], list[Demonstration]()
        records = read_records(path, ("messages", "prompt", "response", "judgment"))
        for number, record in enumerate(records):
            where = f"{path} row {number} (from 0)"
            asked = conversation(required(record, ("messages", "prompt"), where), where)
            response, judgment = (str(required(record, (name,), where)) for name in ("response", "judgment"))
            if rubric.parse_judgment(judgment) is not None:
                prompt = rubric.judge_prompt(asked, response)
                # The answer's length in tokens is unknown here and plays no part in supervised training.
                kept.append(Demonstration(str(number), prompt, None, Response(judgment, 0)))
        if not kept:
            problem = f"none of its {len(records)} judgments can be read"
            allowed = "a text that ends with a line 'Score: N', N from 0 to 5"
            raise DataError(describe("method.eft", path, problem, allowed=allowed))
        return kept, len(records)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return as many judgments as Yuan et al. 2024 have (§3.1)."""
        asked = assumed.judge_prompt_tokens + assumed.prompt_tokens + assumed.response_tokens
        return Volume(1630, 1, asked, assumed.judge_answer_tokens)
