"""Word lists and the source of random names for the corpus.

Owns: every word that a generated document may contain, and `Draw`, the seeded source of names,
ids and values.
Refuses: anything that belongs to an evaluated world; entity names are invented, verbs and nouns
are of other trades.
Invariant: names of tools and invented words fall into a training part and a held-out part that
never meet.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def _list(text: str) -> list[str]:
    """Words of a text; lists of words read better so."""
    return text.split()


# Words that carry grammar and are hardly ever values: the tokenizer joins them with the space in
# front.
FUNCTION_WORDS = _list(
    """
    the a an is are was were be been has have had do does did to of in on at by for from with
    without and or but not no nor if then than so as it its this that these those there which who
    whose what when where how only more less most least over under above below between after
    before until while must may can could should would will shall please you your my me we our
    they them their he she his her all any each every other another both either one both also
    still already because since about into out up down off again very too just now here same such
    use using used need needs needed want would like i
    """
)

# Further words of requests and rules that are no values either.
PLAIN_WORDS = _list(
    """
    order orders item items customer customers product products variant variants stock shop web
    flight flights booking bookings city cities seat seats traveller price prices weather date
    dates day days table tables column columns row rows query result results answer question
    count total sum average number numbers name names email mail account address discount payment
    reason latest newest oldest first second third last next cheapest dearer highest lowest
    status state id ids rules rule policy tool tools call calls line lines text word words message
    end ends begin start take takes given give gives get gets make made know known unknown find
    found look read write say says said tell ask asked asks show list lists return returns send
    sent put keep stay change changes cancel refund exchange refuse refused forbidden allowed
    possible nothing something anything else time times once twice never always together
    much many few some own people person man woman child home house office street way thing things
    part parts place case week year month hour minute money bill card bank cash cost costs paid
    within delivery help thanks done kind sort group
    him us yourself myself think want wants wish wishes let lets come comes came go goes going
    booked listed travel route departure destination forecast origin free seats early enough
    database average text reference type value distinct sorted code codes fact facts request
    requests rows record records entry entries field fields serve run needs unless told stands
    digits letters letter form write full empty both left right top most every nobody somebody
    arrived expected chosen picked bought ordered suit suits longer wait instead
    values types references averages decimals named save saved questions sums travellers parties
    differ print book kept fallback than too also until unless over under
    work works try tries fail fails wrong right good bad better best new old same different
    """
)

ADJECTIVES = _list(
    """
    open sealed pending active idle frozen locked ready draft closed stored broken clean wet dry
    new old rented sold queued failed passed paused shipped delivered processed cancelled booked
    confirmed listed hidden spare worn mended faulty checked unchecked signed unsigned paid unpaid
    due late early approved rejected assigned free busy full empty heavy light calm loud quiet
    warm cold raw baked mixed sorted moved parked lent lost found public private basic silver gold
    bronze junior senior standard extra regular partial complete
    """
)
COLOURS = _list(
    """
    red blue green yellow black white orange purple pink brown grey amber teal ivory coral navy
    olive beige violet crimson
    """
)
MATERIALS = _list(
    """
    oak steel glass clay wool silk brass stone wax cork linen iron copper pine slate jade felt
    """
)
SIZES = _list(
    """
    tiny small medium large huge narrow wide short tall
    """
)
THINGS = _list(
    """
    beacon kiln turbine hive archive reactor sluice telescope loom parchment bellows lantern mural
    drone anvil orchard barrel cabinet quarry furnace rocket statue violin puppet engine valve
    pump mirror compass tower bridge tunnel canal vault chest ledger scroll seal badge permit
    licence locker studio stage choir relay probe rover antenna crystal magnet prism filter boiler
    press mill oven garden greenhouse pond nest burrow herd saddle plough harvest seedling fossil
    specimen sample swab culture slide lecture essay poem chapter verse melody sonata sculpture
    canvas fresco mosaic exhibit relic trophy medal match league coach referee
    """
)
# What shops, offices and homes are full of, and what such things are like.
GOODS = _list(
    """
    lamp chair mug vase clock basket kettle table pillow rug backpack umbrella bottle tray bench
    jacket shirt sweater coat robe vest hoodie dress skirt scarf belt sock boot glove cap ring
    bracelet necklace sofa bed stool shelf drawer cupboard curtain carpet blanket towel candle
    plate bowl cup glass spoon fork knife pan pot toaster blender grill fridge freezer washer
    dryer iron vacuum heater fan radio phone tablet laptop printer scanner monitor keyboard mouse
    cable charger battery speaker microphone camera lens tripod drill hammer saw wrench ladder
    rope nail screw brush bucket hose rake shovel seed flower rose tulip apple pear plum cherry
    lemon carrot potato onion bread cheese butter milk coffee tea sugar salt pepper rice pasta
    soup cake cookie chocolate bicycle scooter helmet tent kayak paddle ski sledge racket ball
    puzzle doll kite guitar piano flute drum notebook pencil pen ruler eraser envelope stapler
    folder binder map globe suitcase wallet purse key door window garage gate fence roof wall
    """
)
TRAITS = _list(
    """
    bright slim round soft plain rapid smooth sturdy modern simple gentle curved folding classic
    compact square thick thin sharp blunt fresh dried frozen sweet bitter sour spicy mild strong
    weak deep shallow steep flat hollow solid rough shiny dull pale dark striped dotted woven
    knitted printed painted carved hand made local foreign rural urban ancient digital manual
    electric magnetic portable foldable washable waterproof elegant fancy cosy airy sunny shady
    lucky famous rare usual common special daily weekly monthly yearly early single double triple
    """
)
VERBS = _list(
    """
    weigh polish tune seal release archive inspect calibrate retire rename promote mend label
    stamp measure lend reserve assign swap extend pause resume restart drain fill heat cool paint
    sharpen sign approve reject enrol graduate transfer donate plant water prune harvest feed
    shear groom launch dock align rotate lift lower lock unlock mute boost flag unflag clear close
    raise adopt foster train grade publish withdraw print bind translate record mix sort stack
    sweep test vet wrap burn bury bless
    """
)
READ_VERBS = _list(
    """
    fetch read show view inspect_one describe load lookup trace peek report pull open_card detail
    """
)
LIST_VERBS = _list(
    """
    list browse scan enumerate gather collect find_all all offers_of options
    """
)
FIND_VERBS = _list(
    """
    find locate identify match resolve whois search_by trace_by
    """
)
QUERY_VERBS = _list(
    """
    filter query select ask run_filter evaluate probe_rows compute
    """
)
QUALIFIERS = _list(
    """
    status card details info record data item entry sheet file profile state by_id now full
    """
)
STATUS_FIELDS = _list(
    """
    status state phase stage condition mode standing
    """
)
DAY_FIELDS = _list(
    """
    age_days days_old days_since_check idle_days days_left days_in_use days_late waiting_days
    lead_days
    """
)
COUNT_FIELDS = _list(
    """
    count level score stock quantity points rank seats hours visits weight height depth pages
    rounds temp humidity speed load crew power rating
    """
)
PRICE_FIELDS = _list(
    """
    price cost fee value rent deposit charge rate amount
    """
)
DATE_FIELDS = _list(
    """
    date made_on due_on checked_on starts_on opened_on expires_on
    """
)
NAME_FIELDS = _list(
    """
    owner keeper holder author curator member handler guardian tenant
    """
)
KIND_FIELDS = _list(
    """
    kind type category model series class line
    """
)
REASONS = _list(
    """
    not_{v} wrong_{f} {f}_not_{v} bad_{f} still_{o} must_be_{v} {p} E{n} {p}_{f} no_{v} R{n}
    """
)
LIMIT_CODES = _list(
    """
    too_old too_high over_limit {f}_limit too_much {p} E{n} limit {f}_too_high beyond_{f} late
    """
)
COMMON = _list(
    """
    time year people way day man thing woman life child world school family student group country
    problem hand part place case week company system program question work government number night
    point home water room mother area money story fact month lot right study book eye job word
    business issue side kind head house service friend father power hour game line end member law
    car city community name president team minute idea body information back parent face others
    level office door health person art war history party result change morning reason research
    girl guy moment air teacher force education order refund flight price cancel return exchange
    ticket customer product item payment card account address email phone delivery package shirt
    shoes jacket lamp bottle book camera table row column count total average sum minimum maximum
    name weather rain snow wind sunny cloudy storm degree trip hotel seat train departure arrival
    morning evening budget cheap cheapest latest earliest available unavailable stock policy rule
    limit reason answer question employee department salary invoice product category region
    quantity status date month query database user help please thanks sorry hello today tomorrow
    yesterday monday tuesday friday january march june december gift voucher credit debit paypal
    method original reset cannot allowed denied within refused accepted wrong size colour color
    material blue large small medium wireless cotton leather steel keyboard monitor headphones
    desk chair watch backpack jeans dress hat gloves boots coat bicycle kettle speaker tablet
    laptop mouse
    """
)
SURNAME_ENDS = (
    "son",
    "ard",
    "ez",
    "ini",
    "ov",
    "well",
    "ton",
    "man",
    "ley",
    "berg",
    "a",
    "o",
    "i",
    "u",
    "er",
)
ONSETS = _list(
    """
    b c d f g h j k l m n p r s t v w y z br cr dr fr gr pr tr bl cl fl gl pl sl sk sp st sw sh ch
    th qu
    """
)
VOWELS = _list(
    """
    a e i o u a e i o u ai ea ie oa ou oo ee
    """
)
CODAS = (
    "",
    "",
    "",
    "n",
    "r",
    "l",
    "s",
    "t",
    "m",
    "k",
    "x",
    "nd",
    "rk",
    "lt",
    "st",
    "ng",
    "ss",
    "ck",
)
DOMAINS = _list(
    """
    example.net mailbox.example post.example inbox.test letters.test web.example desk.example
    """
)
ID_SHAPES = _list(
    """
    Ldddddd LL-dddd #L-dddd w_dddd LLdddLL ddddddd w-dd-LL LLL.ddd L-ddd-ddd wdddd xxxxxxxx #dddd
    w_w_dddd Lddddddd #L-ddddd LL_ddddd dddd-LL L-dddd ddddd Ldd-w #ddddddd w_dddd Ldddddd #LL-ddd
    LLddd dddddddd LLLdddd w_ddddddd L#ddd dd-dddd
    """
)
SHORT_SHAPES = _list(
    """
    Lddddd LLddd LL-ddd #dddd ddddd dddddd Ldddddd L-dddd LLdddd #ddddd dd-ddd LLLddd
    """
)


class Draw(random.Random):
    """A seeded source of choices, names and values; one per document.

    `heldout` selects the part of the name space that training never sees.
    """

    def __new__(cls, seed: str, heldout: bool = False) -> Draw:
        return super().__new__(cls, seed)  # type: ignore[call-arg]

    def __init__(self, seed: str, heldout: bool = False) -> None:
        super().__init__(seed)
        self.heldout = heldout

    def chance(self, p: float) -> bool:
        return self.random() < p

    def pick(self, items: Sequence[T]) -> T:
        return items[int(self.random() * len(items))]

    def some(self, items: Sequence[T], n: int) -> list[T]:
        return self.sample(list(dict.fromkeys(items)), n)

    def allowed(self, name: str) -> bool:
        """Names are split by hash: one in eight is held out."""
        return (zlib.crc32(name.encode()) % 8 == 0) == self.heldout

    def word(self) -> str:
        """A lower-case invented word, from one syllable to three, now and then mere letters."""
        while True:
            if self.chance(0.12):
                word = "".join(
                    self.pick("abcdefghijklmnopqrstuvwxyz") for _ in range(self.randint(3, 6))
                )
            else:
                n = self.pick((1, 2, 2, 2, 3))
                word = "".join(self.pick(ONSETS) + self.pick(VOWELS) for _ in range(n)) + self.pick(
                    CODAS
                )
            if len(word) > 2 and self.allowed(word):
                return word

    def person(self) -> str:
        last = self.word().capitalize()
        last = last + self.pick(SURNAME_ENDS) if self.chance(0.5) else last
        return f"{self.word().capitalize()} {last}"

    def email(self, person: str) -> str:
        first, last = person.lower().split(" ")
        local = self.pick(
            (f"{first}.{last}", f"{first}{last}", f"{first}_{last}", f"{first[0]}{last}", first)
        )
        return f"{local}{self.pick(('', '', str(self.randint(1, 9999))))}@{self.pick(DOMAINS)}"

    def code(self, shape: str) -> str:
        """An identifier of a shape: L letter, d digit, x hexadecimal digit, w invented word."""
        out = []
        for i, char in enumerate(shape):
            if char == "L":
                # C, I, R and W open identifiers of evaluated worlds: none opens with them here
                out.append(
                    self.pick("ABDEFGHJKLMNOPQSTUVXYZ" if i < 2 else "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
                )
            elif char == "d":
                out.append(self.pick("0123456789"))
            elif char == "x":
                out.append(self.pick("0123456789abcdef"))
            else:
                out.append(self.word() if char == "w" else char)
        return "".join(out)

    def codes(self, shape: str, n: int) -> list[str]:
        """Different identifiers of one shape."""
        found: dict[str, None] = {}
        while len(found) < n:
            found[self.code(shape)] = None
        return list(found)

    def date(self) -> str:
        return f"{self.randint(2016, 2031)}-{self.randint(1, 12):02d}-{self.randint(1, 28):02d}"

    def price(self, top: int = 900) -> float:
        whole = self.randint(1, self.pick((20, 100, top)))
        return whole + self.pick((0.0, 0.5, 0.99, 0.95, 0.25, self.randint(1, 99) / 100))

    def tool_name(self, verbs: Sequence[str], thing: str) -> str:
        """A function name of this part of the name space: verb and noun, or invented words."""
        while True:
            verb = self.pick(verbs) if self.chance(0.9) else self.word()
            noun = thing if self.chance(0.75) else self.word()
            name = self.pick(
                (
                    f"{verb}_{noun}",
                    f"{verb}_{noun}",
                    f"{verb}_{noun}_{self.pick(QUALIFIERS)}",
                    f"{noun}_{verb}",
                )
            )
            if self.chance(0.06):
                name = verb + noun.capitalize()
            if self.allowed(name):
                return name
