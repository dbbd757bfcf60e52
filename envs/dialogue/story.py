"""What the desk's templates write gold with: a `Story` that asks, tells and checks.

Thoughts quote the request, the rules, a reply or a result seen before.
"""

from __future__ import annotations

from tooldojo.envs.dialogue.desk import Desk
from tooldojo.envs.gold import Script
from tooldojo.envs.task import GoldTurn


class Story(Script):
    """A demonstration with the customer of a desk."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk

    @property
    def account(self) -> str:
        """The customer's account."""
        return self._desk.account

    def ask(self, *also: str) -> None:
        """Ask for the account number, and for other things in the same breath."""
        wanted = " and ".join(["the account number", *also])
        questions = " ".join(["What is your account number?", *(_QUESTIONS[each] for each in also)])
        self.say(f"I need {wanted}, so I ask the customer.", questions)

    def ask_again(self, number: str, what: str = "account number") -> None:
        """Ask once more for a number that nobody knows."""
        why = f"{number} is unknown, so I ask for the number once more."
        self.say(why, f"I cannot find {number}. Please read the {what} again.")

    def open(self, thought: str, account: str = "") -> None:
        """Look up an account, the customer's own by default."""
        self.do(thought, "open_account", account=account or self.account)

    def restart(self, thought: str) -> None:
        """Let the customer restart the box."""
        self.say(thought, "Please restart the box.")

    def plug(self) -> None:
        """Let the customer put the cable in."""
        self.say("Dark means that the cable is out.", "Please plug the cable in.")

    def tell(self, thought: str, name: str, value: str) -> None:
        """Let the customer set something."""
        self.say(thought, f"Please set {name} to {value}.")

    def check(self, name: str, value: str) -> None:
        """Look whether something is set."""
        why = f"The customer says {name} is {value}; I check that from here."
        self.do(why, "read_box", account=self.account)

    def end(self, thought: str, code: str, who: str = "") -> list[GoldTurn]:
        """Close about somebody, the customer's account by default."""
        return self.close(thought, f"Result: {code} {who or self.account}")


_QUESTIONS = {
    "the day": "Which day suits you for a visit?",
    "the lamp": "Which colour does the lamp show?",
    "the box number": "What is the number on the box?",
}
