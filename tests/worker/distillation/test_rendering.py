import pytest

from tests.tiny import CHAT_TEMPLATE, THINKS, make_tokenizer
from worker.distillation.prompts import student_messages
from worker.distillation.rendering import Renderer

SYSTEM_LEFT_OUT = CHAT_TEMPLATE.replace("in messages %}", "in messages if message.role != 'system' %}")
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + CHAT_TEMPLATE


def rendered(template: str, system: str | None = None) -> str:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = template
    prompt = Renderer(tokenizer, [tokenizer.eos_token_id]).prompt(student_messages("Who?", system=system))
    return str(tokenizer.decode(prompt))


def test_a_model_that_thinks_is_taught_to_answer_at_once() -> None:
    assert rendered(THINKS).endswith("<|im_start|>assistant\n<think></think>")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (CHAT_TEMPLATE, "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWho?<|im_end|>"),
        (NO_SYSTEM, "<|im_start|>user\nBe brief.\n\nWho?<|im_end|>"),
        (SYSTEM_LEFT_OUT, "<|im_start|>user\nBe brief.\n\nWho?<|im_end|>"),
    ],
)
def test_what_a_system_says_is_said_by_the_user_where_there_is_no_system(template: str, expected: str) -> None:
    assert rendered(template, system="Be brief.").startswith(expected)
    assert "<|im_start|>user\nWho?" in rendered(template)
