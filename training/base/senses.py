"""Meanings and the many ways to say them: reasons, deeds, topics and what desks of other trades
handle.

Owns: the synonyms from which `corpus_desk` makes requests; a pretrained model would bring them
along.
Refuses: whole sentences of evaluated worlds; `tests/training/base/test_disjoint.py` compares.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from tooldojo.training.base import words


def _lines(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.strip().splitlines())


def _slashed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split("/"))


# Why somebody asks: labels of the meaning | clauses that mean it.
REASONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    label.split()[0]: (tuple(label.split()), _slashed(clauses))
    for label, clauses in (
        line.split(" | ")
        for line in _lines(
            """
            mistake error accident slip | I pressed the wrong button / that was a slip of mine / \
it happened by accident / I did not mean to do it / it was my error / we asked for it by mistake / \
it was done in error / I took it by accident / the whole thing is a mistake
            delay late slow waiting | it is taking far too long / I have been waiting for weeks / \
it should be here by now / nobody can wait so long / we cannot wait for it / it is much too slow / \
the wait goes on and on / I am tired of waiting / too much time has passed
            unwanted not_needed no_need dropped | I do not want it now / my mind has changed / \
it is of no use to me any more / we no longer need it / there is no need for it / \
nobody here wants it any more / I changed my plans / I thought again and do not want it / \
we can do without it
            unsuited bad_fit wrong_choice not_right | it is not right for me / it does not fit / \
I chose badly / it is not what I had in mind / we expected something else / \
it was the wrong choice / it does not suit us / I picked badly / something else would suit me better
            damaged broken defect faulty | it has a crack / it broke on the way / it was in pieces \
/ there is a dent in it / it reached me broken / it has damage on one side / it does not work / \
it was damaged in the box / one side is cracked / it came in bad shape
            incomplete missing_part short | a part is missing / something was left out / \
half of it is not there / it came without the lid / pieces are missing / it is not complete
            dirty unclean stained | it is dirty / there are stains on it / it was never cleaned / \
it smells / it is covered in dust
            expired outdated stale | it has expired / its date has passed / it is out of date / \
it is too old to use / it went stale
            noisy loud | it makes a noise / it is far too loud / it rattles all day / \
I cannot sleep next to it
            too_dear expensive price | it costs too much / I cannot afford it / \
the price is too high / it is over my budget / it is too dear for me
            better_offer cheaper found_better | I found a better one / somebody offers it cheaper \
/ another place has it for less / I saw a better offer
            duplicate double twice | I have two of them / it was sent twice / I already have one / \
we asked for it twice / it is a double
            ill sick health | I am ill / I caught a cold / I am in bed with a fever / \
my doctor says I must rest
            moved new_home relocated | I have moved away / we live somewhere else now / \
I am in another town these days / we left the place
            weather storm rain | the weather is too bad / a storm is coming / it rains all week / \
there is too much snow
            no_time busy work | I am too busy / I have no time for it / work keeps me away / \
my week is full
            """
        )
    )
}
FAULT = ("damaged", "incomplete", "dirty", "expired", "noisy")
WILL = ("unwanted", "unsuited", "too_dear", "better_offer", "no_time")
FRAMES = _lines(
    """
    please {ask}; {why}.
    {ask}. {Why}.
    {Why}. So {ask}.
    {Why}, so please {ask}.
    can someone {ask}? {Why}.
    would you kindly {ask}, {why}?
    {ask} for me: {why}.
    it would help me if you {ask} because {why}.
    because {why}, {ask}.
    seeing that {why}, you should {ask}.
    I must ask you to {ask} since {why}.
    my wish is that you {ask}, as {why}.
    {ask}, and the cause is this: {why}.
    {ask}, {why}.
    I ask you to {ask}: {why}.
    """
)


@dataclass(frozen=True)
class Sense:
    """A deed: verbs for the tool with their participles, and ways to ask for it; `{x}` is its
    object and `{v}` the value wanted.
    """

    verbs: tuple[tuple[str, str], ...]
    asks: tuple[str, ...]


def _sense(line: str) -> tuple[str, Sense]:
    verbs, asks = line.split(" | ")
    pairs = [pair.split(":") for pair in verbs.split()]
    return pairs[0][0], Sense(tuple((a, b) for a, b in pairs), _slashed(asks))


# What is done to a whole thing, to a part of one, and to put a part in place of another.
WHOLE = dict(
    map(
        _sense,
        _lines(
            """
            cancel:cancelled annul:annulled void:voided revoke:revoked | cancel {x} / \
call off {x} / stop {x} / annul {x} / have {x} cancelled / undo {x} / do not go on with {x} / \
put an end to {x} / get {x} cancelled / drop {x}
            extend:extended prolong:prolonged renew:renewed | extend {x} / prolong {x} / \
give {x} more time / renew {x} / make {x} last longer / add time to {x}
            pause:paused suspend:suspended hold:held | pause {x} / put {x} on hold / suspend {x} / \
halt {x} for now / keep {x} back for a while / freeze {x}
            confirm:confirmed approve:approved accept:accepted | confirm {x} / approve {x} / \
say yes to {x} / accept {x} / let {x} go ahead / agree to {x}
            hasten:hastened rush:rushed expedite:expedited | speed up {x} / rush {x} / hasten {x} \
/ hurry {x} along / make {x} go faster / give {x} priority
            """
        ),
    )
)
PART = dict(
    map(
        _sense,
        _lines(
            """
            refund:refunded repay:repaid reimburse:reimbursed | refund {x} / pay back {x} / \
give me my money back for {x} / return my money for {x} / reimburse me for {x} / \
take {x} back and pay me / get me a refund of {x} / make a refund for {x} / repay {x} / \
let me return {x} and get the money
            mend:mended repair:repaired fix:fixed | repair {x} / fix {x} / mend {x} / \
get {x} working again / put {x} right / see that {x} works again
            remove:removed delete:deleted omit:omitted | remove {x} / take out {x} / leave out {x} \
/ strike {x} / delete {x} / do without {x}
            collect:collected retrieve:retrieved fetch:fetched | collect {x} / pick up {x} / \
come and get {x} / fetch {x} from me / take {x} away / have {x} picked up
            """
        ),
    )
)
CHANGE = dict(
    map(
        _sense,
        _lines(
            """
            exchange:exchanged swap:swapped replace:replaced switch:switched | \
exchange {x} for {v} / swap {x} for {v} / change {x} to {v} / replace {x} by {v} / \
send {v} in place of {x} / give me {v} instead of {x} / switch {x} to {v} / \
take {x} back and hand me {v} / trade {x} for {v} / let me have {x} in {v} / turn {x} into {v}
            """
        ),
    )
)

# Things that cannot be done, by topic.
TOPICS: dict[str, tuple[str, ...]] = {
    line.split(" | ")[0]: _slashed(line.split(" | ")[1])
    for line in _lines(
        """
        address | send {x} to another street / {x} has the wrong house number / correct where {x} \
goes / I live elsewhere now, so {x} needs a new address / let a neighbour take in {x} / \
put my office address on {x} / change the town and postal code of {x} / redirect {x}
        discount | make {x} cheaper / take some money off {x} / lower what I pay for {x} / \
I have a voucher for {x} / give me a better price on {x} / ten percent less for {x} is fair / \
as an old friend I expect {x} for less / use a coupon on {x} / a discount on {x} would be kind
        payment | charge {x} to another card / let me pay {x} in cash / pay {x} by bank instead / \
split the bill of {x} / I want an invoice for {x} / the card behind {x} is no longer good / \
move {x} to my second account / pay {x} later in instalments
        gift | wrap {x} nicely / put a greeting card with {x} / make {x} a present / \
add flowers to {x}
        contact | ring me about {x} / send me a text when {x} is ready / call before {x} comes / \
tell my brother about {x}
        insurance | insure {x} / get cover for {x} / who pays if {x} is stolen
        writing | write a poem on {x} / translate the papers of {x} / draw a picture of {x} / \
write a review of {x}
        merge | join {x} with my next one / put {x} together with another / merge {x} and a second
        add | put one more into {x} / add a thing to {x} / make {x} bigger
        schedule | bring {x} in the evening / let {x} come on monday / choose another hour for {x}
        """
    )
}
STATUS_ASKS = _slashed(
    "how is {x} doing? / where has {x} got to? / is {x} on its way? / what about {x}? / "
    "tell me the state of {x}. / what is going on with {x}? / how far along is {x}? / "
    "look at {x} and tell me where it stands. / I want to know how {x} is getting on. / "
    "what is {x} at? / give me an update on {x}. / check up on {x}. / is there news of {x}?"
)
STOCK_ASKS = _slashed(
    "how many {p} are left in {v}? / do you still have {p} in {v}? / is there any {p} in {v}? / "
    "count the {p} that come in {v}. / can I get {p} in {v}? / I look for {p}, {v} if possible. / "
    "what number of {p} in {v} do you hold? / is {v} to be had for {p}? / check {p}, {v}. / "
    "tell me the stock of {p} in {v}."
)
TOTAL_ASKS = _slashed(
    "what do {x} cost in all? / how much is it for {x}? / sum up {x}. / add {x} together. / "
    "I need one total for {x}. / how much money is that for {x}? / what must I pay for {x}? / "
    "total up {x}. / work out what {x} come to."
)
DEARER = _slashed(
    "the dearer of {a} and {b} / whichever of {a} and {b} costs more / "
    "the more expensive one of {a} and {b} / the one of {a} and {b} with the higher total / "
    "{a} or {b}, whichever is pricier / the costlier one, {a} or {b} / "
    "the one with the larger total ({a} or {b})"
)
ORELSE = _slashed(
    "{one} if it is still {good}, if not {two} / {one}, or {two} when it is not {good} / "
    "try to {one}; where that is not possible, {two} / {one} while it is {good}, else {two} / "
    "{one}; should it not be {good} any longer, {two}"
)
SOLD_OUT = _slashed(
    "{one}, or {two} if it is sold out / {one}; if there is none left, {two} / "
    "{one} if that is in stock, if not {two} / try to {one} and if that fails {two} / "
    "{one}, else {two} / {one}; when it is out of stock, {two}"
)
ANY = _slashed(
    "any other {l} that is left / another {l} of yours / some other {l} / "
    "whatever other {l} there is / a different {l} from your shelves / any {l} that you hold"
)
ALL = _slashed(
    "all my {good} {ts} / every {good} {t} of mine / each {good} {t} I have / "
    "whatever {t} of mine is {good} / all of my {ts} that are {good}"
)
EMAILS = _slashed(
    "My mail address is {m}. / You know me as {m}. / {m} is my email. / I am {m}. / "
    "Mail: {m}. / Look for {m}. / The account belongs to {m}. / I signed up with {m}. / "
    "Email {m}. / I write from {m}."
)

# What desks handle: the thing, its part, the place.
TRADES = tuple(
    tuple(part.strip() for part in trade.split(","))
    for trade in _slashed(
        "loan, volume, library / hire, tool, tool hire / repair, part, workshop / "
        "parcel, piece, post office / delivery, crate, depot / permit, page, town hall / "
        "prescription, remedy, pharmacy / course, lesson, music school / "
        "subscription, issue, newspaper / consignment, pallet, harbour / "
        "print, frame, print shop / claim, receipt, insurer / menu, dish, kitchen / "
        "garden, plant, nursery / "
        "wardrobe, costume, theatre / lease, machine, lessor / kit, module, laboratory / "
        "cargo, container, shipping line / fitting, lens, optician / contract, service, agency / "
        "purchase, article, market stall / request, entry, archive / job, task, office / "
        "visit, treatment, clinic / stay, night, inn / batch, sample, mill / "
        "collection, record, music club / basket, fruit, farm / commission, drawing, studio"
    )
)
OWNERS = _slashed(
    "customer / client / member / guest / patient / borrower / tenant / student / subscriber / "
    "buyer / user / holder / person"
)
FIRST_NAMES = _slashed(
    "alma / bruno / celia / dario / edda / fabio / gisela / henri / ivo / judith / klara / lars / "
    "mila / nora / otto / pia / quirin / rosa / stefan / thea / ulla / viktor / wanda / xaver / "
    "yusuf / zita"
)
LAST_NAMES = _slashed(
    "arnold / brandt / conrad / decker / ernst / fischer / graf / hoffmann / iversen / jonsson / "
    "kramer / lindner / moser / neumann / ortega / pfeiffer / quast / roth / sommer / thiel / "
    "ulrich / vetter / wagner / york / zimmer"
)
EARLY = _slashed("pending / open / draft / queued / planned / waiting / requested / new / booked")
MIDDLE = _slashed(
    "shipped / sent / active / running / started / lent / processed / moving / packed"
)
LATE = _slashed("delivered / closed / returned / finished / completed / collected / arrived / done")


@cache
def spaced_words() -> frozenset[str]:
    """Lower-case words that carry grammar or meaning and are hardly ever values: the tokenizer
    joins them with the space in front.
    """
    said = [clause for _, clauses in REASONS.values() for clause in clauses]
    said += [a for pool in (WHOLE, PART, CHANGE) for sense in pool.values() for a in sense.asks]
    said += [text for texts in TOPICS.values() for text in texts]
    said += [*FRAMES, *STATUS_ASKS, *STOCK_ASKS, *TOTAL_ASKS, *DEARER, *ORELSE, *SOLD_OUT, *ANY]
    said += [*ALL, *EMAILS, *(noun for trade in TRADES for noun in trade), *OWNERS]
    found = {word for text in said for word in re.findall(r"(?<![{\w])[a-z]+(?![}\w])", text)}
    return frozenset({*found, *words.PLAIN_WORDS} - _values() | {*words.FUNCTION_WORDS})


@cache
def content_words() -> frozenset[str]:
    """Further lower-case words, mostly values: one token each, the space in front apart, so that a
    value has the same tokens in prose and in JSON.
    """
    others = {*words.COMMON, *words.VERBS, *FIRST_NAMES, *LAST_NAMES}
    return frozenset(word for word in _values() | others if word.isalpha()) - spaced_words()


def _values() -> set[str]:
    """Words that occur as values of fields."""
    labels = {label for names, _ in REASONS.values() for label in names}
    values = {*labels, *TOPICS, *EARLY, *MIDDLE, *LATE, *words.ADJECTIVES, *words.COLOURS}
    return values | {*words.MATERIALS, *words.SIZES, *words.THINGS, *words.GOODS, *words.TRAITS}
