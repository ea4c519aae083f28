"""Questions about what was drawn, with shuffled lettered options, and the replies that training wants."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from ..prompt import REASONING
from .canvas import Picture
from .clips import Clip
from .facts import FACTS, IMAGE, SMALL_TALK, Fact
from .images import MODALITIES, draw
from .seeds import choose, generator
from .volumes import Volume

KINDS = ("image", "volume", "video", "compare", "follow_up", "mixed", "text")
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


class Study(Protocol):
    """Something to look at, and what is true of it: fact -> value."""

    facts: dict[str, str]

    def looked_at(self) -> list:
        """Its frames as the runtime sees them, in order."""


class Source(Protocol):
    """Where studies come from."""

    def picture(self, rng: Rng, modality: str | None = None) -> Study: ...
    def volume(self, rng: Rng) -> Study: ...
    def clip(self, rng: Rng) -> Study: ...


class Drawn:
    """Draws each study anew."""

    def picture(self, rng: Rng, modality: str | None = None) -> Picture:
        return draw(rng, modality)

    def volume(self, rng: Rng) -> Volume:
        return Volume(rng)

    def clip(self, rng: Rng) -> Clip:
        return Clip(rng)


DRAWN = Drawn()


@dataclass(frozen=True)
class Sample:
    """A case: what is looked at, what is asked of it, and what went before: (question, reply) pairs. ``more``
    is asked in later turns, in training only: looking is dearer than asking."""

    kind: str
    fact: str
    asked: Asked
    studies: list[Study] = field(default_factory=list)
    history: list[tuple[str, str]] = field(default_factory=list)
    more: list[Asked] = field(default_factory=list)

    def frames(self) -> list:
        """The frames of all studies in order."""
        return [frame for study in self.studies for frame in study.looked_at()]


def sample(kind: str, place: tuple[str, int, int], source: Source = DRAWN) -> Sample:
    """The sample at a place of the seed space: split, seed, index."""
    split, seed, index = place
    rng = generator(split, seed, KINDS.index(kind), index)
    case = _MAKERS[kind](rng, source)
    return replace(case, more=_more(rng, case))


def _more(rng: Rng, case: Sample) -> list[Asked]:
    """Up to three questions about other facts of the same studies."""
    if case.kind == "compare":
        keys = [key for key in case.studies[0].facts if key != case.fact and IMAGE[key].noun]
        return [_which(rng, case.studies, keys[int(i)]) for i in rng.permutation(len(keys))[:3]]
    facts = {key: value for study in case.studies for key, value in study.facts.items() if key != case.fact}
    if case.kind == "mixed":
        facts.pop("modality", None)
    keys = list(facts)
    return [about(rng, FACTS[keys[int(i)]], facts[keys[int(i)]]) for i in rng.permutation(len(keys))[:3]]


def ask(rng: Rng, question: str, answers: list[str], right: tuple[str, str]) -> Asked:
    """A question with lettered options in four times of five; ``right`` is the answer, an option's text,
    and the thought."""
    answer, thought = right
    if rng.random() < 0.2:
        return Asked(question, thought, answer)
    others = [text for text in answers if text != answer]
    picked = [others[int(i)] for i in rng.permutation(len(others))[:3]]
    picked.insert(int(rng.integers(len(picked) + 1)), answer)
    options = [f"{letter}. {text}" for letter, text in zip("ABCD", picked, strict=False)]
    joint = choose(rng, ("\n", " "))
    lead = choose(rng, ("", "", "Options:" + joint, "Choose one:" + joint))
    return Asked(f"{question}\n{lead}{joint.join(options)}", thought, answer)


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


def _asked(rng: Rng, study: Study, key: str) -> Asked:
    """A question for a fact of a study, or in one case of four whether there is such a finding at all."""
    fact, value = FACTS[key], study.facts[key]
    return exists(rng, fact, value) if fact.noun and rng.random() < 0.25 else about(rng, fact, value)


def _image(rng: Rng, source: Source) -> Sample:
    picture = source.picture(rng)
    key = choose(rng, tuple(picture.facts))
    return Sample("image", key, _asked(rng, picture, key), [picture])


def _volume(rng: Rng, source: Source) -> Sample:
    volume = source.volume(rng)
    key = choose(rng, tuple(volume.facts))
    return Sample("volume", key, _asked(rng, volume, key), [volume])


def _video(rng: Rng, source: Source) -> Sample:
    clip = source.clip(rng)
    key = choose(rng, tuple(clip.facts))
    return Sample("video", key, _asked(rng, clip, key), [clip])


def _compare(rng: Rng, source: Source) -> Sample:
    """Two pictures of a modality, of which the first, the second, both or neither show a finding."""
    modality = choose(rng, tuple(MODALITIES))
    pictures = [source.picture(rng, modality) for _ in range(2)]
    key = choose(rng, tuple(key for key in pictures[0].facts if IMAGE[key].noun))
    return Sample("compare", key, _which(rng, pictures, key), pictures)


def _which(rng: Rng, pictures: list[Study], key: str) -> Asked:
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


def _follow_up(rng: Rng, source: Source) -> Sample:
    """A second question about a picture: where or which it is, or about something else."""
    picture = source.picture(rng)
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


def _mixed(rng: Rng, source: Source) -> Sample:
    """A picture and a volume or clip in one request, and a question that only one of them answers."""
    picture = source.picture(rng, choose(rng, _UNLIKE))
    other = source.volume(rng) if rng.random() < 0.6 else source.clip(rng)
    studies = [picture, other] if rng.random() < 0.5 else [other, picture]
    study = choose(rng, studies)
    key = choose(rng, tuple(key for key in study.facts if key != "modality"))
    return Sample("mixed", key, _asked(rng, study, key), studies)


#: Modalities of which nothing is asked that may be asked of a volume or a clip.
_UNLIKE = ("brain MRI", "fundus photograph", "ultrasound", "histology")


def _text(rng: Rng, source: Source) -> Sample:
    questions = choose(rng, tuple(SMALL_TALK))
    asked = Asked(choose(rng, questions), "There is no picture.", SMALL_TALK[questions])
    return Sample("text", "text", asked)


_MAKERS = {
    "image": _image,
    "volume": _volume,
    "video": _video,
    "compare": _compare,
    "follow_up": _follow_up,
    "mixed": _mixed,
    "text": _text,
}
