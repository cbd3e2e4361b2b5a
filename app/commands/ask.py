"""`ingrain ask`: one question, one answer."""

import sys
from typing import Annotated

import typer

from app.commands.shared import JsonOption, Screen, UrlOption, connect


def ask(
    model: Annotated[str, typer.Argument(metavar="ADAPTER", help="An adapter's id, an alias, or the base model.")],
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What to ask.")],
    stream: Annotated[bool, typer.Option("--stream", help="Show the answer while it is generated.")] = False,
    system: Annotated[str | None, typer.Option(help="A system prompt.")] = None,
    temperature: Annotated[float, typer.Option(min=0, max=2, help="0 gives the likeliest answer, always.")] = 0,
    max_tokens: Annotated[int, typer.Option(min=1, help="The longest answer.")] = 256,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask an adapter a question, closed-book: it sees nothing but the question.

    With --json: one object with the answer, or with --stream one for each piece of it.
    """
    screen = Screen(as_json)
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": question})
    with connect(url) as client:
        if not stream:
            answer = client.chat(model, messages, temperature=temperature, max_tokens=max_tokens)
            screen.data({"model": model, "question": question, "answer": answer})
            if not as_json:
                typer.echo(answer)
            return
        for piece in client.stream_chat(model, messages, temperature=temperature, max_tokens=max_tokens):
            screen.data({"delta": piece})
            if not as_json:
                sys.stdout.write(piece)
                sys.stdout.flush()
        if not as_json:
            typer.echo()
