"""Documents over HTTP, on both databases."""

import json
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.database import unit_of_work
from app.jobs import queries
from app.models import Document
from app.settings import get_settings
from app.store import Store
from tests.app.conftest import LIGHTHOUSE, finish, post


def test_a_document_goes_in_as_json(api: httpx.Client) -> None:
    answer = api.post("/v1/documents", json={"text": LIGHTHOUSE, "alias": "orvenna", "metadata": {"shelf": [1, "b"]}})
    assert answer.status_code == 202
    taken = answer.json()
    assert taken["document"]["title"] == "The lighthouse of Orvenna"
    assert taken["document"]["metadata"] == {"shelf": [1, "b"]}
    assert taken["adapter"]["status"] == "pending"
    assert taken["job"]["status"] == "queued"
    assert answer.headers["Location"] == f"/v1/jobs/{taken['job']['id']}"
    job = api.get(answer.headers["Location"]).json()
    assert (job["status"], job["stage"], job["progress"], job["adapter_id"]) == (
        "queued",
        None,
        0,
        taken["adapter"]["id"],
    )
    with unit_of_work() as session:
        assert [job_id for _, job_id in queries.pending_wakeups(session)] in ([taken["job"]["id"]], [])
    text = Store(get_settings().resolved_store_url).read_bytes(f"documents/{taken['document']['id']}/text.txt")
    assert text.decode() == LIGHTHOUSE


def test_a_document_goes_in_as_a_file(api_on_sqlite: httpx.Client) -> None:
    original = b"\xef\xbb\xbf" + LIGHTHOUSE.replace("\n", "\r\n").encode()
    answer = api_on_sqlite.post(
        "/v1/documents",
        files={"file": ("orvenna.md", original, "text/markdown")},
        data={"alias": "orvenna", "settings": '{"rank": 8, "seed": 7}', "metadata": '{"a": 1}'},
    )
    assert answer.status_code == 202, answer.text
    document = answer.json()["document"]
    assert (document["media_type"], document["size_bytes"]) == ("text/markdown", len(original))
    store = Store(get_settings().resolved_store_url)
    assert store.read_bytes(f"documents/{document['id']}/original") == original
    assert store.read_bytes(f"documents/{document['id']}/text.txt").decode() == LIGHTHOUSE
    adapter = api_on_sqlite.get(f"/v1/adapters/{answer.json()['adapter']['id']}").json()
    assert (adapter["settings"]["rank"], adapter["settings"]["seed"]) == (8, 7)
    assert adapter["aliases"] == ["orvenna"]


def test_lists_are_cursor_pages(api: httpx.Client) -> None:
    made = [post(api)["document"]["id"] for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = api.get("/v1/documents", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [document["id"] for document in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == made[::-1]
    assert api.get(f"/v1/documents/{made[0]}").json()["id"] == made[0]


def test_the_same_key_makes_one_document(api: httpx.Client) -> None:
    headers = {"Idempotency-Key": "one"}
    body = {"text": LIGHTHOUSE}

    def send(_: int) -> httpx.Response:
        return httpx.post(f"{api.base_url}/v1/documents", json=body, headers=headers)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert len(api.get("/v1/documents").json()["data"]) == len(api.get("/v1/jobs").json()["data"]) == 1
    other = api.post("/v1/documents", json={"text": LIGHTHOUSE + " More."}, headers=headers)
    assert (other.status_code, other.json()["type"]) == (409, "/problems/idempotency-conflict")


def test_a_file_sent_again_is_the_same_request_whatever_its_boundary(api_on_sqlite: httpx.Client) -> None:
    files = {"file": ("a.txt", LIGHTHOUSE.encode())}
    first, second = (
        api_on_sqlite.post("/v1/documents", files=files, headers={"Idempotency-Key": "k"}) for _ in range(2)
    )
    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"


def test_an_alias_follows_the_newest_ready_adapter(api: httpx.Client, tmp_path: Path) -> None:
    first, second = post(api, alias="orvenna"), post(api, alias="orvenna")
    assert api.get("/v1/aliases/orvenna").json()["adapter_id"] == first["adapter"]["id"]
    finish(second, tmp_path / "2")
    assert api.get("/v1/aliases/orvenna").json()["adapter_id"] == second["adapter"]["id"]


def test_a_text_outlives_a_commit_whose_answer_was_lost(api_on_sqlite: httpx.Client) -> None:
    def lose_the_answer(session: Session) -> None:
        if any(isinstance(row, Document) for row in session.identity_map.values()):
            raise OperationalError("COMMIT", {}, Exception("the connection broke"))

    event.listen(Session, "after_commit", lose_the_answer)
    try:
        assert api_on_sqlite.post("/v1/documents", json={"text": LIGHTHOUSE}).status_code >= 500
    finally:
        event.remove(Session, "after_commit", lose_the_answer)
    (document,) = api_on_sqlite.get("/v1/documents").json()["data"]
    text = Store(get_settings().resolved_store_url).read_bytes(f"documents/{document['id']}/text.txt")
    assert text.decode() == LIGHTHOUSE


BAD_TEXTS: list[tuple[str, bytes, str]] = [
    ("empty", b"", "is empty"),
    ("blank", b" \n\t \r\n", "nothing but white space"),
    ("one word", b"Orvenna", "has 1 word;"),
    ("NUL", b"five words and a \0 here", "is NUL"),
    ("control characters", bytes(range(1, 9)) * 20 + b" one two three four five", "looks binary"),
    ("latin-1", "Die Königin wohnt im großen Turm.".encode("latin-1"), "byte 5 (0xf6)"),
    ("UTF-16", "Five words are in here.".encode("utf-16"), "is UTF-16"),
    ("PDF", b"%PDF-1.7 one two three four five", "is a PDF"),
    ("DOCX", b"PK\x03\x04 one two three four five", "ZIP archive"),
]


@pytest.mark.parametrize(("data", "says"), [case[1:] for case in BAD_TEXTS], ids=[case[0] for case in BAD_TEXTS])
def test_a_bad_file_is_refused_with_the_reason(api_on_sqlite: httpx.Client, data: bytes, says: str) -> None:
    answer = api_on_sqlite.post("/v1/documents", files={"file": ("a.txt", data)})
    problem = answer.json()
    assert (answer.status_code, problem["type"], problem["field"]) == (422, "/problems/invalid-document", "file"), (
        problem
    )
    assert says in problem["detail"]
    assert api_on_sqlite.get("/v1/documents").json()["data"] == []


BAD_BODIES: list[tuple[str, Any, int, str, str | None, str]] = [
    ("no text", {}, 422, "invalid-input", "text", "'text' is missing"),
    ("not an object", ["text"], 400, "invalid-request", None, "JSON object"),
    ("text of another type", {"text": 5}, 422, "invalid-input", "text", "must be a valid string, not 5"),
    ("NUL", {"text": "one two \0 three four"}, 422, "invalid-document", "text", "is NUL"),
    ("unknown field", {"text": LIGHTHOUSE, "titel": "x"}, 422, "invalid-input", "titel", "not a field"),
    ("unknown setting", {"text": LIGHTHOUSE, "settings": {"rnak": 8}}, 422, "invalid-settings", "settings.rnak",
     "'rnak' is not a setting. Did you mean 'rank'? The settings are: alias_degraded, answers_per_question"),
    ("rank too high", {"text": LIGHTHOUSE, "settings": {"rank": 128}}, 422, "invalid-settings", "settings.rank",
     "is 128; this engine serves ranks up to 64 (INGRAIN_MAX_LORA_RANK)"),
    ("rank out of range", {"text": LIGHTHOUSE, "settings": {"rank": 0}}, 422, "invalid-settings", "settings.rank",
     "must be greater than or equal to 1, not 0"),
    ("unknown effort", {"text": LIGHTHOUSE, "settings": {"effort": "heroic"}}, 422, "invalid-settings",
     "settings.effort", "'quick', 'standard' or 'thorough', not 'heroic'"),
    ("bad alias", {"text": LIGHTHOUSE, "alias": "a b"}, 422, "invalid-input", "alias", "'a b' is not a name"),
    ("alias like an id", {"text": LIGHTHOUSE, "alias": "adp_mine"}, 422, "invalid-input", "alias", "identifier"),
    ("alias of the base model", {"text": LIGHTHOUSE, "alias": "smollm2-135m"}, 422, "invalid-input", "alias", "base"),
    ("title of two lines", {"text": LIGHTHOUSE, "title": "a\nb"}, 422, "invalid-input", "title", "one line"),
    ("NUL in metadata", {"text": LIGHTHOUSE, "metadata": {"a": "\0"}}, 422, "invalid-input", "metadata", "NUL"),
    ("big metadata", {"text": LIGHTHOUSE, "metadata": {"a": "x" * 20_000}}, 422, "invalid-input", "metadata", "16384"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "kind", "field", "says"), [case[1:] for case in BAD_BODIES], ids=[case[0] for case in BAD_BODIES]
)
def test_a_bad_body_is_refused_with_field_and_reason(
    api_on_sqlite: httpx.Client, body: Any, status: int, kind: str, field: str | None, says: str
) -> None:
    answer = api_on_sqlite.post("/v1/documents", json=body)
    problem = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.status_code, problem["type"], problem.get("field")) == (status, f"/problems/{kind}", field), problem
    assert says in problem["detail"]
    assert problem["instance"] == "/v1/documents"
    assert problem["request_id"] == answer.headers["X-Request-ID"]


RAW_BODIES: list[tuple[str, bytes, str, int, str]] = [
    ("malformed JSON", b'{"text": ', "application/json", 400, "not valid JSON: Expecting value at character 9"),
    ("JSON that is not UTF-8", b'{"text": "\xff"}', "application/json", 400, "not UTF-8"),
    ("deep JSON", b"[" * 200_000, "application/json", 400, "nested too deep"),
    ("half a surrogate pair", b'{"text": "one two three four five \\ud800"}', "application/json", 422, "surrogate"),
    ("half a surrogate pair in metadata", b'{"text": "a b c d e f", "metadata": {"\\ud800": 1}}', "application/json",
     422, "surrogate"),
    ("NaN in metadata", b'{"text": "a b c d e f", "metadata": {"a": NaN}}', "application/json", 422, "NaN"),
    ("another type", b"just text", "text/plain", 415, "not as text/plain"),
    ("a form without boundary", b"x", "multipart/form-data", 400, "oundary"),
    ("a broken form", b"x", "multipart/form-data; boundary=b", 400, "multipart"),
    ("a form without a file", b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nx\r\n--b--\r\n',
     "multipart/form-data; boundary=b", 422, "'file' is missing"),
    ("a file that is no file", b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--b--\r\n',
     "multipart/form-data; boundary=b", 422, "'file' is not a file"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "media_type", "status", "says"), [case[1:] for case in RAW_BODIES], ids=[case[0] for case in RAW_BODIES]
)
def test_a_broken_request_is_refused(
    api_on_sqlite: httpx.Client, body: bytes, media_type: str, status: int, says: str
) -> None:
    answer = api_on_sqlite.post("/v1/documents", content=body, headers={"Content-Type": media_type})
    assert answer.status_code == status, answer.text
    assert says in answer.json()["detail"]
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("declared", [True, False], ids=["with Content-Length", "chunked"])
@pytest.mark.parametrize("kind", ["json", "file"])
def test_50_megabytes_are_refused_and_never_held(api_on_sqlite: httpx.Client, declared: bool, kind: str) -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    head, media_type = (
        (form, "multipart/form-data; boundary=b") if kind == "file" else (b'{"text": "', "application/json")
    )
    piece = b"word " * 10_000

    def pieces() -> Iterator[bytes]:
        yield head
        for _ in range(1000):
            yield piece

    headers = {"Content-Type": media_type} | ({"Content-Length": str(len(head) + 50_000_000)} if declared else {})
    tracemalloc.start()
    answer = api_on_sqlite.post("/v1/documents", content=pieces(), headers=headers)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/document-too-large")
    assert "INGRAIN_MAX_DOCUMENT_BYTES" in answer.json()["detail"]
    assert peak < 25_000_000, f"{peak:,} bytes were held"


@pytest.mark.parametrize("kind", ["json", "file"])
def test_a_document_just_over_the_limit_is_refused(api_on_sqlite: httpx.Client, kind: str) -> None:
    text = "word " * 1_000_001
    answer = (
        api_on_sqlite.post("/v1/documents", json={"text": text})
        if kind == "json"
        else api_on_sqlite.post("/v1/documents", files={"file": ("a.txt", text.encode())})
    )
    assert answer.status_code == 413
    fits = api_on_sqlite.post("/v1/documents", content=json.dumps({"text": "ж" * 2_499_000 + " a b c d e"}),
                              headers={"Content-Type": "application/json"})  # fmt: skip
    assert fits.status_code == 202, "5 MB of Cyrillic are 15 MB of escaped JSON"


@pytest.mark.parametrize("path", ["doc_01k00000000000000000000000", "doc_x", "%00", "job_01k00000000000000000000000"])
def test_an_unknown_document_is_a_404(api: httpx.Client, path: str) -> None:
    answer = api.get(f"/v1/documents/{path}")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")
