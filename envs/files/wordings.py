"""Five wordings for each kind of request; the last of each is kept for the held-out wordings.

What a refusal is closed with is always the first file or folder named.
"""

from __future__ import annotations

WORDINGS: dict[str, tuple[str, ...]] = {
    "count_lines": (
        "How many lines has {path}?",
        "Count the lines of {path}.",
        "I need the number of lines in {path}.",
        "{path}: how many lines are there?",
        "Of how many lines does {path} consist?",
    ),
    "number_of": (
        "What number has {word} in {place}?",
        "Look up {word} in {place} and tell me its number.",
        "In {place}, which number stands beside {word}?",
        "I need the number of {word} from {place}.",
        "{place} mentions {word}. With what number?",
    ),
    "which_file": (
        "Which file of {folder} has {word}?",
        "Find {word} in {folder} and name the file.",
        "In {folder}, what is the name of the file with {word}?",
        "Search {folder} for {word}. Which file is it?",
        "Somewhere in {folder} might be {word}. Name the file.",
    ),
    "move_named": (
        "Move {path} to {folder}.",
        "Please put {path} into {folder}.",
        "{path} should stand in {folder}.",
        "I want {path} moved to {folder}.",
        "The place of {path} is {folder} from now on.",
    ),
    "add_named": (
        "Add {given} to {path}.",
        "Please write {given} at the end of {path}.",
        "{path} needs {given} as its last line.",
        "Put {given} below what {path} has.",
        "At the end of {path} there should be {given}.",
    ),
    "mode_named": (
        "Please {verb} {path}.",
        "I want you to {verb} {path}.",
        "{path}: {verb} it.",
        "Would you {verb} the file {path}?",
        "The file to {verb} is {path}.",
    ),
    "unsupported": (
        "Take {path} and {thing}.",
        "About {path}: {thing}, please.",
        "{path} is done, so {thing}.",
        "With {path}, please {thing}.",
        "What I want for {path} is this: {thing}.",
    ),
    "declined": (
        "Take {path} and {deed}.",
        "About {path}: {deed}, please.",
        "{path} is done, so {deed}.",
        "With {path}, please {deed}.",
        "What I want for {path} is this: {deed}.",
    ),
    "unsupported_plan": (
        "If {path} has {word}, {thing}; if not, move it to {folder}.",
        "See whether {path} has {word}. Where it does, {thing}, else lock it.",
        "Add {word} 12 to {path}, then {thing}.",
        "First look at {path}, then {thing}, and move it to {folder}.",
        "Once {path} is in {folder}, {thing}.",
    ),
    "declined_plan": (
        "See whether {path} has {word}. Where it does, {deed}.",
        "If {path} has {word}, {deed}; if not, lock {other}.",
        "First look at {path}, then {deed}, and move {other} there, too.",
        "Take {path} and {deed}; after that lock {other}.",
        "Once {path} was read, {deed}, unless {other} has {word}.",
    ),
    "edit_number": (
        "In {path}, give {word} {given}.",
        "Change {path}: {word} gets {given}.",
        "{word} in {path} should have {given}.",
        "Edit {path} so that {word} has {given}.",
        "The line of {word} in {path} is wrong; right is {given}.",
    ),
    "move_or_lock": (
        "If {path} has {word}, move it to {folder}, else lock it.",
        "Move {path} to {folder} where it has {word}; if not, lock it.",
        "Look for {word} in {path}: if it is there the file goes to {folder}, otherwise lock it.",
        "{path} goes to {folder} provided that it has {word}; if not it is locked.",
        "With {word} in it {path} belongs to {folder}, without it under a lock.",
    ),
    "larger_number": (
        "Has {path} or {other} the larger number for {word}, and which is it?",
        "Compare {word} in {path} and {other}: I need the larger number.",
        "What is the larger number of {word}, that in {path} or that in {other}?",
        "Of {path} and {other}, tell me the larger number that {word} has.",
        "{word} stands in {path} and in {other}. Which number is larger?",
    ),
    "found_file": (
        "Find the file of {folder} that has {word} and {deed}.",
        "In {folder}, one file has {word}; {deed}.",
        "Search {folder} for {word}; what has it, {deed}.",
        "Which file of {folder} has {word}? Please {deed}.",
        "Somewhere in {folder} is {word}. Find that file and {deed}.",
    ),
    "open_first": (
        "Add the line {line} to {path}; if that is locked, open it first.",
        "{path} needs the line {line}. Should a lock stop you, open the file.",
        "Write {line} at the end of {path}, and open the file where it is locked.",
        "Put {line} into {path}. You may open it.",
        "The line {line} belongs in {path}; a lock is no reason not to, open it.",
    ),
    "pack_if": (
        "Pack {folder} if it has more than {limit} files, else tell me the lines of its longest "
        "file.",
        "If {folder} has over {limit} files, pack it; if not, how many lines has the longest?",
        "Count the files of {folder}: above {limit} it is packed, otherwise I want the number of "
        "lines of the longest.",
        "{folder} is to be packed when it has more than {limit} files; if it has not, give the "
        "lines of the longest file.",
        "Over {limit} files are too much for {folder}: then pack it. Else say how long the longest "
        "is.",
    ),
    "edit_move": (
        "Find {word} in {folder}, give it the number {number}, {deed}, then count its lines.",
        "In {folder}, the file with {word} is wrong: the number is {number}. Mend that, {deed}, "
        "and say how many lines it has.",
        "Search {folder} for {word}, change its number to {number}, {deed}. Last, look how many "
        "lines the file has.",
        "{word} in {folder} should have {number}. Change it, {deed}, and count the lines of the "
        "file.",
        "The number of {word} in {folder} is {number} now. Write that, {deed}; how many lines are "
        "in it?",
    ),
    "pack_recover": (
        "List {folder} and pack it. If a lock stops that, open the file and pack again.",
        "See what {folder} has, then pack it; a locked file may be opened.",
        "Look at {folder} and pack it, opening what is locked.",
        "After a look at the list, pack {folder}. Where a file is locked, open it and try again.",
        "I want {folder} listed and packed, and no lock should stop that: open it.",
    ),
    "move_both": (
        "Two files of {folder} have {word}. Move both to {other} in the order of their names, open "
        "what is locked, and see that they are there.",
        "In the order of their names, move the two files with {word} from {folder} to {other}; "
        "locked ones are opened.",
        "Find {word} in {folder} and put both files into {other}, in the order of their names, "
        "opening one if need be.",
        "From {folder} to {other} go the two files that have {word}, in the order of their names. "
        "A lock may be opened.",
        "Search {folder} for {word}: what has it, twice, belongs to {other}. Go in the order of "
        "their names; locked or not, open it.",
    ),
    "note_best": (
        "Note the {wish} number of {word} in {path}, {other} and {third} as a line in {note}.",
        "Look at {path}, {other} and {third}. The line of {word} with the {wish} number is added "
        "to {note}.",
        "Of {path}, {other} and {third}, which has the {wish} number for {word}? Add that line to "
        "{note}.",
        "Add to {note} the line of {word} with the {wish} number of {path}, {other} and {third}.",
        "Three files, {path}, {other} and {third}, have {word}. Its {wish} number goes into "
        "{note} as a line.",
    ),
    "hand_over": (
        "Copy the {place} line of {path} to the end of {other}, lock {path}, and move {other} to "
        "{folder}.",
        "The {place} line of {path} is to be added to {other}. Then lock {path} and move {other} "
        "to {folder}.",
        "Add to {other} what {path} has as its {place} line; after that {path} is locked and "
        "{other} goes to {folder}.",
        "{other} needs the {place} line of {path}. Add it, lock {path}, and put {other} into "
        "{folder}.",
        "Let {other} have the {place} line of {path}; lock the one, and the other belongs to "
        "{folder}.",
    ),
    "rename_word": (
        "In {folder}, write {new} for {word}, with the same number. Open the file if need be and "
        "lock it in the end.",
        "Find {word} in {folder} and make it {new}, number kept. The file may be opened, and is "
        "locked after.",
        "{word} is called {new} now: change its line in {folder}, opening what is locked, and "
        "lock the file then.",
        "Search {folder} for {word}, put {new} in its place with the same number, and lock the "
        "file; open it first if you must.",
        "What was {word} in {folder} is {new}, its number stays. Open, change, and lock as needed "
        "until that file is locked.",
    ),
    "over_folder": (
        "Over all files of {folder}, I need the {asked} with {word}.",
        "Take every line with {word} in {folder}: what is their {asked}?",
        "What is the {asked} with {word} in the whole of {folder}?",
        "{folder} has {word} in several files. Tell me the {asked} with it.",
        "Go through {folder} for {word}, and report the {asked} with it.",
    ),
    "merge_sorted": (
        "List {folder}, write all its lines, sorted and each once, over {path} (open it where it "
        "is locked), and count the lines of {path}.",
        "The lines of all files in {folder}, in order and without repeats, replace those of "
        "{path}; a lock may be opened. How many lines has {path} then?",
        "Sort the lines of {folder}, drop repeats, and let {path} hold just these, opening it if "
        "need be. I want its number of lines.",
        "Put the sorted, distinct lines of {folder} into {path} in place of what it has; locked or "
        "not, open it. How many are there in the end?",
        "{path} becomes the sorted lines of {folder}, repeats left out. Open it if you must, and "
        "say how long it is.",
    ),
}
