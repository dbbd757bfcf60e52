"""Level 2: one decision, by what files hold, or a lock in the way."""

from __future__ import annotations

from tooldojo.envs.files.scene import Scene, name_of
from tooldojo.envs.gold import Script
from tooldojo.envs.templates import Sketch


def edit_number(scene: Scene, condition: str) -> Sketch:
    """Give a word of a file another number, given or taken from another word of it."""
    word, new = scene.word(), scene.number()
    old = f"{word} {scene.number()}"
    like = f"{scene.word()} {new}"
    path = scene.file(None, [old, like] if condition == "like" else [old])
    story = Script().do(f"I look for the line of {word}.", "show_file", path=path)
    why = f"The line is {old}, which becomes {word} {new}."
    story.do(why, "replace_line", path=path, old=old, new=f"{word} {new}")
    given = f"the number of {like.split()[0]}" if condition == "like" else f"the number {new}"
    done = f"The line of {word} has its new number."
    fields = {"path": path, "word": word, "given": given}
    return Sketch(fields, story.close(done, f"Result: changed {path}"))


def move_or_lock(scene: Scene, condition: str) -> Sketch:
    """Move a file if it has a word, lock it if not."""
    word, folder = scene.word(), scene.folder()
    path = scene.file(None, [f"{word} {scene.number()}"] if condition == "has" else [])
    fields = {"path": path, "word": word, "folder": folder}
    story = Script().do(f"I see whether {path} has {word}.", "show_file", path=path)
    if condition == "has":
        why = f"It has {word}, so it goes to {folder}."
        story.do(why, "move_file", path=path, folder=folder)
        return Sketch(fields, story.close(f"It is in {folder} now.", f"Result: moved {path}"))
    why = f"It does not have {word}, so I lock it."
    story.do(why, "set_mode", path=path, mode="locked")
    return Sketch(fields, story.close(f"The file {path} is locked.", f"Result: locked {path}"))


def larger_number(scene: Scene, condition: str) -> Sketch:
    """In which of two files a word has the larger number."""
    word = scene.word()
    low, high = sorted(scene.rng.sample(range(100, 1000), 2))
    numbers = (high, low) if condition == "first" else (low, high)
    paths = [scene.file(None, [f"{word} {number}"]) for number in numbers]
    story = Script().do(f"First I look at {paths[0]}.", "show_file", path=paths[0])
    story.do(f"It has {word} {numbers[0]}; now {paths[1]}.", "show_file", path=paths[1])
    path = paths[condition == "second"]
    why = f"It has {word} {numbers[1]}, so the larger is {high}."
    fields = {"path": paths[0], "other": paths[1], "word": word}
    return Sketch(fields, story.close(why, f"Result: {high} {path}"))


def found_file(scene: Scene, condition: str) -> Sketch:
    """Move or lock the file of a folder that has a word."""
    word, folder, goes = scene.word(), scene.folder(), scene.folder()
    path = scene.file(folder, [f"{word} {scene.number()}"])
    for _ in range(scene.rng.randint(1, 2)):
        scene.file(folder)
    thought = f"I search {folder} for the word {word}."
    story = Script().do(thought, "search_word", folder=folder, word=word)
    why = f"It stands in {name_of(path)}, so I {condition} that."
    if condition == "move":
        story.do(why, "move_file", path=path, folder=goes)
    else:
        story.do(why, "set_mode", path=path, mode="locked")
    deed = f"move it to {goes}" if condition == "move" else "lock it"
    code = {"move": "moved", "lock": "locked"}[condition]
    fields = {"folder": folder, "word": word, "deed": deed}
    return Sketch(fields, story.close(f"This is done for {path}.", f"Result: {code} {path}"))


def open_first(scene: Scene, condition: str) -> Sketch:
    """Add a line to a file, which is opened first if it is locked."""
    path, text = scene.file(mode=condition), f"{scene.word()} {scene.number()}"
    story = Script().do(f"I add the line {text} to {path}.", "add_line", path=path, line=text)
    if condition == "locked":
        story.do(f"{path} is locked, so I open it.", "set_mode", path=path, mode="open")
        story.do(f"It is open; I add {text} again.", "add_line", path=path, line=text)
    done = f"The file {path} has the new line."
    return Sketch({"path": path, "line": text}, story.close(done, f"Result: changed {path}"))


def pack_if(scene: Scene, condition: str) -> Sketch:
    """Pack a folder if it has more files than a limit."""
    folder, count = scene.folder(), scene.rng.randint(2, 4)
    for _ in range(count):
        scene.file(folder)
    limit = count - 1 if condition == "more" else count + scene.rng.randint(0, 1)
    fields = {"folder": folder, "limit": str(limit)}
    story = Script().do(f"I count the files of {folder}.", "list_folder", folder=folder)
    if condition == "fewer":
        longest = max(len(about["lines"]) for about in scene.files.values())
        why = f"There are {count}, not above {limit}; the most lines are {longest}."
        return Sketch(fields, story.close(why, f"Result: kept {longest} {folder}"))
    story.do(f"There are {count}, above {limit}, so I pack it.", "pack_folder", folder=folder)
    return Sketch(
        fields, story.close(f"The folder {folder} is packed now.", f"Result: packed {folder}")
    )


def over_folder(scene: Scene, condition: str) -> Sketch:
    """Of all lines of a folder with a word: how many, or the largest or smallest number."""
    word, folder, count = scene.word(), scene.folder(), scene.rng.randint(2, 4)
    numbers = scene.rng.sample(range(100, 1000), count)
    for number in numbers:
        scene.file(folder, [f"{word} {number}"])
    scene.file(folder)
    last = {"count": "wc -l", "largest": "sort -k2n | tail -n1", "smallest": "sort -k2n | head -n1"}
    value = {"count": count, "largest": max(numbers), "smallest": min(numbers)}[condition]
    command = f"grep -hw {word} {folder}/* | {last[condition]}"
    thought = f"One command on all files of {folder} tells it."
    story = Script().do(thought, "run_command", command=command)
    asked = "count of lines" if condition == "count" else f"{condition} number"
    why = f"The {asked} with {word} is {value}."
    fields = {"folder": folder, "word": word, "asked": asked}
    return Sketch(fields, story.close(why, f"Result: {value} {folder}"))
