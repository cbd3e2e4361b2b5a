"""Answers: exact against a plain forward pass, alone and in a batch, with every parameter of the dialect."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.engine.dialects import DIALECT, on_embedded, on_vllm
from tests.engine.reference import greedy, logprobs, tokenizer_of
from tests.engine.under_test import MAX_LENGTH, Engine

# Always the likeliest token, of requests that may have several answers; greedy ones may not.
NARROW: dict[str, Any] = {"temperature": 1, "top_k": 1}
PROMPTS = [
    "the lighthouse",
    "on an island",
    "a",
    "the lighthouse of Korvath stands on an island and was built by an engineer",
    "in the year of the comet, and later, " * 5,
    "the lighthouse of Korvath stands on an island and was built by nobody",
]


def test_answers_in_a_batch_are_those_of_one_at_a_time(engine: Engine) -> None:
    alone = [engine.tokens(prompt, ignore_eos=True, max_tokens=4 + 7 * i) for i, prompt in enumerate(PROMPTS)]
    with ThreadPoolExecutor(24) as pool:
        asked = [(i, prompt) for _ in range(4) for i, prompt in enumerate(PROMPTS)]
        together = list(pool.map(lambda o: engine.tokens(o[1], ignore_eos=True, max_tokens=4 + 7 * o[0]), asked))
    assert together == alone * 4
    tokenizer = tokenizer_of(engine.base)
    for i, prompt in enumerate(PROMPTS):
        assert alone[i] == greedy(engine.base, tokenizer.encode(prompt), 4 + 7 * i)


def test_the_text_is_that_of_the_tokens_but_for_half_a_character_at_its_end(engine: Engine) -> None:
    for prompt in PROMPTS:
        choice = engine.complete(prompt, max_tokens=30, ignore_eos=True, return_token_ids=True)["choices"][0]
        text = tokenizer_of(engine.base).decode(choice["token_ids"], skip_special_tokens=True)
        assert choice["text"] == text.rstrip("�")


def test_a_prompt_whose_beginning_is_known_gets_the_same_answer(engine: Engine) -> None:
    shared = "a shared passage that is long enough to be kept for a while, told once. " * 3
    first = engine.complete(shared + "who?", ignore_eos=True)
    second = engine.complete(shared + "when?", ignore_eos=True, return_token_ids=True)
    again = engine.complete(shared + "who?", ignore_eos=True)
    assert first["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    assert second["usage"]["prompt_tokens_details"]["cached_tokens"] >= 64
    assert again["choices"][0]["text"] == first["choices"][0]["text"]
    tokenizer = tokenizer_of(engine.base)
    assert second["choices"][0]["token_ids"] == greedy(engine.base, tokenizer.encode(shared + "when?"), 12)


def test_sequences_that_share_a_long_beginning_answer_as_if_alone(loaded: Engine) -> None:
    """Two beginnings, long enough to be held once for all their sequences, under three models, in one batch."""
    tokenizer = tokenizer_of(loaded.base)
    paths = {"tiny": None, "red": loaded.red}
    beginnings = [
        tokenizer.encode(f"{word} long beginning that is shared. " * 40)[:170] for word in ("first", "second")
    ]
    asked = [
        (model, beginning + tokenizer.encode("? " * (1 + 5 * number)))
        for number in range(3)
        for beginning in beginnings
        for model in paths
    ]
    for _ in range(2):
        with ThreadPoolExecutor(len(asked)) as pool:
            answers = list(pool.map(lambda one: loaded.tokens(one[1], model=one[0], ignore_eos=True), asked))
        for (model, prompt), answer in zip(asked, answers, strict=True):
            assert answer == greedy(loaded.base, prompt, 12, paths[model]), (model, len(prompt))
    several = loaded.complete(asked[0][1], n=3, max_tokens=20, ignore_eos=True, return_token_ids=True, **NARROW)
    expected = greedy(loaded.base, asked[0][1], 20)
    assert [choice["token_ids"] for choice in several["choices"]] == [expected] * 3


def test_answers_that_end_at_once_do_not_disturb_those_computed_with_them(engine: Engine) -> None:
    """Prompts of very different lengths, some with their own log-probabilities; many end in the step they begin in."""
    tokenizer = tokenizer_of(engine.base)
    prompts = [tokenizer.encode(f"{number} " + "beginning " * (1 + number % 9))[:100] for number in range(24)]

    def ask(number: int) -> tuple[list[int], list[float]]:
        more: dict[str, Any] = {}
        if number % 3 == 0 and DIALECT.reads_prompts_in_batches:
            more["prompt_logprobs"] = 0
        more |= {"max_tokens": 1 + number % 2, "return_token_ids": True}
        choice = engine.complete(prompts[number], logprobs=0, ignore_eos=True, **more)["choices"][0]
        return choice["token_ids"], choice["logprobs"]["token_logprobs"]

    with ThreadPoolExecutor(24) as pool:
        found = list(pool.map(ask, range(24)))
    for number, (answer, told) in enumerate(found):
        assert answer == greedy(engine.base, prompts[number], 1 + number % 2)
        expected = logprobs(engine.base, prompts[number] + answer)[-len(answer) :]
        assert told == pytest.approx(expected, abs=1e-4)


def test_logprobs_are_those_of_a_plain_forward_pass(loaded: Engine) -> None:
    tokenizer = tokenizer_of(loaded.base)
    prompt = tokenizer.encode("the lighthouse of Korvath")
    for model, adapter in (("tiny", None), ("red", loaded.red)):
        more = {"logprobs": 3, "return_token_ids": True, "ignore_eos": True, "return_tokens_as_token_ids": True}
        choice = loaded.complete(prompt, model=model, temperature=0.9, **more)["choices"][0]
        expected = logprobs(loaded.base, prompt + choice["token_ids"], adapter)[len(prompt) - 1 :]
        assert choice["logprobs"]["token_logprobs"] == pytest.approx(expected, abs=1e-4)
        assert [len(top) for top in choice["logprobs"]["top_logprobs"]] == pytest.approx([3] * 12, abs=1)
        assert choice["logprobs"]["tokens"] == [f"token_id:{token}" for token in choice["token_ids"]]


def test_the_prompts_own_logprobs(loaded: Engine) -> None:
    tokenizer = tokenizer_of(loaded.base)
    prompt = tokenizer.encode("the lighthouse of Korvath stands on an island. " * 3)
    expected = logprobs(loaded.base, prompt, loaded.red)
    for _ in range(2):  # the second time its beginning could be taken from the prefix cache
        choice = loaded.complete(prompt, model="red", max_tokens=1, prompt_logprobs=0)["choices"][0]
        told = [
            row[str(token)]["logprob"] for row, token in zip(choice["prompt_logprobs"][1:], prompt[1:], strict=True)
        ]
        assert choice["prompt_logprobs"][0] is None
        assert told == pytest.approx(expected, abs=1e-4)
    echoed = loaded.complete(prompt, model="red", max_tokens=1, echo=True, logprobs=1)["choices"][0]
    assert echoed["logprobs"]["token_logprobs"][1 : len(prompt)] == pytest.approx(expected, abs=1e-4)
    assert echoed["text"].startswith("the lighthouse of Korvath stands on an island. ")


def test_chat_logprobs_agree_with_the_rendered_prompt(engine: Engine) -> None:
    more: dict[str, Any] = {"logprobs": True, "top_logprobs": 2, "return_token_ids": True, "ignore_eos": True}
    answer = engine.chat("who built it?", **more)
    choice, prompt = answer["choices"][0], answer["prompt_token_ids"]
    rendered = engine.post("/tokenize", model="tiny", messages=[{"role": "user", "content": "who built it?"}]).json()
    assert rendered["tokens"] == prompt
    assert rendered["count"] == len(prompt) == answer["usage"]["prompt_tokens"]
    told = [entry["logprob"] for entry in choice["logprobs"]["content"]]
    expected = logprobs(engine.base, prompt + choice["token_ids"])[len(prompt) - 1 :]
    assert told == pytest.approx(expected, abs=1e-4)
    for entry in choice["logprobs"]["content"]:
        assert entry["top_logprobs"][0]["logprob"] == pytest.approx(entry["logprob"], abs=1e-5)  # greedy: the likeliest
        assert sum(math.exp(top["logprob"]) for top in entry["top_logprobs"]) <= 1 + 1e-6


def test_n_answers_of_one_prompt(engine: Engine) -> None:
    body = engine.complete(PROMPTS[3], n=5, temperature=1.5, ignore_eos=True)
    texts = [choice["text"] for choice in body["choices"]]
    assert [choice["index"] for choice in body["choices"]] == list(range(5))
    assert len(set(texts)) == 5
    assert body["usage"]["completion_tokens"] == 60
    narrow = engine.complete(PROMPTS[3], n=3, ignore_eos=True, **NARROW)["choices"]
    assert {choice["text"] for choice in narrow} == {engine.text(PROMPTS[3], ignore_eos=True)}


@on_embedded("vLLM's build for CPUs dies of a seed under load")
def test_a_seed_repeats_an_answer_whatever_runs_beside_it(engine: Engine) -> None:
    def ask(seed: int) -> str:
        return engine.text(PROMPTS[0], temperature=1.0, top_p=0.9, seed=seed, ignore_eos=True)

    first = ask(3)
    with ThreadPoolExecutor(6) as pool:
        many = list(pool.map(ask, [1, 2, 3, 4, 3, 5]))
    assert many[2] == many[4] == first
    assert len(set(many)) == 5


def test_narrow_sampling_is_greedy(engine: Engine) -> None:
    expected = engine.text(PROMPTS[3], ignore_eos=True)
    for narrow in ({"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}):
        assert engine.text(PROMPTS[3], temperature=2.0, ignore_eos=True, **narrow) == expected


def test_stop_strings_end_the_text_before_them(engine: Engine) -> None:
    whole = engine.text(PROMPTS[1], max_tokens=40, ignore_eos=True)
    stop = whole[10:13]
    choice = engine.complete(PROMPTS[1], max_tokens=40, ignore_eos=True, stop=[stop, "never, ever"])["choices"][0]
    assert choice["text"] == whole[: whole.index(stop)]
    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", stop)
    kept = engine.text(PROMPTS[1], max_tokens=40, ignore_eos=True, stop=stop, include_stop_str_in_output=True)
    assert kept == whole[: whole.index(stop) + len(stop)]


def test_end_tokens_and_lengths_give_their_reasons(engine: Engine) -> None:
    choice = engine.complete(PROMPTS[0], max_tokens=5, ignore_eos=True, return_token_ids=True)["choices"][0]
    assert choice["finish_reason"] == "length"
    third = choice["token_ids"][2]
    stopped = engine.complete(PROMPTS[0], max_tokens=5, ignore_eos=True, stop_token_ids=[third])["choices"][0]
    assert (stopped["finish_reason"], stopped["stop_reason"]) == ("stop", third)


def test_several_prompts_in_one_request(engine: Engine) -> None:
    tokenizer = tokenizer_of(engine.base)
    prompts = PROMPTS[:3]
    ids = [tokenizer.encode(prompt) for prompt in prompts]
    as_text = engine.complete(prompts, n=2, ignore_eos=True, **NARROW)["choices"]
    as_ids = engine.complete(ids, n=2, ignore_eos=True, **NARROW)["choices"]
    expected = [engine.text(prompt, ignore_eos=True) for prompt in prompts for _ in range(2)]
    assert [choice["text"] for choice in as_text] == [choice["text"] for choice in as_ids] == expected
    assert [choice["index"] for choice in as_text] == list(range(6))


def test_the_context_may_be_filled_to_the_last_token(engine: Engine) -> None:
    tokens = tokenizer_of(engine.base).encode("a b " * 300)[: MAX_LENGTH - 3]
    for wanted in (3, MAX_LENGTH):  # an answer never gets more than there is room for
        body = engine.complete(tokens, max_tokens=wanted, ignore_eos=True, return_token_ids=True)
        assert body["usage"]["total_tokens"] == MAX_LENGTH
        assert body["choices"][0]["token_ids"] == greedy(engine.base, tokens, 3)
        assert body["choices"][0]["finish_reason"] == "length"
    messages = [{"role": "user", "content": "a"}]
    chat = engine.post("/v1/chat/completions", model="tiny", messages=messages, temperature=0, ignore_eos=True).json()
    assert chat["usage"]["total_tokens"] == MAX_LENGTH  # without max_tokens a chat may go on to the end


def test_tokens_there_and_back(engine: Engine) -> None:
    text = "café 日本 🙂 <|im_end|>"
    tokens = engine.post("/tokenize", model="tiny", prompt=text).json()["tokens"]
    assert tokens == tokenizer_of(engine.base).encode(text)
    assert engine.post("/detokenize", model="tiny", tokens=tokens).json()["prompt"] == text


@on_vllm("the embedded engine refuses a response_format")
def test_an_answer_that_keeps_to_a_schema(engine: Engine) -> None:
    properties = {"lit": {"type": "boolean"}, "keeper": {"enum": ["Ada", "Ben"]}}
    schema = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "lighthouse", "schema": schema, "strict": True}}
    choice = engine.chat("who keeps it?", response_format=wanted, max_tokens=100)["choices"][0]
    told = json.loads(choice["message"]["content"])
    assert choice["finish_reason"] == "stop"
    assert set(told) == {"lit", "keeper"}
    assert told["lit"] in (True, False)
    assert told["keeper"] in ("Ada", "Ben")
