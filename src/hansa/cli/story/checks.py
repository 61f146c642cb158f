"""What the demo checked: every claim it makes, kept, printed and counted."""

from dataclasses import dataclass, field

import msgspec
from rich.console import Console


class Check(msgspec.Struct, frozen=True):
    """One claim and whether it held."""

    step: str
    claim: str
    held: bool
    measured: str


@dataclass(slots=True)
class Checks:
    """The list of all checks of a run; prints each as it is made."""

    console: Console
    made: list[Check] = field(default_factory=list)
    step: str = ""

    def begin(self, step: str, about: str = "") -> None:
        """Start a step of the story; say in a sentence what it is about."""
        self.step = step
        self.console.print(f"\n[bold]{len({c.step for c in self.made}) + 1:>2}  {step}[/bold]")
        if about:
            self.tell(about)

    def tell(self, text: str) -> None:
        """Print a line that claims nothing."""
        self.console.print(f"    {text}", style="dim", highlight=False)

    def that(self, held: bool, claim: str, measured: object = "") -> None:
        """Record whether a claim held, with what was measured."""
        self.made.append(Check(self.step, claim, held, str(measured)))
        mark = "[green]✔[/green]" if held else "[red]✘[/red]"
        tail = f" [dim]({measured})[/dim]" if str(measured) else ""
        self.console.print(f"    {mark} {claim}{tail}", highlight=False)

    @property
    def all_held(self) -> bool:
        """True if every claim held and at least one was made."""
        return bool(self.made) and all(check.held for check in self.made)
