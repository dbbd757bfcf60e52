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
from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tooldojo.training.base.template import CHAT_TEMPLATE, END_OF_TURN, PAD, SPECIALS
from tooldojo.training.base.words import FUNCTION_WORDS

# JSON glue with its inner spaces | grammar word or lower-case letters | other letters | digits by
# three | the rest alone
SPLIT = (
    r'(?:["{}\[\],:]+ ?)+'
    r"| (?:WORDS)(?![\p{L}\p{N}_\-@]|\.\S)"
    r"|\p{Ll}+|\p{Lu}+\p{Ll}*|\p{L}+|\p{N}{1,3}|\n+|\s|[^\s\p{L}\p{N}]"
).replace("WORDS", "|".join(sorted(set(FUNCTION_WORDS), key=len, reverse=True)))
SPACE = "Ġ"


def train_tokenizer(texts: Iterable[str], vocab: int) -> Tokenizer:
    """BPE with `vocab` tokens: specials, bytes, all digit runs, learned pieces, spaced grammar
    words.
    """
    words = sorted(set(FUNCTION_WORDS))
    digits = [f"{i:0{n}d}" for n in (2, 3) for i in range(10**n)]
    room = vocab - len(SPECIALS) - len(digits) - len(words) * 3 // 2
    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = _splitter()
    trainer = trainers.BpeTrainer(
        vocab_size=room, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    learned.train_from_iterator((_without_digits(text) for text in texts), trainer)
    state = json.loads(learned.to_str())["model"]
    merges = [tuple(m) for m in state["merges"]]
    pieces = sorted(state["vocab"], key=state["vocab"].__getitem__)
    # both ways to split a run, so that "517" is one token whichever pair merges first
    digit_merges = [(d[:i], d[i:]) for d in digits for i in range(len(d) - 1, 0, -1)]
    pieces += digits
    spelled = [(w, _spell(w, set(pieces))) for w in words]
    for word, merge_list in spelled:
        merges += merge_list
        pieces += [a + b for a, b in merge_list] + [SPACE + word]
        merges.append((SPACE, word))
    pieces = list(dict.fromkeys(pieces))
    ids = {piece: i for i, piece in enumerate([*SPECIALS, *pieces])}
    model = models.BPE(vocab=ids, merges=list(dict.fromkeys([*digit_merges, *merges])))
    tokenizer = Tokenizer(model)
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


def _without_digits(text: str) -> str:
    """Digits have fixed tokens, and specials are whole: neither takes part in learning merges."""
    for special in SPECIALS:
        text = text.replace(special, "\n")
    return "".join(c for c in text if not c.isdigit())


def _spell(word: str, known: set[str]) -> list[tuple[str, str]]:
    """Merges that build a grammar word from its letters, left to right, if it is no token yet."""
    if word in known:
        return []
    merges, head = [], word[0]
    for letter in word[1:]:
        merges.append((head, letter))
        head += letter
        known.add(head)
    return merges


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
