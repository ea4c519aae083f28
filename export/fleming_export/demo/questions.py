"""Questions about what was drawn, with shuffled lettered options, and the replies that training wants."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ..prompt import REASONING
from .canvas import Picture
from .clips import Clip
from .facts import FACTS, IMAGE, SMALL_TALK, Fact
from .images import MODALITIES, draw
from .seeds import choose, generator
from .volumes import Volume

KINDS = ("image", "volume", "video", "compare", "follow_up", "text")
TAG = "<image>\n"
_COMPARE = ("Which of the two shows {}?", "Which picture shows {}?", "In which of the two is {}?")
Rng = np.random.Generator


@dataclass(frozen=True)
class Asked:
    """A question and the reply's two parts."""

    question: str
    thought: str
    answer: str

    @property
    def reply(self) -> str:
        return f"<think>{self.thought}</think><answer>{self.answer}</answer>"


@dataclass(frozen=True)
class Sample:
    """A case: what was drawn, what is asked of it, and what went before: (question, reply) pairs. ``more`` is
    asked in later turns, in training only: looking is dearer than asking."""

    kind: str
    fact: str
    asked: Asked
    images: list[Picture] = field(default_factory=list)
    volume: Volume | None = None
    clip: Clip | None = None
    history: list[tuple[str, str]] = field(default_factory=list)
    more: list[Asked] = field(default_factory=list)

    def frames(self) -> list[Picture]:
        """The pictures as the runtime sees them, in order: uint8 ``pixels``."""
        study = self.volume or self.clip
        return study.looked_at() if study else self.images


def sample(kind: str, split: str, seed: int, index: int) -> Sample:
    """The sample of a place in a split's seed space."""
    rng = generator(split, seed, KINDS.index(kind), index)
    case = _MAKERS[kind](rng)
    return replace(case, more=_more(rng, case))


def _more(rng: Rng, case: Sample) -> list[Asked]:
    """Up to three questions about other facts of the same study."""
    if case.kind == "text":
        return []
    study = case.volume or case.clip or case.images[0]
    keys = [key for key in study.facts if key != case.fact and (case.kind != "compare" or IMAGE[key].noun)]
    keys = [keys[int(i)] for i in rng.permutation(len(keys))[:3]]
    if case.kind == "compare":
        return [_which(rng, case.images, key) for key in keys]
    return [about(rng, FACTS[key], study.facts[key]) for key in keys]


def ask(rng: Rng, question: str, answers: list[str], right: tuple[str, str]) -> Asked:
    """A question with lettered options in four times of five; ``right`` is the answer and the thought."""
    answer, thought = right
    if rng.random() < 0.2:
        return Asked(question, thought, answer)
    others = [text for text in answers if text != answer]
    picked = [others[int(i)] for i in rng.permutation(len(others))[:3]]
    picked.insert(int(rng.integers(len(picked) + 1)), answer)
    letters = "ABCD"[: len(picked)]
    options = [f"{letter}. {text}" for letter, text in zip(letters, picked, strict=True)]
    joint = choose(rng, ("\n", " "))
    lead = choose(rng, ("", "", "Options:" + joint, "Choose one:" + joint))
    return Asked(f"{question}\n{lead}{joint.join(options)}", thought, options[picked.index(answer)])


def about(rng: Rng, fact: Fact, value: str, question: str = "") -> Asked:
    """A question for the value of a fact."""
    answers = [answer for answer, _ in fact.values.values()]
    return ask(rng, question or choose(rng, fact.questions), answers, fact.values[value])


def exists(rng: Rng, fact: Fact, value: str) -> Asked:
    """Yes or no: is the finding there?"""
    plural = not fact.noun.startswith(("a ", "an "))
    stem = choose(rng, ("Are there", "Do you see") if plural else ("Is there", "Do you see"))
    right = ("no" if value == fact.absent else "yes", fact.values[value][1])
    return ask(rng, f"{stem} {fact.noun}?", ["yes", "no"], right)


def drill(split: str, seed: int, index: int) -> Asked:
    """A question without its picture: to learn to find the option that the thought names."""
    rng = generator(split, seed, len(KINDS), index)
    fact = FACTS[choose(rng, tuple(FACTS))]
    value = choose(rng, tuple(fact.values))
    return exists(rng, fact, value) if fact.noun and rng.random() < 0.25 else about(rng, fact, value)


def _image(rng: Rng) -> Sample:
    picture = draw(rng)
    key = choose(rng, tuple(picture.facts))
    fact, value = FACTS[key], picture.facts[key]
    asked = exists(rng, fact, value) if fact.noun and rng.random() < 0.25 else about(rng, fact, value)
    return Sample("image", key, asked, [picture])


def _volume(rng: Rng) -> Sample:
    volume = Volume(rng)
    key = choose(rng, tuple(volume.facts))
    return Sample("volume", key, about(rng, FACTS[key], volume.facts[key]), volume=volume)


def _video(rng: Rng) -> Sample:
    clip = Clip(rng)
    key = choose(rng, tuple(clip.facts))
    return Sample("video", key, about(rng, FACTS[key], clip.facts[key]), clip=clip)


def _compare(rng: Rng) -> Sample:
    """Two pictures of a modality, of which the first, the second, both or neither show a finding."""
    modality = choose(rng, tuple(MODALITIES))
    pictures = [draw(rng, modality) for _ in range(2)]
    key = choose(rng, tuple(key for key in pictures[0].facts if IMAGE[key].noun))
    return Sample("compare", key, _which(rng, pictures, key), pictures)


def _which(rng: Rng, pictures: list[Picture], key: str) -> Asked:
    """Which of two pictures shows the finding of a fact?"""
    fact = FACTS[key]
    values = [picture.facts[key] for picture in pictures]
    place = [value != fact.absent for value in values]
    answer = {(True, False): "first", (False, True): "second", (True, True): "both"}.get(
        tuple(place), "neither"
    )
    said = [fact.values[value][1] for value in values]
    stem = choose(rng, _COMPARE)
    stem = stem.replace("is {}", "are {}") if not fact.noun.startswith(("a ", "an ")) else stem
    right = (answer, f"First: {said[0]} Second: {said[1]}")
    return ask(rng, stem.format(fact.noun), ["first", "second", "both", "neither"], right)


def _follow_up(rng: Rng) -> Sample:
    """A second question about a picture: where or which it is, or about something else."""
    picture = draw(rng)
    keys = [key for key in picture.facts if key != "modality"]
    key = choose(rng, keys)
    fact, value = FACTS[key], picture.facts[key]
    if fact.place and value != fact.absent:
        first = exists(rng, fact, value)
        second = about(rng, fact, value, fact.place)
    else:
        other = choose(rng, [other for other in picture.facts if other != key])
        first = about(rng, FACTS[other], picture.facts[other])
        second = about(rng, fact, value)
    turn = (f"{REASONING}\n{TAG}{first.question}", first.reply)
    return Sample("follow_up", key, second, [picture], history=[turn])


def _text(rng: Rng) -> Sample:
    questions = choose(rng, tuple(SMALL_TALK))
    asked = Asked(choose(rng, questions), "There is no picture.", SMALL_TALK[questions])
    return Sample("text", "text", asked)


_MAKERS = {
    "image": _image,
    "volume": _volume,
    "video": _video,
    "compare": _compare,
    "follow_up": _follow_up,
    "text": _text,
}
