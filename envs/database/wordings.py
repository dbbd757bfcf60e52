"""Five wordings for each kind of question; the last of each is kept for the held-out wordings.

`FRAMES` adds the reference, which makes every closing line belong to one request; a frame goes with
each wording. `{place}` is empty, or " in table x" where a question names its table.
"""

from __future__ import annotations

FRAMES = (
    "{text} Reference {ref}.",
    "{ref}: {text}",
    "Reference {ref}. {text}",
    "{text} The reference is {ref}.",
    "Under reference {ref}: {text}",
)

WORDINGS: dict[str, tuple[str, ...]] = {
    "rows": (
        "How many rows does table {table} have?",
        "Count the rows of table {table}.",
        "What is the number of rows in table {table}?",
        "Tell me how many rows are in table {table}.",
        "Table {table} holds how many rows?",
    ),
    "edge_value": (
        "Which {column} in table {table} comes {edge} in the alphabet?",
        "Name the alphabetically {edge} {column} of table {table}.",
        "Sort the values of column {column} in table {table}: which is {edge}?",
        "In table {table}, what is the {edge} {column} by alphabet?",
        "Of all {column} entries in table {table}, give the {edge} one alphabetically.",
    ),
    "count": (
        "How many {plural}{where} are there{place}?",
        "Count the {plural}{where}{place}.",
        "What is the number of {plural}{where}{place}?",
        "I need the number of {plural}{where}{place}.",
        "Tell me how many {plural}{where} you find{place}.",
    ),
    "total": (
        "What is the total {number} of all {plural}{where}{place}?",
        "Add up the {number} of the {plural}{where}{place}.",
        "Give me the sum of the {number} over the {plural}{where}{place}.",
        "How much is the {number} of the {plural}{where} in total{place}?",
        "I want the {number} summed over every one of the {plural}{where}{place}.",
    ),
    "average": (
        "What is the average {number} of the {plural}{where}{place}?",
        "Compute the average {number} over the {plural}{where}{place}.",
        "Give me the mean {number} of the {plural}{where}{place}.",
        "How high is the {number} of the {plural}{where} on average{place}?",
        "On average, which {number} do the {plural}{where} have{place}?",
    ),
    "highest": (
        "Which of the {plural}{where} has the highest {number}{place}?",
        "Name the {noun} with the highest {number} among the {plural}{where}{place}.",
        "Who or what has the largest {number} of the {plural}{where}{place}?",
        "Of the {plural}{where}, give the name of the one with the highest {number}{place}.",
        "The {number} is highest for which of the {plural}{where}{place}?",
    ),
    "lowest": (
        "Which of the {plural}{where} has the lowest {number}{place}?",
        "Name the {noun} with the lowest {number} among the {plural}{where}{place}.",
        "Who or what has the smallest {number} of the {plural}{where}{place}?",
        "Of the {plural}{where}, give the name of the one with the lowest {number}{place}.",
        "The {number} is lowest for which of the {plural}{where}{place}?",
    ),
    "by_date": (
        "Which of the {plural}{where} has the {edge} {date}{place}?",
        "Name the {noun} with the {edge} {date} among the {plural}{where}{place}.",
        "Sort the {plural}{where} by {date}: what is the name of the one with the {edge} "
        "date{place}?",
        "Of the {plural}{where}, give the name of the one with the {edge} {date}{place}.",
        "The {date} is {edge} for which of the {plural}{where}{place}?",
    ),
    "distinct": (
        "How many different values of {category} occur among the {plural}{where}{place}?",
        "Count the distinct values of {category} of the {plural}{where}{place}.",
        "Among the {plural}{where}, how many different kinds of {category} are there{place}?",
        "I need the number of distinct {category} values of the {plural}{where}{place}.",
        "The {plural}{where} show how many different entries for {category}{place}?",
    ),
    "top_group": (
        "Which {category} has the {most} among the {plural}{place}?",
        "Group the {plural} by {category}: which one has the {most}{place}?",
        "Name the {category} with the {most} among the {plural}{place}.",
        "For the {plural}, find the {category} that has the {most}{place}.",
        "Looking at the {plural} per {category}, where is the {most}{place}?",
    ),
    "lookup": (
        "What is the {fact} of the {noun} {name}{place}?",
        "Tell me the {fact} of {name}, one of the {plural}{place}.",
        "Look up the {noun} {name}: which {fact}{place}?",
        "For the {noun} {name}, give the {fact}{place}.",
        "The {noun} is called {name}; I need its {fact}{place}.",
    ),
    "no_column": (
        "What is the {fact} of the {noun} {name}{place}?",
        "Tell me the {fact} of {name}, one of the {plural}{place}.",
        "Look up the {noun} {name}: which {fact}{place}?",
        "For the {noun} {name}, give the {fact}{place}.",
        "The {noun} is called {name}; I need its {fact}{place}.",
    ),
    "bigger_table": (
        "Which table has {more} rows, {a} or {b}?",
        "Compare the tables {a} and {b}: which one has {more} rows?",
        "Of the tables {a} and {b}, name the one with {more} rows.",
        "Does table {a} or table {b} have {more} rows?",
        "Between {a} and {b}, the table with {more} rows is which?",
    ),
    "end_table": (
        "Which table of the database has the {most} rows?",
        "Name the table with the {most} rows.",
        "Of all tables, which one has the {most} rows?",
        "I want to know the table that has the {most} rows.",
        "The {most} rows are in which table?",
    ),
    "join_count": (
        "How many {events}{where} belong to the {noun} {name}?",
        "Count the {events}{where} of the {noun} {name}.",
        "For the {noun} {name}, what is the number of {events}{where}?",
        "I need the number of {events}{where} that go with the {noun} {name}.",
        "The {noun} {name}: how many {events}{where}?",
    ),
    "join_total": (
        "What is the total {number} of the {events} of all {plural}{where}?",
        "Add up the {number} of the {events} that belong to {plural}{where}.",
        "Take the {plural}{where} and give me the sum of the {number} of their {events}.",
        "How much is the {number} of {events} in total for {plural}{where}?",
        "For {plural}{where}, I want the {number} summed over their {events}.",
    ),
    "join_top": (
        "Which of the {plural} has the {most}?",
        "Name the {noun} with the {most}.",
        "Find the {noun} that has the {most}.",
        "Of all {plural}, who or what has the {most}?",
        "The {most}: which of the {plural} is it?",
    ),
    "two_step": (
        "How many {plural} have {article} {number} {side} {base}?",
        "Count the {plural} with {article} {number} {side} {base}.",
        "What is the number of {plural} whose {number} is {side} {base}?",
        "First find {base}, then count the {plural} whose {number} is {side} it.",
        "{plural} with {article} {number} {side} {base}: how many are there?",
    ),
    "save_count": (
        "How many {plural}{where} are there? Save the number under the reference.",
        "Count the {plural}{where} and save the result under the reference.",
        "Save the number of {plural}{where} under the reference and tell me.",
        "I need the number of {plural}{where}, also saved under the reference.",
        "Store under the reference how many {plural}{where} you find.",
    ),
    "save_total": (
        "What is the total {number} of all {plural}{where}? Save it under the reference.",
        "Add up the {number} of the {plural}{where} and save the result under the reference.",
        "Save the sum of the {number} over the {plural}{where} under the reference and tell me.",
        "I need the {number} of the {plural}{where} in total, also saved under the reference.",
        "Store under the reference the {number} summed over the {plural}{where}.",
    ),
    "save_if": (
        "How many {plural}{where} are there? Save the number under the reference only if it is "
        "above {limit}.",
        "Count the {plural}{where}. If there are more than {limit}, save the number under the "
        "reference.",
        "Tell me the number of {plural}{where} and save it under the reference, unless it is "
        "{limit} or less.",
        "I need the number of {plural}{where}; above {limit} it has to be saved under the "
        "reference too.",
        "Find how many {plural}{where} exist, and store the count under the reference should it "
        "exceed {limit}.",
    ),
    "unsupported": (
        "Please {task}.",
        "I want you to {task}.",
        "Can you {task}?",
        "Your job: {task}.",
        "It is time to {task}, please.",
    ),
    "unsupported_plan": (
        "Find the {noun} with the highest {number}, then {task}.",
        "How many {plural}{where} are there? After that, {task}.",
        "Look up the average {number} of the {plural}{where} and {task}.",
        "Count the {plural}{where}, and if there are more than 2, {task}.",
        "Tell me the total {number} of the {plural}{where}; also {task}.",
    ),
}
WORDINGS["wrong_table"] = WORDINGS["count"]
WORDINGS["wrong_rows"] = WORDINGS["rows"]
