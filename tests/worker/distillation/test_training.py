"""The training: only the adapter changes, it learns, it is repeatable, and it goes on where it was killed."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from worker.distillation import drift, retention, teacher, training
from worker.distillation.generation import answers_to
from worker.distillation.packing import pack
from worker.distillation.prompts import teacher_messages
from worker.distillation.retention import Kept
from worker.distillation.student import Student, UnsuitableModel, load_student, new_student
from worker.distillation.training import Lesson, Plan, TrainingFailed, rate_at, train

PAIRS = [("Who?", "Ada."), ("When?", "In 1962."), ("Where?", "Here."), ("Why?", "So."), ("How many?", "460.")]
PLAN = Plan(
    learning_rate=5e-3, epochs=8, batch_size=2, temperature=1.0, retention_weight=0.5, retention_batch=1, seed=3
)


def fresh(tiny_model: Path, seed: int = 0) -> Student:
    return new_student(tiny_model, rank=4, seed=seed, device=torch.device("cpu"), dtype=torch.float32)


def lessons_of(student: Student) -> list[Lesson]:
    exchanges = [
        student.renderer.exchange(teacher_messages("The museum", "Ada opened it in 1962.", question), answer)
        for question, answer in PAIRS
    ]
    found = teacher.targets(student, exchanges)
    return [
        Lesson(question, exchange.answer, target)
        for (question, _), exchange, target in zip(PAIRS, exchanges, found, strict=True)
    ]


def kept_of(student: Student) -> list[Kept]:
    questions = ["Hello.", "What is 2 plus 2?"]
    with student.as_base():
        return retention.keep(student, questions, answers_to(student, questions, retention.MOST_TOKENS))


def trained(tiny_model: Path, folder: Path, plan: Plan = PLAN, checkpoint: Path | None = None) -> bytes:
    student = fresh(tiny_model)
    train(student, lessons_of(student), kept_of(student), plan, checkpoint)
    student.save(folder)
    return (folder / "adapter_model.safetensors").read_bytes()


def test_a_fresh_adapter_diverges_from_nothing(student: Student) -> None:
    moved = drift.measure(student, kept_of(student))
    assert moved.nats == pytest.approx(0, abs=1e-6)
    assert moved.same_first_choice == 1


def test_only_the_adapter_gets_gradients_and_changes(student: Student) -> None:
    before = {name: weight.clone() for name, weight in student.model.named_parameters()}
    train(student, lessons_of(student), kept_of(student), PLAN)
    for name, weight in student.model.named_parameters():
        is_adapter = "lora_" in name
        assert weight.requires_grad == is_adapter
        assert (weight.grad is not None) == is_adapter
        assert torch.equal(weight, before[name]) != is_adapter, name
    assert {name.split(".")[-4] for name in student.trained_parameters()} >= {
        "q_proj",
        "o_proj",
        "up_proj",
        "down_proj",
    }


def test_an_adapter_lies_on_the_layers_that_are_named(tiny_model: Path) -> None:
    student = new_student(tiny_model, 4, 0, torch.device("cpu"), torch.float32, ["q_proj", "v_proj"])
    assert {name.split(".")[-4] for name in student.trained_parameters()} == {"q_proj", "v_proj"}
    with pytest.raises(UnsuitableModel, match="no layers called gate_up_proj, qkv_proj"):
        new_student(tiny_model, 4, 0, torch.device("cpu"), torch.float32, ["qkv_proj", "o_proj", "gate_up_proj"])


def test_lessons_in_order_are_the_same_in_each_epoch_and_spread_over_the_batches(student: Student) -> None:
    lessons = lessons_of(student)

    def epoch(number: int, plan: Plan) -> list[list[tuple[int, ...]]]:
        batches = [training._batch(student, lessons, [], [], plan, 3 * number + place)[0] for place in range(3)]
        return [[exchange.answer for exchange, _ in batch] for batch in batches]

    answers = [lesson.answer for lesson in lessons]
    in_order = replace(PLAN, shuffled=False)
    assert epoch(0, in_order) == epoch(1, in_order) == [answers[0::3], answers[1::3], answers[2::3]]
    assert epoch(0, PLAN) != epoch(1, PLAN)


def test_each_retention_prompt_is_gone_over_before_one_is_again(student: Student) -> None:
    kept = kept_of(student) + kept_of(student) + kept_of(student)
    plan = replace(PLAN, retention_batch=2)
    drawn = [id(each) for step in range(6) for each in training._held(kept, plan, step)]
    assert sorted(drawn[:6]) == sorted(drawn[6:]) == sorted(map(id, kept))
    assert drawn[:6] != drawn[6:]
    assert training._held(kept, replace(plan, retention_weight=0.0), 0) == []


def test_the_student_learns_what_the_teacher_knows(student: Student) -> None:
    history = train(student, lessons_of(student), kept_of(student), PLAN)
    steps = [step for step, _, _ in history.losses]
    assert steps == list(range(1, 25))
    first, last = (sum(distil for _, distil, _ in part) for part in (history.losses[:3], history.losses[-3:]))
    assert last < 0.5 * first


def test_the_retention_term_holds_the_model_where_it_was(tiny_model: Path) -> None:
    moved = []
    for weight in (0.0, 4.0):
        student = fresh(tiny_model)
        plan = replace(PLAN, retention_weight=weight, retention_batch=2)
        train(student, lessons_of(student), kept_of(student), plan)
        moved.append(drift.measure(student, kept_of(student)).nats)
    assert moved[1] < 0.5 * moved[0]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tiny_model: Path, tmp_path: Path) -> None:
    first, second = trained(tiny_model, tmp_path / "a"), trained(tiny_model, tmp_path / "b")
    other = trained(tiny_model, tmp_path / "c", replace(PLAN, seed=4))
    assert first == second
    assert first != other


def test_a_killed_training_ends_with_the_adapter_it_would_have_ended_with(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_STEPS", 5)
    whole = trained(tiny_model, tmp_path / "whole")
    checkpoint = tmp_path / "scratch" / "training.safetensors"
    student = fresh(tiny_model)

    def die(done: int, _: int) -> None:
        if done == 13:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(student, lessons_of(student), kept_of(student), PLAN, checkpoint, die)
    again = fresh(tiny_model, seed=9)  # its weights come from the checkpoint, not from its seed
    told: list[int] = []
    history = train(again, lessons_of(again), kept_of(again), PLAN, checkpoint, lambda done, _: told.append(done))
    assert told[0] == 11
    assert len(history.losses) == 24
    again.save(tmp_path / "again")
    assert (tmp_path / "again" / "adapter_model.safetensors").read_bytes() == whole


def test_another_runs_checkpoint_is_not_taken_up(tiny_model: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "training.safetensors"
    trained(tiny_model, tmp_path / "a", replace(PLAN, name="one", epochs=16), checkpoint)
    assert checkpoint.is_file()
    whole = trained(tiny_model, tmp_path / "b", replace(PLAN, name="two"))
    assert trained(tiny_model, tmp_path / "c", replace(PLAN, name="two"), checkpoint) == whole


def test_what_a_checkpoint_gives_the_optimiser_lies_where_its_weight_lies(tiny_model: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "training.safetensors"
    trained(tiny_model, tmp_path / "a", replace(PLAN, epochs=16), checkpoint)
    elsewhere = torch.device("meta")  # every machine has it
    weights = {
        name: torch.nn.Parameter(weight.detach().to(elsewhere))
        for name, weight in fresh(tiny_model).trained_parameters().items()
    }
    optimiser = torch.optim.AdamW(weights.values())
    assert training._take_up(checkpoint, PLAN, weights, optimiser, training.History()) == training.CHECKPOINT_STEPS
    for weight in weights.values():
        assert {state.device for state in optimiser.state[weight].values()} == {elsewhere}


def test_a_saved_adapter_is_read_by_peft_and_gives_the_same_states(tiny_model: Path, tmp_path: Path) -> None:
    student = fresh(tiny_model)
    train(student, lessons_of(student), [], PLAN)
    student.save(tmp_path / "adapter")
    assert {file.name for file in (tmp_path / "adapter").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    base = AutoModelForCausalLM.from_pretrained(tiny_model)
    plain = PeftModel.from_pretrained(base, str(tmp_path / "adapter")).eval()
    exchange = student.renderer.exchange([{"role": "user", "content": "Who?"}], "Ada.")
    with torch.no_grad():
        ours = student.hidden(pack([exchange])) @ student.head_VD.T
        theirs = plain(torch.tensor([exchange.inputs])).logits[0, len(exchange.prompt) - 1 :]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    again = load_student(tiny_model, tmp_path / "adapter", torch.device("cpu"), torch.float32)
    with torch.no_grad():
        torch.testing.assert_close(again.hidden(pack([exchange])) @ again.head_VD.T, ours)


def test_a_loss_that_is_no_number_ends_the_training_with_the_way_out(student: Student) -> None:
    lessons = lessons_of(student)
    lessons[0].target.fill_(float("nan"))
    with pytest.raises(TrainingFailed, match="learning_rate"):
        train(student, lessons, [], PLAN)


def test_the_rate_rises_then_falls() -> None:
    rates = [rate_at(step, 100) for step in range(100)]
    assert rates[0] < rates[3] < rates[5] == 1
    assert rates[6:] == sorted(rates[6:], reverse=True)
    assert rates[-1] == pytest.approx(training.FINAL_RATE, abs=0.01)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_pass_computes_with_the_adapter_in_what_the_base_is_in_and_its_weights_stay_whole(
    tiny_model: Path, dtype: torch.dtype
) -> None:
    student = new_student(tiny_model, rank=4, seed=0, device=torch.device("cpu"), dtype=dtype)
    weights = student.trained_parameters()
    for name, weight in weights.items():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    made: set[torch.dtype] = set()
    for name, module in student.model.named_modules():
        if name.endswith(("lora_A.default", "lora_B.default")):
            module.register_forward_hook(lambda _module, _given, output: made.add(output.dtype))
    row = pack([student.renderer.exchange([{"role": "user", "content": "Who?"}], "Nobody.")])
    decoder = student.model.get_base_model().get_decoder()  # type: ignore[operator]
    decoder.norm.register_forward_hook(lambda _module, _given, output: output.float())  # as autocast has some
    assert student.hidden(row).dtype is dtype
    student.hidden(row).float().square().sum().backward()  # type: ignore[no-untyped-call]
    assert made == {dtype}
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    assert all(weight.grad is not None and weight.grad.dtype is torch.float32 for weight in weights.values())
