"""A file in SQuAD's own layout as the JSON lines that `squadshifts.py` reads.

    python -m benchmarks.injection.convert new_wiki_v1.0.json new_wiki.jsonl [--questions 1000]

SQuADshifts (Miller, Krauth, Recht and Schmidt, ICML 2020) can be downloaded in that layout from
https://modestyachts.github.io/squadshifts-website/. The paper on prompt distillation took the passages behind the first
1,000 questions of each subset.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def lines(squad: dict[str, Any], most: int) -> Iterator[dict[str, Any]]:
    """A line a paragraph, until `most` questions are reached."""
    asked = 0
    for article in squad["data"]:
        for paragraph in article["paragraphs"]:
            if asked >= most:
                return
            questions = [
                {
                    "id": each["id"],
                    "question": each["question"],
                    "answers": sorted({answer["text"] for answer in each["answers"]}),
                }
                for each in paragraph["qas"][: most - asked]
            ]
            asked += len(questions)
            yield {"title": article.get("title", ""), "passage": paragraph["context"], "questions": questions}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("squad", type=Path, help="a file in SQuAD's layout")
    parser.add_argument("out", type=Path, help="the JSON lines to write")
    parser.add_argument("--questions", type=int, default=1000, help="the first so many")
    options = parser.parse_args()
    squad = json.loads(options.squad.read_text(encoding="utf-8"))
    written = [json.dumps(line, ensure_ascii=False) + "\n" for line in lines(squad, options.questions)]
    options.out.write_text("".join(written), encoding="utf-8")
    print(f"{len(written)} passages written to {options.out}")


if __name__ == "__main__":
    main()
