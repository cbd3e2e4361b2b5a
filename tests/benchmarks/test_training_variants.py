"""What a variant changes, and what is refused; that it trains is shown by the comparison's own test."""

from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.jobs.settings import JobSettings, resolve
from benchmarks.injection.methods import FINE_TUNING, WAYS
from benchmarks.injection.objectives import jensen_shannon
from benchmarks.injection.run import Plan
from benchmarks.training_variants import vary


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(
        items=(),
        model=tmp_path,
        revision="",
        ways={"pd": WAYS["pd"]},
        settings=resolve(JobSettings.model_validate({"effort": "quick", "rank": 8})),
        most_pairs=4,
        retrieval="bm25",
        passages_read=1,
        engine="embedded",
        vllm_python=None,
        folder=tmp_path,
    )


def test_a_variant_changes_what_it_names_and_nothing_else(plan: Plan) -> None:
    assert vary(plan, "") == plan
    varied = vary(plan, "learning_rate=3e-4,epochs=7,objective=jsd")
    assert (varied.settings.learning_rate, varied.settings.epochs, varied.settings.rank) == (3e-4, 7, 8)
    method = varied.ways["pd"].adapter
    assert method is not None
    assert method.objective is jensen_shannon
    assert varied.label != plan.label
    assert vary(plan, "objective=sft").ways["pd"].adapter is FINE_TUNING


@pytest.mark.parametrize(
    ("variant", "told"),
    [
        ("jsd", "jsd is no setting"),
        ("objective=magic", "no objective magic"),
        ("learning_rate=-5", "learning_rate"),
        ("epochs=0", "epochs"),
        ("questions_per_fact=9", "questions_per_fact is no setting of the training"),
    ],
)
def test_a_wrong_variant_is_told(plan: Plan, variant: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        vary(plan, variant)
