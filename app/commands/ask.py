"""`ingrain ask`: one question, one answer."""

import sys
from typing import Annotated, Any

import typer

from app.commands.shared import JsonOption, Screen, UrlOption, connect

_SHOWN_CHARACTERS = 100


def ask(
    model: Annotated[str, typer.Argument(metavar="ADAPTER", help="An adapter's id, an alias, or the base model.")],
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What to ask.")],
    stream: Annotated[bool, typer.Option("--stream", help="Show the answer while it is generated.")] = False,
    system: Annotated[str | None, typer.Option(help="A system prompt.")] = None,
    temperature: Annotated[float, typer.Option(min=0, max=2, help="0 gives the likeliest answer, always.")] = 0,
    max_tokens: Annotated[int, typer.Option(min=1, help="The longest answer.")] = 256,
    retrieval: Annotated[
        bool, typer.Option("--retrieval", help="Put the best passages of the adapter's documents into the prompt.")
    ] = False,
    passages: Annotated[
        int | None, typer.Option(min=1, help="How many passages, 3 if not told; means --retrieval.")
    ] = None,
    documents: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Look into this document; repeatable. The base model needs it."),
    ] = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask an adapter a question, closed-book: it sees nothing but the question, unless --retrieval shows it passages.

    With --json: one object with the answer, or with --stream one for each piece of it. The passages that it was shown
    come with the answer, or with its first piece; people read them on standard error.
    """
    screen = Screen(as_json)
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": question})
    options: dict[str, Any] = {"temperature": temperature, "max_tokens": max_tokens}
    if retrieval or passages:
        options["retrieval"] = passages or True
    if documents:
        options["documents"] = documents
    with connect(url) as client:
        if not stream:
            completion = client.complete_chat(model, messages, **options)
            answer = completion["choices"][0]["message"]["content"]
            screen.data({"model": model, "question": question, "answer": answer, **_retrieval(completion)})
            if not as_json:
                typer.echo(answer)
                _show_passages(completion)
            return
        first: dict[str, Any] = {}
        for chunk in client.stream_chat(model, messages, **options):
            first = first or chunk
            piece = "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])
            screen.data({"delta": piece, **_retrieval(chunk)})
            if not as_json:
                sys.stdout.write(piece)
                sys.stdout.flush()
        if not as_json:
            typer.echo()
            _show_passages(first)


def _retrieval(answer: dict[str, Any]) -> dict[str, Any]:
    return {"retrieval": answer["retrieval"]} if "retrieval" in answer else {}


def _show_passages(answer: dict[str, Any]) -> None:
    if "retrieval" not in answer:
        return
    found = answer["retrieval"]["passages"]
    typer.echo(f"\n{'From' if found else 'No passage had room in the prompt.'}", err=True)
    for passage in found:
        place = f"{passage['title']} ({passage['heading']})" if passage["heading"] else passage["title"]
        text = " ".join(passage["text"].split())
        text = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
        place += " (replaced)" if passage["stale"] else ""
        typer.echo(f"- {passage['score']:.2f}  {passage['document_id']}  {place}: {text}", err=True)
