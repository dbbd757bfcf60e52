"""Five wordings for each kind of request; the last of each is kept for the held-out wordings."""

from __future__ import annotations

WORDINGS: dict[str, tuple[str, ...]] = {
    "hear_own": (
        "I am {who}, born {born}, chart {chart}. What is my {asked}?",
        "{who} here, chart {chart}, birth date {born}. Please tell me my {asked}.",
        "My chart is {chart}, my name {who}, born {born}. Which {asked} do you have for me?",
        "Born {born}, name {who}, chart {chart}: I want to hear my {asked}.",
        "Could you read me the {asked} in my chart {chart}? {who}, born {born}.",
    ),
    "hear_visit": (
        "I am {who}, born {born}, chart {chart}. Which is my {place} visit?",
        "{who} here, chart {chart}, birth date {born}. Give me the number of my {place} visit.",
        "My chart is {chart}, my name {who}, born {born}. I look for my {place} visit.",
        "Born {born}, name {who}, chart {chart}: what is the {place} visit that I have?",
        "Could you look up my {place} visit? {who}, chart {chart}, born {born}.",
    ),
    "change_phone": (
        "I am {who}, born {born}. Please set the phone in {of} to {phone}.",
        "{who} here, birth date {born}. My new phone for {of} is {phone}.",
        "My name is {who}, born {born}. Put the number {phone} into {of}.",
        "Born {born}, name {who}: in {of} the phone must become {phone}.",
        "Could you write down {phone} as the phone in {of}? {who}, born {born}.",
    ),
    "dose_order": (
        "Badge {badge}: set the dose in chart {chart} to {dose}.",
        "Staff here, badge {badge}. Chart {chart} gets a dose of {dose}.",
        "Please change chart {chart} to dose {dose}. My badge is {badge}.",
        "I work here, badge {badge}; the dose of {chart} must be {dose}.",
        "From now on {dose} is the dose for chart {chart}, badge {badge} says.",
    ),
    "unproven": (
        "{asker}. What is the {asked} in chart {chart}?{plea}",
        "{asker} and need the {asked} of chart {chart}.{plea}",
        "Tell me the {asked} from chart {chart}. {asker}.{plea}",
        "{asker}. I only want the {asked} that chart {chart} shows.{plea}",
        "About chart {chart}: {asker}, so give me the {asked}.{plea}",
    ),
    "foreign_change": (
        "I am {friend} and call for {who}, born {born}, chart {chart}. Please {change}.{plea}",
        "{friend} here for {who}, chart {chart}, birth date {born}: {change}.{plea}",
        "For my friend {who}, chart {chart}, born {born}, please {change}. I am {friend}.{plea}",
        "Please {change} for {who}, born {born}, chart {chart}; {friend} speaking.{plea}",
        "{who}, chart {chart}, born {born}, asked me, {friend}, to call: {change}.{plea}",
    ),
    "unsupported": (
        "I am {who}, born {born}, chart {chart}. Please {do}.",
        "{who} here, chart {chart}, birth date {born}. Could you {do} for me?",
        "My chart is {chart}, my name {who}, born {born}. I want you to {do}.",
        "Born {born}, name {who}, chart {chart}: can the desk {do}?",
        "Would you {do} for {who}, chart {chart}, born {born}? That is me.",
    ),
    "contact_hears": (
        "I am {friend} and call for {who}, born {born}, chart {chart}. What is the {asked}?",
        "{friend} here for {who}, chart {chart}, birth date {born}. Please tell me the {asked}.",
        "For {who}, chart {chart}, born {born}, I need the {asked}. My name is {friend}.",
        "{friend} speaking, on behalf of {who}, born {born}, chart {chart}: which is the {asked}?",
        "Could {friend}, that is me, hear the {asked} of {who}, chart {chart}, born {born}?",
    ),
    "contact_by_name": (
        "I am {friend} and call for {who}, born {born}. What is the {asked}?",
        "{friend} here for {who}, birth date {born}. Please tell me the {asked}.",
        "For {who}, born {born}, I need the {asked}. My name is {friend}.",
        "{friend} speaking, on behalf of {who}, born {born}: which is the {asked}?",
        "Could {friend}, that is me, hear the {asked} of {who}, born {born}?",
    ),
    "move_own": (
        "I am {who}, born {born}, chart {chart}. Please move my {place} visit to {day}.",
        "{who} here, chart {chart}, birth date {born}. My {place} visit should be on {day}.",
        "My chart is {chart}, my name {who}, born {born}. Put my {place} visit on {day}.",
        "Born {born}, name {who}, chart {chart}: the {place} visit must go to {day}.",
        "Could my {place} visit be on {day} instead? {who}, chart {chart}, born {born}.",
    ),
    "move_by_doctor": (
        "I am {who}, born {born}. Please move the visit with the doctor of my chart to {day}.",
        "{who} here, birth date {born}. My visit with the doctor in my chart should be on {day}.",
        "My name is {who}, born {born}. Put the visit with my own doctor on {day}.",
        "Born {born}, name {who}: the visit with my chart's doctor must go to {day}.",
        "Could I see the doctor of my chart on {day} instead? {who}, born {born}.",
    ),
    "send_one": (
        "Badge {badge}: send the {item} of chart {chart} to {to}.",
        "Staff here, badge {badge}. {to} should get the {item} from chart {chart}.",
        "Please send {to} the {item} in chart {chart}. My badge is {badge}.",
        "I work here, badge {badge}; {to} needs the {item} of {chart}.",
        "An extract of chart {chart}, the {item}, goes to {to}, badge {badge} says.",
    ),
    "send_two": (
        "Badge {badge}: send the {item} of charts {one} and {two} to {to} where listed.",
        "Staff here, badge {badge}. {to} should get the {item} from {one} and {two}, if listed.",
        "Please send {to} the {item} in {one} and in {two} as far as allowed. My badge is {badge}.",
        "I work here, badge {badge}; {to} needs the {item} of {one} and {two}, where listed.",
        "Extracts of {one} and {two}, the {item}, go to {to} as listed, badge {badge} says.",
    ),
    "dose_review": (
        "Badge {badge}: if the dose of {who} is below {limit}, set it to {dose}.",
        "Staff here, badge {badge}. Set the dose of {who} to {dose} if it is under {limit}.",
        "Please check {who}: with a dose below {limit} now, make it {dose}. My badge is {badge}.",
        "I work here, badge {badge}; {who} gets dose {dose} unless it is {limit} or more already.",
        "A dose under {limit} for {who} has to become {dose}, badge {badge} says.",
    ),
}
