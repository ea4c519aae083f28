"""The tokenizer files of a synthetic checkpoint: a small BPE trained on sentences written here."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

from ..errors import ExportError, to_install
from ..prompt import REASONING, SYSTEM
from ..tokenizer import PATTERN

#: Added tokens in their published order, after the base vocabulary.
SPECIAL = """
<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|>
<|box_end|> <|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|> <|image_pad|>
<|video_pad|>
""".split()
PLAIN = """
<tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|> <|repo_name|>
<|file_sep|>
""".split()
#: Flagged special in the files, yet kept in decoded text: additional_special_tokens does not list them.
PICTURE = "<img> </img> <IMG_CONTEXT> <quad> </quad> <ref> </ref> <box> </box>".split()
#: At most; training ends earlier, when every word is one token.
VOCABULARY = 3072

SITES = """
chest abdomen pelvis brain spine thyroid liver spleen pancreas kidney bladder prostate uterus ovary
breast heart aorta lung pleura mediastinum trachea diaphragm rib clavicle sternum shoulder elbow
wrist hip knee ankle foot skull orbit sinus mandible retina cornea stomach duodenum colon rectum
appendix gallbladder adrenal ureter
""".split()
SIDES = "left right upper lower anterior posterior medial lateral proximal distal bilateral central".split()
FINDINGS = """
nodule mass effusion consolidation opacity pneumothorax cavity calcification fracture dislocation
oedema haemorrhage infarct aneurysm stenosis thrombus embolism cyst abscess fibrosis atelectasis
emphysema cardiomegaly hernia obstruction perforation metastasis lesion tumour polyp ulcer
inflammation infection stone lymphadenopathy ascites hydronephrosis thickening enlargement scar
degeneration
""".split()
QUALITIES = """
small large mild moderate severe subtle diffuse focal acute chronic smooth irregular spiculated
heterogeneous homogeneous benign malignant suspicious stable new resolving
""".split()
MODALITIES = """
radiograph ultrasound mammogram angiogram tomography endoscopy fundus photograph microscopy
scintigraphy resonance fluoroscopy dermoscopy histology
""".split()
STEMS = """
cardio hepato nephro gastro broncho pneumo encephalo osteo arthro angio neuro myo entero colo cysto
dermo adeno thyro spleno pancreato chondro cranio dacto duodeno fibro glosso haemo hystero kerato
laryngo lipo lympho mammo naso oculo phlebo procto retino spondylo thoraco tracheo uro vaso
""".split()
ENDINGS = "megaly pathy itis graphy scopy gram genic plasty sclerosis malacia logist stenosis".split()
FRAMES = (
    "The {modality} shows a {quality} {finding} in the {side} {site}.",
    "Is there any {finding} of the {site}? No {quality} {finding} is seen.",
    "What abnormality is present in the {side} {site}? A. {finding} B. {other} C. both D. none.",
    "{modality}, {number} of {slice}: {term} reported, {term} follow-up advised.",
    "There is {quality} {finding} near the {side} {site}, measuring {number} mm on slice {slice}.",
    "<think> The {site} looks {quality}: {modality}, {finding}. </think><answer> {other} </answer>",
)


def write_tokenizer(out: Path, kind: str, corpus: list[str] | None = None) -> int:
    """Writes the slow tokenizer's files; returns the number of ids. A small one learns from ``corpus``."""
    if kind == "small":
        _train(out, corpus or sentences())
    else:
        for name in ("vocab.json", "merges.txt"):
            if not (Path(kind) / name).is_file():
                raise ExportError(kind, "'small', or a folder with vocab.json and merges.txt", f"no {name}")
            shutil.copyfile(Path(kind) / name, out / name)
    base = len(json.loads((out / "vocab.json").read_text(encoding="utf-8")))
    ids = special_ids(base + len(SPECIAL) + len(PLAIN) + len(PICTURE))
    _dump(out / "added_tokens.json", ids)
    decoder = {str(number): _token(text) for text, number in ids.items()}
    settings = {
        "add_prefix_space": False,
        "added_tokens_decoder": decoder,
        "additional_special_tokens": SPECIAL[1:],
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 12288,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
    _dump(out / "tokenizer_config.json", settings)
    roles = {key: settings[key] for key in ("additional_special_tokens", "eos_token", "pad_token")}
    _dump(out / "special_tokens_map.json", roles)
    return base + len(ids)


def special_ids(vocabulary: int) -> dict[str, int]:
    """Added token -> id, at the end of a vocabulary of that size."""
    tokens = SPECIAL + PLAIN + PICTURE
    return {text: vocabulary - len(tokens) + place for place, text in enumerate(tokens)}


def _token(text: str) -> dict:
    strips = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    return {"content": text, **strips, "special": text not in PLAIN}


def sentences() -> list[str]:
    """A few thousand sentences, every word of the lists in several of them."""
    text = [SYSTEM, REASONING]
    words = itertools.product(range(12), SITES)
    for number, (turn, site) in enumerate(words):
        pick = number * 7 + turn
        values = {
            "site": site,
            "side": SIDES[pick % len(SIDES)],
            "finding": FINDINGS[pick % len(FINDINGS)],
            "other": FINDINGS[(pick + 5) % len(FINDINGS)],
            "quality": QUALITIES[pick % len(QUALITIES)],
            "modality": MODALITIES[pick % len(MODALITIES)],
            "term": STEMS[number % len(STEMS)] + ENDINGS[number // len(STEMS) % len(ENDINGS)],
            "number": pick % 97,
            "slice": pick % 31,
        }
        text += [frame.format(**values) for frame in FRAMES]
    return text


def _train(out: Path, corpus: list[str]) -> None:
    try:
        from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
    except ImportError:
        hint = to_install("synthetic")
        raise ExportError("tokenizers", "the library, to train a tokenizer", "not installed", hint) from None
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(corpus, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    _dump(out / "vocab.json", model["vocab"])
    pairs = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    (out / "merges.txt").write_text("\n".join(["#version: 0.2", *pairs]) + "\n", encoding="utf-8")


def _dump(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
