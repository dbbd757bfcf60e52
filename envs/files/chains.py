"""Level 3: chains of four or five calls, where results decide, and recovery from refusals."""

from __future__ import annotations

from tooldojo.envs.files.scene import Scene, name_of
from tooldojo.envs.gold import Script
from tooldojo.envs.templates import Sketch

PLACES = tuple(f"{wish}_{place}" for wish in ("largest", "smallest") for place in ("first", "last"))


def edit_move(scene: Scene, condition: str) -> Sketch:
    """Find a file by a word, change the number, then move or lock the file, and look at it."""
    word, folder, goes, new = scene.word(), scene.folder(), scene.folder(), scene.number()
    old = f"{word} {scene.number()}"
    path = scene.file(folder, [old])
    scene.file(folder)
    thought = f"I search {folder} for the word {word}."
    story = Script().do(thought, "search_word", folder=folder, word=word)
    why = f"{name_of(path)} has {old}, which becomes {word} {new}."
    story.do(why, "replace_line", path=path, old=old, new=f"{word} {new}")
    where = path
    if condition == "move":
        where = f"{goes}/{name_of(path)}"
        story.do(f"It is changed and goes to {goes}.", "move_file", path=path, folder=goes)
    else:
        story.do("It is changed, and now I lock it.", "set_mode", path=path, mode="locked")
    story.do(f"Last I look at {where}.", "show_file", path=where)
    count = len(scene.lines(path))
    deed = f"move the file to {goes}" if condition == "move" else "lock the file"
    fields = {"folder": folder, "word": word, "number": str(new), "deed": deed}
    why = f"All is done, and the file has {count} lines."
    return Sketch(fields, story.close(why, f"Result: {count} {path}"))


def pack_recover(scene: Scene, condition: str) -> Sketch:
    """Pack a folder; where a locked file stops that, open it and pack again."""
    folder = scene.folder()
    path = scene.file(folder, mode=condition)
    for _ in range(scene.rng.randint(1, 2)):
        scene.file(folder)
    story = Script().do(f"First I list the files of {folder}.", "list_folder", folder=folder)
    story.do(f"They are known now, so I pack {folder}.", "pack_folder", folder=folder)
    if condition == "locked":
        story.do(f"{path} is locked, so I open it.", "set_mode", path=path, mode="open")
        story.do(f"It is open; I pack {folder} again.", "pack_folder", folder=folder)
    done = f"The folder {folder} is packed now."
    return Sketch({"folder": folder}, story.close(done, f"Result: packed {folder}"))


def move_both(scene: Scene, condition: str) -> Sketch:
    """Move the two files that have a word; open one first where it is locked."""
    word, folder, goes = scene.word(), scene.folder(), scene.folder()
    paths = sorted(scene.file(folder, [f"{word} {scene.number()}"]) for _ in range(2))
    scene.file(folder)
    scene.files[paths[0]]["mode"] = condition
    thought = f"I search {folder} for the word {word}."
    story = Script().do(thought, "search_word", folder=folder, word=word)
    why = f"Two files have it; {name_of(paths[0])} goes first."
    story.do(why, "move_file", path=paths[0], folder=goes)
    if condition == "locked":
        story.do(f"{paths[0]} is locked, so I open it.", "set_mode", path=paths[0], mode="open")
        thought = f"It is open; I move it to {goes} again."
        story.do(thought, "move_file", path=paths[0], folder=goes)
    story.do(f"Now {name_of(paths[1])} goes to {goes}.", "move_file", path=paths[1], folder=goes)
    if condition == "open":
        story.do(f"Both are moved; I list {goes}.", "list_folder", folder=goes)
    fields = {"folder": folder, "word": word, "other": goes}
    done = f"Both files stand in {goes} now."
    return Sketch(fields, story.close(done, f"Result: moved {paths[1]}"))


def note_best(scene: Scene, condition: str) -> Sketch:
    """Note the largest or smallest of a word's numbers in three files in a fourth one."""
    wish, place = condition.split("_")
    word = scene.word()
    numbers = sorted(scene.rng.sample(range(100, 1000), 3), reverse=wish == "largest")
    if place == "last":
        numbers.reverse()
    best = numbers[0 if place == "first" else 2]
    paths = [scene.file(None, [f"{word} {number}"]) for number in numbers]
    path = scene.file()
    story = Script().do(f"First I look at {paths[0]}.", "show_file", path=paths[0])
    for index in (1, 2):
        thought = f"It has {word} {numbers[index - 1]}; now {paths[index]}."
        story.do(thought, "show_file", path=paths[index])
    why = f"It has {word} {numbers[2]}; the {wish} number is {best}."
    story.do(why, "add_line", path=path, line=f"{word} {best}")
    fields = {"path": paths[0], "other": paths[1], "third": paths[2], "note": path}
    fields |= {"word": word, "wish": wish}
    done = f"The line stands in {path} now."
    return Sketch(fields, story.close(done, f"Result: changed {path}"))


def hand_over(scene: Scene, condition: str) -> Sketch:
    """Copy the first or last line of a file to another one, lock the first, move the second."""
    path, other, folder = scene.file(), scene.file(), scene.folder()
    text = scene.lines(path)[0 if condition == "first" else -1]
    story = Script().do(f"I need the {condition} line of {path}.", "show_file", path=path)
    why = f"The {condition} line is {text}; {other} gets it."
    story.do(why, "add_line", path=other, line=text)
    story.do(f"The line is copied, so I lock {path}.", "set_mode", path=path, mode="locked")
    thought = f"It is locked; last, {other} goes to {folder}."
    story.do(thought, "move_file", path=other, folder=folder)
    done = f"All is done, and {other} is in {folder}."
    fields = {"path": path, "other": other, "folder": folder, "place": condition}
    return Sketch(fields, story.close(done, f"Result: moved {other}"))


def rename_word(scene: Scene, condition: str) -> Sketch:
    """Put one word for another, keeping its number, in the file that has it, and lock that file."""
    word, new, folder, number = scene.word(), scene.word(), scene.folder(), scene.number()
    old, text = f"{word} {number}", f"{new} {number}"
    path = scene.file(folder, [old], mode=condition)
    scene.file(folder)
    thought = f"I search {folder} for the word {word}."
    story = Script().do(thought, "search_word", folder=folder, word=word)
    why = f"{name_of(path)} has {old}, which becomes {text}."
    story.do(why, "replace_line", path=path, old=old, new=text)
    if condition == "locked":
        story.do(f"{path} is locked, so I open it.", "set_mode", path=path, mode="open")
        again = f"It is open; I write {text} again."
        story.do(again, "replace_line", path=path, old=old, new=text)
    story.do("The line is changed, and now I lock it.", "set_mode", path=path, mode="locked")
    done = f"The word is {new} in {name_of(path)} now."
    fields = {"folder": folder, "word": word, "new": new}
    return Sketch(fields, story.close(done, f"Result: changed {path}"))


def merge_sorted(scene: Scene, condition: str) -> Sketch:
    """Write the lines of a folder, sorted and each once, over a file, opened first if locked."""
    folder, shared = scene.folder(), f"{scene.word()} {scene.number()}"
    sources = [scene.file(folder, [shared]) for _ in range(2)]
    path = scene.file(mode=condition)
    command = f"sort -u {folder}/* > {path}"
    story = Script().do(f"First I list the files of {folder}.", "list_folder", folder=folder)
    thought = f"I sort the lines of all of them into {path}."
    story.do(thought, "run_command", command=command)
    if condition == "locked":
        story.do(f"{path} is locked, so I open it.", "set_mode", path=path, mode="open")
        story.do("It is open; I run the same command again.", "run_command", command=command)
    count = len({line for source in sources for line in scene.lines(source)})
    story.do(f"It is written; I count the lines of {path}.", "show_file", path=path)
    why = f"The file {path} has {count} lines now."
    return Sketch({"folder": folder, "path": path}, story.close(why, f"Result: {count} {path}"))
