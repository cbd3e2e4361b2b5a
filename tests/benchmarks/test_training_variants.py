"""What a variant changes, and what is refused; that it trains is shown by the comparison's own test."""

from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.jobs.settings import JobSettings, resolve
from benchmarks.injection.methods import FINE_TUNING, MIXED, WAYS
from benchmarks.injection.objectives import jensen_shannon
from benchmarks.injection.run import Plan
from benchmarks.training_variants import vary
from worker.stages.distil import PROMPT_DISTILLATION


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
        engines=1,
        rows=None,
        vllm_python=None,
        folder=tmp_path,
    )


def test_a_variant_changes_what_it_names_and_nothing_else(plan: Plan) -> None:
    assert vary(plan, "") == plan
    varied = vary(plan, "learning_rate=3e-4,epochs=7,objective=jsd,max_drift=0.1")
    assert (plan.settings.max_drift, varied.settings.max_drift) == (None, 0.1)
    assert (varied.settings.learning_rate, varied.settings.epochs, varied.settings.rank) == (3e-4, 7, 8)
    method = varied.ways["pd"].adapter
    assert method is not None
    assert method.objective is jensen_shannon
    assert varied.label != plan.label
    assert vary(plan, "objective=sft").ways["pd"].adapter == FINE_TUNING
    assert vary(plan, "objective=mixed").ways["pd"].adapter == MIXED
    assert vary(plan, "objective=hidden,teacher_temperature=1").settings.teacher_temperature == 1


def test_layers_and_order_are_the_methods(plan: Plan) -> None:
    plain, varied = (
        vary(plan, variant).ways["pd"].adapter for variant in ("", "layers=attention,order=spread,kept=plain")
    )
    assert plain == PROMPT_DISTILLATION
    assert varied is not None
    assert varied.layers == ["q_proj", "k_proj", "v_proj", "o_proj"]
    assert (varied.shuffled, varied.reads) == (False, False)
    assert (varied.objective, varied.lessons) == (PROMPT_DISTILLATION.objective, PROMPT_DISTILLATION.lessons)


@pytest.mark.parametrize(
    ("variant", "told"),
    [
        ("jsd", "jsd is no setting"),
        ("objective=magic", "no objective 'magic'"),
        ("layers=some", "no layers 'some'"),
        ("order=upwards", "no order 'upwards'"),
        ("kept=none", "no kept 'none'"),
        ("learning_rate=-5", "learning_rate"),
        ("epochs=0", "epochs"),
        ("objective=sft,teacher_temperature=0.5", "sft has no teacher"),
        ("objective=hidden", "add teacher_temperature=1"),
        ("objective=hidden,teacher_temperature=0.5", "add teacher_temperature=1"),
        ("questions_per_fact=9", "questions_per_fact is no setting of the training"),
    ],
)
def test_a_wrong_variant_is_told(plan: Plan, variant: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        vary(plan, variant)
