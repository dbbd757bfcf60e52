"""Five wordings for each kind of request; the last of each is kept for the held-out wordings.

What a refusal is closed with is always the first function named.
"""

from __future__ import annotations

_WRITE = (
    "Let {function} give {words}.",
    "{function} should give {words}.",
    "Write a new body for {function}: {words}.",
    "Please make {function} return {words}.",
    "I need {words} from {function}.",
)

WORDINGS: dict[str, tuple[str, ...]] = {
    "value_of": (
        "What does {function} give for a={a} and b={b}?",
        "Run {function} with a={a}, b={b}.",
        "Tell me the value of {function} at a={a}, b={b}.",
        "With a={a} and b={b}, what comes out of {function}?",
        "I want to see {function} at work: a={a}, b={b}.",
    ),
    "tests_of": (
        "How many tests does {function} pass?",
        "Count the tests that {function} passes.",
        "I need the number of tests that {function} passes.",
        "Of the tests of {function}, how many pass?",
        "{function}: the number of passing tests, please.",
    ),
    "count_module": (
        "How many functions of {module} are {status}?",
        "Count what is {status} in {module}.",
        "In {module}, how many functions stand as {status}?",
        "Give me the number of functions of {module} that are {status}.",
        "Module {module}: how much of it is {status}?",
    ),
    "write_body": _WRITE,
    "declined": _WRITE,
    "release": (
        "Release {function}.",
        "Please release {function} now.",
        "{function} can go out; release it.",
        "I would like {function} to be released.",
        "It is time that {function} gets released.",
    ),
    "where_is": (
        "Which module has {function}?",
        "In what module does {function} stand?",
        "Name the module of {function}.",
        "Where does {function} live? I need its module.",
        "I look for the module that {function} is in.",
    ),
    "unsupported": (
        "Take {function} and {deed}.",
        "For {function}, please {deed}.",
        "{function} is ready, so {deed}.",
        "With {function} in hand, {deed}.",
        "About {function}: {deed}, please.",
    ),
    "unsupported_plan": (
        "If {function} passes its tests, {deed}; if not, let it give {words}.",
        "Test {function}. Where all is well {deed}, otherwise make it {words}.",
        "{function} should give {words}; test it, release it and {deed}.",
        "Once {function} gives {words} and is released, {deed}.",
        "First {function} has to give {words}, then {deed}.",
    ),
    "declined_plan": (
        "If {function} gives over {limit} for a={a} and b={b}, let it give {words}.",
        "Let {function} give {words} if the tests of {other} pass, else {else}.",
        "{function} should give {words}. Mend, test and release it.",
        "Test {other}; if that passes, {function} should give {words} and be released.",
        "Try to release {function}; should its tests stop that, it gives {words}.",
    ),
    "mend": (
        "{function} should give {words}. If its tests fail, mend it and test again.",
        "Test {function}; where that fails, let it give {words} and test once more.",
        "Do the tests of {function} pass? If not, its body should be {words}; test it then.",
        "See whether {function} passes. It has to give {words}; mend and test it if need be.",
        "The aim of {function} is {words}. Test, mend what fails, and test anew.",
    ),
    "release_if": (
        "Release {function} if it gives more than {limit} for a={a} and b={b}, else say how many "
        "tests pass.",
        "If {function} is above {limit} at a={a}, b={b}, release it; if not, count its passing "
        "tests.",
        "For a={a}, b={b}: where {function} gives over {limit} it goes out, else I want to know "
        "how many tests pass.",
        "{function} may be released if a={a} and b={b} give more than {limit}; otherwise count the "
        "tests that pass.",
        "At a={a} and b={b} the value of {function} decides: over {limit} release, else count "
        "passing tests.",
    ),
    "larger": (
        "Which gives more for a={a} and b={b}, {function} or {other}? I need the value.",
        "Compare {function} with {other} at a={a}, b={b} and name the larger value.",
        "With a={a} and b={b}, is {function} larger or {other}, and how much is it?",
        "At a={a}, b={b}: the larger value of {function} and {other}, please.",
        "Run {function} and {other} on a={a}, b={b}. Whose value wins?",
    ),
    "copy_body": (
        "Give {function} the same body as {other}.",
        "Let {function} do what {other} does.",
        "{function} should have the body of {other}.",
        "Copy into {function} what stands in {other}.",
        "Make {function} a twin of {other}.",
    ),
    "only_draft": (
        "The draft in {module} should give {words}.",
        "One function of {module} is a draft; let it give {words}.",
        "In {module}, write {words} into the draft.",
        "Find the draft of {module} and make it return {words}.",
        "{module} has a draft. What it needs is {words}.",
    ),
    "either_body": (
        "If {other} passes all tests, {function} gives {words}, else {else}.",
        "Let {function} give {words} where {other} passes its tests; if not, {else}.",
        "Test {other}: with all passing {function} should give {words}, otherwise {else}.",
        "{function} depends on the tests of {other}: {words} if they pass, else {else}.",
        "Should {other} pass, write {words} into {function}; should it fail, {else}.",
    ),
    "mend_release": (
        "Read {function}, make it give {words}, test and release it.",
        "{function} is wrong: it should give {words}. Look at it, mend it, test it, release it.",
        "See what {function} does; right is {words}. Mend, test and release.",
        "I want {function} released, giving {words}. Read it first, and test the new body.",
        "Have a look at {function}. It must give {words}; when tested, it goes out.",
    ),
    "release_recover": (
        "Release {function}. If its tests stop that, let it give {words}, test it and try again.",
        "Try to release {function}; where that is refused, make it {words}, test and release it.",
        "{function} goes out now. Is it refused, then write {words}, test, and release once more.",
        "Please release {function}, and if the tests fail mend it to give {words}, test, release.",
        "Out with {function}! When it is held back, {words} is right: mend, test, release.",
    ),
    "mend_module": (
        "One of two functions in {module} fails its tests; test them in order and let the bad one "
        "give {words}.",
        "In {module}, find by tests the function that fails. It should give {words}.",
        "Test the functions of {module} one by one until one fails, and make that give {words}.",
        "{module} has a function with failing tests; list, test, and let it give {words}.",
        "Something in {module} fails. Find out what, for it has to give {words}.",
    ),
    "best_of_three": (
        "Of {function}, {other} and {third}, release the one that gives the {wish} for a={a}, "
        "b={b}.",
        "Run {function}, {other} and {third} for a={a} and b={b}; release what gives the {wish}.",
        "Release one of {function}, {other}, {third}: the one with the {wish} at a={a}, b={b}.",
        "At a={a}, b={b}, who gives the {wish} of {function}, {other} and {third}? Release it.",
        "Three functions compete, {function}, {other}, {third}. For a={a}, b={b} the {wish} is "
        "released.",
    ),
    "copy_release": (
        "Give {function} the body of {other}, test it and release it if all tests pass.",
        "Let {function} do what {other} does; test it, and release it where nothing fails.",
        "Copy {other} into {function}, then test, and release {function} if that passes.",
        "{function} gets the body of {other}. With all tests passing it is released.",
        "What stands in {other} goes into {function}; test that and, if well, release it.",
    ),
    "carry_value": (
        "Run {function} for a={a}, b={b}. Run {other} with the value as a, and b={b}. {third} "
        "should give {words}. What does it give for a={c}, b={d}?",
        "{function} at a={a}, b={b} gives the a of {other}, with b={b}; that gives a number. Let "
        "{third} give {words}, and run it for a={c}, b={d}.",
        "Put the value of {function} at a={a}, b={b} into {other} as a, b={b}. From the number it "
        "gives, {third} is {words}. Run {third} at a={c}, b={d}.",
        "First {function} with a={a}, b={b}, then {other} with that as a and b={b}. Now {third} is "
        "{words}; its value at a={c}, b={d}?",
        "From {function} (a={a}, b={b}) to {other} (its value, b={b}) to {third}, which is "
        "{words}: what has it for a={c}, b={d}?",
    ),
}
