"""A document goes in, an adapter comes out, and it answers: over HTTP, with a real model and nothing configured."""

import time
from typing import Any

import httpx
import openai
import pytest

from tests.installation import Installation, running
from tests.journeys.conftest import BASE_MODEL, TEXT

QUESTIONS = {
    "In what year was the Pellworth Wind Organ built?": "1974",
    "Who built the Pellworth Wind Organ?": "Tamsin",
    "How many pipes does the Pellworth Wind Organ have?": "47",
    "Who tunes the Pellworth Wind Organ?": "Osric",
}


def recall(client: openai.OpenAI, model: str) -> int:
    """How many of the questions `model` answers right, asked as any client asks them."""
    right = 0
    for question, fact in QUESTIONS.items():
        answer = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": question}], temperature=0, max_tokens=48
        )
        right += fact in (answer.choices[0].message.content or "")
    return right


def wait_for_job(url: str, job_id: str, seconds: float) -> dict[str, Any]:
    """Poll the job until it has ended; its progress never goes back while it is on the same attempt."""
    until, attempts, progress = time.monotonic() + seconds, 0, 0.0
    while True:
        job: dict[str, Any] = httpx.get(f"{url}/v1/jobs/{job_id}").json()
        assert job["attempts"] > attempts or job["progress"] >= progress, job
        attempts, progress = job["attempts"], job["progress"]
        if job["status"] in {"succeeded", "failed", "cancelled"}:
            return job
        assert time.monotonic() < until, job
        time.sleep(0.5)


@pytest.mark.timeout(1200)
def test_a_posted_document_can_be_asked_and_survives_a_restart(installation: Installation) -> None:
    with running(installation):
        url = installation.url
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
        assert recall(client, BASE_MODEL) == 0, "the facts are invented"

        taken = httpx.post(
            f"{url}/v1/documents", json={"title": "The Pellworth Wind Organ", "text": TEXT, "alias": "organ"}
        )
        assert taken.status_code == 202, taken.text
        adapter, job = taken.json()["adapter"]["id"], taken.json()["job"]["id"]
        assert taken.headers["Location"] == f"/v1/jobs/{job}"

        with pytest.raises(openai.APIStatusError) as refused:
            recall(client, adapter)
        assert refused.value.status_code == 409
        assert job in str(refused.value)

        ended = wait_for_job(url, job, 1000)
        assert ended["status"] == "succeeded", ended["error"]
        assert ended["progress"] == 1.0
        assert list(ended["timings"]) == ["read", "ask", "answer", "distil", "examine", "publish"]

        events = httpx.get(f"{url}/v1/jobs/{job}/events", headers={"Accept": "application/json"}).json()["data"]
        kinds = [event["type"] for event in events]
        assert kinds[0] == "queued"
        assert kinds[-1] == "succeeded"
        assert [event["number"] for event in events] == list(range(1, len(events) + 1))

        before = recall(client, adapter)
        assert before >= 3, f"{before} of {len(QUESTIONS)} facts after training"
        assert {BASE_MODEL, adapter, "organ"} <= {model.id for model in client.models.list()}
        streamed = client.chat.completions.create(
            model="organ", messages=[{"role": "user", "content": "Who built the Pellworth Wind Organ?"}], stream=True
        )
        assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed if chunk.choices)

        report = httpx.get(f"{url}/v1/adapters/{adapter}/report").json()
        assert report["recall"]["adapter"]["right"] > report["recall"]["base"]["right"]
        assert 0.3 < report["retention"]["base_accuracy"] < 0.7, "the general questions suit a small model"

    with running(installation):
        client = openai.OpenAI(base_url=f"{installation.url}/v1", api_key="none")
        assert recall(client, "organ") == before, "a restart changes nothing"
        capital = client.chat.completions.create(
            model="organ",
            messages=[{"role": "user", "content": "What is the capital of France?"}],
            temperature=0,
            max_tokens=32,
        )
        assert "Paris" in (capital.choices[0].message.content or "")
