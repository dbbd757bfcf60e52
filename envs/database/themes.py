"""Themes: what tables are about, in the user's words and in several spellings of the database.

A question uses the user's words (`noun`, `Field.word`); the database uses one of `names`, drawn per
task. Within a table no two fields share a spelling, so that a description always tells which column
is meant.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """A property: the user's word for it, its column names, and its values or their range."""

    word: str
    names: tuple[str, ...]
    values: tuple[str, ...] = ()
    low: int = 0
    high: int = 0


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of table. `named`: its rows carry names; `date` is absent in side tables."""

    noun: str
    plural: str
    tables: tuple[str, ...]
    category: Field
    number: Field
    date: Field | None
    named: bool = True


@dataclass(frozen=True, slots=True)
class Theme:
    """Things, what happens to them (each event belongs to a thing), and a side table."""

    things: Kind
    events: Kind
    sides: Kind


def _field(word: str, names: str, values: str = "", low: int = 0, high: int = 0) -> Field:
    return Field(word, tuple(names.split()), tuple(values.split()), low, high)


def _kind(
    nouns: str, tables: str, category: Field, number: Field, date: Field | None, named: bool = True
) -> Kind:
    noun, plural = nouns.split()
    return Kind(noun, plural, tuple(tables.split()), category, number, date, named)


_SIDES = "north south east west centre hills harbour"

THEMES = (
    Theme(
        _kind(
            "reader readers", "readers members patrons",
            _field("tier", "tier plan grade", "gold silver basic student family junior"),
            _field("age", "age years years_old", "", 12, 85),
            _field("joining date", "joined member_since join_day"),
        ),
        _kind(
            "loan loans", "loans lendings checkouts",
            _field("genre", "genre topic subject", "maps poems crime travel comics plays"),
            _field("fee", "fee charge cost", "", 1, 60),
            _field("due date", "due due_day return_by"), False,
        ),
        _kind(
            "branch branches", "branches outlets houses",
            _field("district", "district quarter area", _SIDES),
            _field("seat count", "seats chairs places", "", 10, 99), None,
        ),
    ),
    Theme(
        _kind(
            "athlete athletes", "athletes clients trainees",
            _field("sport", "sport discipline activity", "rowing boxing judo running tennis"),
            _field("weight", "weight kg body_mass", "", 45, 110),
            _field("signing date", "signed signed_on sign_day"),
        ),
        _kind(
            "session sessions", "sessions trainings workouts",
            _field("room", "room studio space", "red blue green white amber black"),
            _field("duration", "duration minutes length_min", "", 15, 120),
            _field("session date", "day held_on session_day"), False,
        ),
        _kind(
            "coach coaches", "coaches trainers teachers",
            _field("language", "language tongue speaks", "danish polish greek dutch finnish"),
            _field("wage", "wage pay hourly_rate", "", 12, 70), None,
        ),
    ),
    Theme(
        _kind(
            "van vans", "vans vehicles trucks",
            _field("fuel", "fuel energy power", "diesel petrol gas hybrid hydrogen"),
            _field("load", "load payload max_load", "", 300, 2000),
            _field("inspection date", "inspected inspection checked_on"),
        ),
        _kind(
            "trip trips", "trips drives rides",
            _field("cargo", "cargo goods freight", "bricks fruit paper glass timber tiles"),
            _field("distance", "distance km mileage", "", 20, 900),
            _field("trip date", "day driven_on trip_day"), False,
        ),
        _kind(
            "depot depots", "depots garages yards",
            _field("region", "region zone part", _SIDES),
            _field("bay count", "bays slots places", "", 2, 60), None,
        ),
    ),
    Theme(
        _kind(
            "pet pets", "pets animals patients",
            _field("species", "species animal_kind creature", "cat dog rabbit parrot goat ferret"),
            _field("weight", "weight kg body_mass", "", 1, 60),
            _field("birth date", "born birth birthday"),
        ),
        _kind(
            "visit visits", "visits checkups appointments",
            _field("reason", "reason cause complaint", "teeth vaccine surgery skin cough limp"),
            _field("bill", "bill charge amount", "", 20, 400),
            _field("visit date", "day seen_on visit_day"), False,
        ),
        _kind(
            "vet vets", "vets doctors medics",
            _field("specialty", "specialty field expertise", "bones eyes hearts birds horses"),
            _field("experience", "experience years_worked seniority", "", 1, 40), None,
        ),
    ),
    Theme(
        _kind(
            "plot plots", "plots beds fields",
            _field("soil", "soil ground earth", "clay sand loam chalk peat"),
            _field("size", "size area square_metres", "", 5, 90),
            _field("planting date", "planted sown_on plant_day"),
        ),
        _kind(
            "harvest harvests", "harvests yields pickings",
            _field("crop", "crop plant produce", "beans leeks plums kale pears onions"),
            _field("weight", "weight kg mass", "", 2, 150),
            _field("harvest date", "day picked_on harvest_day"), False,
        ),
        _kind(
            "machine machines", "machines devices engines",
            _field("maker", "maker brand producer", "Alto Brin Corva Delp Ensa"),
            _field("price", "price cost value", "", 30, 900), None,
        ),
    ),
    Theme(
        _kind(
            "guide guides", "guides hosts docents",
            _field("language", "language tongue speaks", "danish polish greek dutch finnish"),
            _field("salary", "salary pay wage", "", 20, 90),
            _field("hiring date", "hired hired_on hire_day"),
        ),
        _kind(
            "tour tours", "tours walks rounds",
            _field("theme", "theme topic subject", "coins ships masks clocks fossils robots"),
            _field("group size", "group_size guests people", "", 3, 45),
            _field("tour date", "day led_on tour_day"), False,
        ),
        _kind(
            "gallery galleries", "galleries wings chambers",
            _field("floor", "floor storey level", "cellar ground first second attic"),
            _field("visitor limit", "visitor_limit capacity max_people", "", 15, 200), None,
        ),
    ),
    Theme(
        _kind(
            "baker bakers", "bakers cooks chefs",
            _field("shift", "shift duty work_time", "dawn morning noon evening night"),
            _field("age", "age years years_old", "", 17, 68),
            _field("hiring date", "hired hired_on hire_day"),
        ),
        _kind(
            "batch batches", "batches bakes lots",
            _field("product", "product bread item", "rye rolls cake buns pretzel tart"),
            _field("quantity", "quantity pieces units", "", 10, 300),
            _field("baking date", "day baked_on bake_day"), False,
        ),
        _kind(
            "oven ovens", "ovens furnaces kilns",
            _field("maker", "maker brand producer", "Alto Brin Corva Delp Ensa"),
            _field("top heat", "top_heat max_temp degrees", "", 180, 450), None,
        ),
    ),
    Theme(
        _kind(
            "actor actors", "actors players performers",
            _field("voice", "voice register pitch", "bass tenor alto soprano baritone"),
            _field("height", "height cm body_height", "", 150, 205),
            _field("contract date", "contracted contract_day signed_on"),
        ),
        _kind(
            "show shows", "shows performances evenings",
            _field("style", "style genre form", "comedy opera drama mime revue ballet"),
            _field("audience", "audience viewers tickets_sold", "", 20, 600),
            _field("show date", "day played_on show_day"), False,
        ),
        _kind(
            "stage stages", "stages venues halls",
            _field("district", "district quarter area", _SIDES),
            _field("seat count", "seats chairs places", "", 40, 700), None,
        ),
    ),
)  # fmt: skip

_NAMES = """
    Adair Bram Corin Dell Emil Faye Gero Hana Ilka Joss Kade Lene Mira Nils Odin Pia Quill
    Renn Suki Tove Ugo Vera Wren Xenia Yara Zeno Arlo Brisa Cato Dina Eskil Fenn Gilda Heron
    Iver Jana Kurt Lior Maud Nora Otis Petra Rosa Sven Tal Ursa Vance Wanda Yorick Zander Alba
    Boris Celia Darek Elke Fritz Greta Hugo Irma Jorn
"""
NAMES = tuple(_NAMES.split())
