"""Checks the English of the repository: how sentences open, and words that are no longer used.

Docstrings and comments of every Python file and the paragraphs of every Markdown file are checked
sentence by sentence. Identifiers of Python files are checked word by word. `CONTRIBUTING.md` has
the rules and the glossary.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]

OPENERS = ("As", "Of", "Likewise", "What", "Who", "Whoever", "Whom", "Whose")
"""Words that open no sentence: each starts a clause without a subject."""

DOCSTRING_OPENERS = (*OPENERS, "It", "Its", "That", "They", "Those")
"""Words that do not open a docstring either: a docstring has nothing that a pronoun stands for."""

RETIRED: dict[str, str] = {
    "armour": "middleware",
    "armoured": "middleware",
    "bury": "dead letter",
    "buried": "dead letter",
    "courier": "dispatcher",
    "lane": "bulkhead",
    "lanes": "bulkhead",
    "likewise": "repeat the noun",
    "stranger": "unproved client",
    "strangers": "unproved clients",
}
"""Words of the first version, and the terms that replace them."""

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_CODE = re.compile(r"`[^`\n]*`")
_FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)


class Finding(NamedTuple):
    """One place that breaks a rule."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.text}"


class Passage(NamedTuple):
    """A docstring, a block of comments or a paragraph, with the line that it starts on."""

    line: int
    text: str
    openers: tuple[str, ...] = OPENERS


def main() -> int:
    """Print every finding. The exit code is 1 if there is one."""
    findings = sorted(finding for path in _files() for finding in check(path))
    for finding in findings:
        sys.stdout.write(f"{finding}\n")
    return int(bool(findings))


def check(path: Path) -> Iterator[Finding]:
    """Yield the findings in one Python or Markdown file."""
    source = path.read_text()
    if path.suffix == ".md":
        passages = _paragraphs(source)
    else:
        passages = [*_docstrings(source), *_comments(source)]
        yield from _retired_names(path, source)
    for passage in passages:
        yield from _in_passage(path, passage)


def _files() -> list[Path]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run([*command, "*.py", "*.md"], cwd=ROOT, capture_output=True, check=True)  # noqa: S603
    names = listed.stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def _in_passage(path: Path, passage: Passage) -> Iterator[Finding]:
    plain = _CODE.sub("code", passage.text)
    for number, sentence in enumerate(re.split(r"(?<=[.:;!?])\s+(?=[A-Z])|\n\s*\n", plain)):
        opener = sentence.strip().partition(" ")[0].rstrip(",")
        forbidden = passage.openers if number == 0 else OPENERS
        is_question = sentence.rstrip().endswith("?")
        if opener in forbidden and not is_question:
            start = " ".join(sentence.split()[:8])
            yield Finding(path, passage.line, f"a sentence opens with {opener!r}: {start} …")
    for word in re.findall(r"[A-Za-z]+", plain):
        if term := RETIRED.get(word.lower()):
            yield Finding(path, passage.line, f"{word!r} is a retired word: {term}")


def _docstrings(source: str) -> Iterator[Passage]:
    """Yield docstrings, and the strings that document the assignment above them."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str() as text)):
                yield Passage(node.lineno, text, DOCSTRING_OPENERS)


def _comments(source: str) -> Iterator[Passage]:
    """Yield blocks of comments: lines that follow each other are one text."""
    block: list[str] = []
    start = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line, text = token.start[0], token.string.lstrip("#! ")
        if block and (line != last + 1 or text.startswith(("noqa", "type:"))):
            yield Passage(start, " ".join(block))
            block = []
        if not text.startswith(("noqa", "type:")):
            start = start if block else line
            block.append(text)
        last = line
    if block:
        yield Passage(start, " ".join(block))


def _paragraphs(source: str) -> Iterator[Passage]:
    """Yield the paragraphs, list items and table cells of a Markdown text, without its code."""
    plain = _FENCE.sub(lambda fence: "\n" * fence[0].count("\n"), source)
    block: list[str] = []
    start = 1
    for number, line in enumerate([*plain.split("\n"), ""], start=1):
        text = line.strip()
        is_item = bool(re.match(r"([-*+]|\d+\.)\s", text))
        if block and (not text or is_item or text.startswith(("#", "|"))):
            yield Passage(start, " ".join(block))
            block = []
        if text.startswith("|"):
            yield from (Passage(number, cell.strip()) for cell in text.strip("|").split("|"))
        elif text and not text.startswith("#"):
            start = start if block else number
            block.append(re.sub(r"^([-*+]|\d+\.|>)\s+", "", text).strip("*_ "))


def _retired_names(path: Path, source: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.NAME or token.string in seen:
            continue
        seen.add(token.string)
        for word in _WORD.findall(token.string):
            if term := RETIRED.get(word.lower()):
                text = f"the name {token.string!r} has the retired word {word!r}: {term}"
                yield Finding(path, token.start[0], text)


if __name__ == "__main__":
    raise SystemExit(main())
