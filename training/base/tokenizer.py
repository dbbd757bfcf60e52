"""The tokenizer: byte-level BPE made for exact copies.

Owns: the split rule, training, and the assembly of the vocabulary.
Refuses: tokens that depend on what stands before a value. A value has the same tokens in prose,
in JSON and at the
start of a line, because a space joins only to a fixed list of grammar words and JSON punctuation
is apart from values.
Invariant: decode(encode(text)) == text, and every run of up to three digits is one token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tooldojo.training.base.senses import content_words, spaced_words
from tooldojo.training.base.template import CHAT_TEMPLATE, END_OF_TURN, PAD, SPECIALS

# JSON glue with its spaces, unless a word follows | plain word with its space | end of a sentence |
# opening mark with its space | lower-case letters | other letters | digits by three | the rest
SPLIT = (
    r'(?:["{}\[\],:]+(?: (?!\p{L}))?)+'
    r"| (?:I|WORDS)(?![\p{L}\p{N}_\-@]|\.\S)"
    r"|\.(?: |\n+)|; | [<(+=/]"
    r"|\p{Ll}+|\p{Lu}+\p{Ll}*|\p{L}+|\p{N}{1,3}|\n+|\s|[^\s\p{L}\p{N}]"
).replace("WORDS", "|".join(sorted(spaced_words(), key=len, reverse=True)))
SPACE = "Ġ"


def train_tokenizer(texts: Iterable[str], vocab: int) -> Tokenizer:
    """BPE with `vocab` tokens: specials, bytes, digit runs, plain words in three forms, other words
    in one, learned pieces.

    A whole piece of the split that is in the vocabulary is one token, whatever pairs would merge.
    """
    digits = [f"{i:0{n}d}" for n in (1, 2, 3) for i in range(10**n)]
    plain = sorted(spaced_words())
    fixed = [*digits, *plain, *(SPACE + w for w in plain), *(w.capitalize() for w in plain)]
    fixed += [SPACE + "I", *sorted(content_words())]
    fixed = list(dict.fromkeys(fixed))
    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = _splitter()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab - len(SPECIALS) - len(fixed),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    learned.train_from_iterator((_without_fixed(text) for text in texts), trainer)
    state = json.loads(learned.to_str())["model"]
    merges = [tuple(m) for m in state["merges"]]
    pieces = sorted(state["vocab"], key=state["vocab"].__getitem__)
    tokens = dict.fromkeys([*SPECIALS, *pieces, *fixed])
    ids = {piece: i for i, piece in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=merges, ignore_merges=True))
    tokenizer.pre_tokenizer = _splitter()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIALS))
    return tokenizer


def _splitter() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _without_fixed(text: str) -> str:
    """Digits and plain words have fixed tokens, specials are whole: none takes part in learning."""
    for special in SPECIALS:
        text = text.replace(special, "\n")
    return _plain().sub("", "".join(c for c in text if not c.isdigit()))


@cache
def _plain() -> re.Pattern[str]:
    return re.compile(rf"(?i)(?<![^\W_])(?:{'|'.join(sorted(spaced_words()))})(?![^\W_])")


def wrap(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """The tokenizer as transformers and vLLM load it, with the chat template."""
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TURN,
        pad_token=PAD,
        additional_special_tokens=[s for s in SPECIALS if s not in (PAD, END_OF_TURN)],
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast
