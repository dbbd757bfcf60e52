"""Level 1: questions and single changes, in one or two calls, and requests without any call."""

from __future__ import annotations

from tooldojo.envs.files.scene import Scene, name_of
from tooldojo.envs.gold import Script
from tooldojo.envs.templates import Sketch

_THINGS = {
    "print": ("print it", "print two copies", "print it on card", "print a poster of it"),
    "voice": ("read it aloud", "record it", "sing it", "dictate it to a friend"),
    "paint": ("paint its title page", "draw its border", "frame it", "illustrate it"),
}
THING_KINDS = tuple(_THINGS)
DEEDS = ("move", "add", "lock")


def count_lines(scene: Scene, condition: str) -> Sketch:
    """How many lines a file has; or it does not exist."""
    path = scene.file() if condition == "known" else scene.path()
    story = Script().do(f"I look at the lines of {path}.", "show_file", path=path)
    if condition == "unknown":
        why, line = f"There is no file {path}, so it is unknown.", f"Result: unknown {path}"
    else:
        count = len(scene.lines(path))
        why, line = f"There are {count} lines in {path}.", f"Result: {count} {path}"
    return Sketch({"path": path}, story.close(why, line))


def number_of(scene: Scene, condition: str) -> Sketch:
    """The number of a word in a file, or in the only file of a folder that has it."""
    word, number, folder = scene.word(), scene.number(), scene.folder()
    path = scene.file(folder, [f"{word} {number}"])
    fields = {"word": word, "place": path if condition == "file" else folder}
    if condition == "file":
        story = Script().do(f"I look for {word} in {path}.", "show_file", path=path)
    else:
        scene.file(folder)
        thought = f"I search {folder} for the word {word}."
        story = Script().do(thought, "search_word", folder=folder, word=word)
    why = f"The number of {word} is {number}."
    return Sketch(fields, story.close(why, f"Result: {number} {fields['place']}"))


def which_file(scene: Scene, condition: str) -> Sketch:
    """The file of a folder that has a word; or none has it."""
    word, folder = scene.word(), scene.folder()
    path = scene.file(folder, [f"{word} {scene.number()}"] if condition == "found" else [])
    scene.file(folder)
    thought = f"I search {folder} for the word {word}."
    story = Script().do(thought, "search_word", folder=folder, word=word)
    why, line = f"It stands in {name_of(path)} alone.", f"Result: {name_of(path)} {folder}"
    if condition == "none":
        why, line = f"No file of {folder} has it, so it is none.", f"Result: none {folder}"
    return Sketch({"word": word, "folder": folder}, story.close(why, line))


def move_named(scene: Scene, condition: str) -> Sketch:
    """Move a file; a lock may stop that."""
    path, folder = scene.file(mode=condition), scene.folder()
    thought = f"I move {path} to {folder} as asked."
    story = Script().do(thought, "move_file", path=path, folder=folder)
    why, line = f"The file now stands in {folder}.", f"Result: moved {path}"
    if condition == "locked":
        why, line = f"{path} is locked, so it stays there.", f"Result: stopped {path}"
    return Sketch({"path": path, "folder": folder}, story.close(why, line))


def add_named(scene: Scene, condition: str) -> Sketch:
    """Add a line to a file, given as a line or as a word and a number."""
    path, text = scene.file(), f"{scene.word()} {scene.number()}"
    word, number = text.split()
    story = Script().do(f"I add the line {text} to {path}.", "add_line", path=path, line=text)
    given = f"the line {text}" if condition == "line" else f"{word} with the number {number}"
    done = f"The file {path} has the new line."
    return Sketch({"path": path, "given": given}, story.close(done, f"Result: changed {path}"))


def mode_named(scene: Scene, condition: str) -> Sketch:
    """Open or lock a file."""
    verb, other = {"open": ("open", "locked"), "locked": ("lock", "open")}[condition]
    path = scene.file(mode=other)
    story = Script().do(f"I {verb} {path} as asked.", "set_mode", path=path, mode=condition)
    code = {"open": "opened", "locked": "locked"}[condition]
    done = f"The file {path} is {condition} from now on."
    return Sketch({"path": path, "verb": verb}, story.close(done, f"Result: {code} {path}"))


def unsupported(scene: Scene, condition: str) -> Sketch:
    """Something that no tool can do, perhaps under a condition; no call."""
    word, thing = scene.word(), scene.rng.choice(_THINGS[condition])
    path = scene.file(None, _perhaps(scene, word))
    fields = {"path": path, "thing": thing, "word": word, "folder": scene.folder()}
    why = "No tool can do that, so I call nothing."
    return Sketch(fields, Script().close(why, f"Result: unsupported {path}"))


def declined(scene: Scene, condition: str) -> Sketch:
    """A change of something in a vault, perhaps under a condition; no call."""
    folder, word, goes = scene.folder("vault"), scene.word(), scene.folder()
    path, other = (scene.file(place, _perhaps(scene, word)) for place in (folder, None))
    deed = {
        "move": f"move it to {goes}",
        "add": f"add the line {word} {scene.number()} to it",
        "lock": "lock it",
    }[condition]
    fields = {"path": path, "deed": deed, "other": other, "word": word}
    why = f"The folder {folder} is a vault, so I call nothing."
    return Sketch(fields, Script().close(why, f"Result: refused {path}"))


def _perhaps(scene: Scene, word: str) -> list[str]:
    """A line with the word, or none: a condition on it holds as often as not."""
    return scene.rng.choice(([], [f"{word} {scene.number()}"]))
