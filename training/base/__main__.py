"""`python -m tooldojo.training.base --out DIR`: train the default policy from nothing, on CPU.

Owns: the order of the steps (tokenizer, training, figures, export) and what is shown meanwhile.
Refuses: GPUs and downloads.
Invariant: run again with the same options, it goes on from the last checkpoint.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from tokenizers import Tokenizer

from tooldojo.training.base.corpus import Stage, corpus_documents
from tooldojo.training.base.evaluate import Counts, table, teacher_forced
from tooldojo.training.base.export import as_transformers, export
from tooldojo.training.base.model import Network, Shape, has_compiler
from tooldojo.training.base.play import play
from tooldojo.training.base.template import segments
from tooldojo.training.base.tokenizer import train_tokenizer, wrap
from tooldojo.training.base.train import Plan, State, Trainer, keep_memory

VOCAB = 5632
PROBE_SEED, FINAL_SEED, PLAY_SEED = 900_001, 900_002, 900_003
console = Console()


def tokenizer_for(out: Path, seed: int) -> Tokenizer:
    """The tokenizer of this run, trained once."""
    path = out / "bpe.json"
    if not path.exists():
        documents = corpus_documents(seed, 6000) + corpus_documents(seed, 3000, Stage.SHORT)
        texts = ("".join(s.text for s in segments(d.messages, d.tools)) for d in documents)
        train_tokenizer(texts, VOCAB).save(str(path))
    return Tokenizer.from_file(str(path))


def line(counts: Counts) -> str:
    """One line of shares."""
    return "  ".join(
        f"{name} {c.right / c.n:.3f}" for name, c in sorted(counts["all"].items()) if c.n
    )


def reporter(trainer: Trainer, progress: Progress) -> Callable[[State, float], None]:
    """Moves the bar, and probes held-out dialogues every two minutes."""
    probe = {s: corpus_documents(PROBE_SEED, 200, s, heldout=True) for s in Stage}
    task = progress.add_task("train", total=1.0)
    recent: list[float] = []
    last = time.monotonic()

    def report(state: State, loss: float) -> None:
        nonlocal last
        recent.append(loss)
        del recent[:-25]
        mean, speed = sum(recent) / len(recent), state.tokens / max(1.0, state.seconds)
        text = (
            f"{state.stage} {state.tokens / 1e6:.2f}M tokens, loss {mean:.3f}, {speed:,.0f} tok/s"
        )
        progress.update(task, completed=trainer.done(), description=text)
        if time.monotonic() - last > 120 and state.stage != "DRILL":
            counts = teacher_forced(trainer.network, trainer.tokenizer, probe[Stage[state.stage]])
            progress.console.print(f"{state.seconds:6.0f} s  {text}  {line(counts)}")
            figures = {name: round(c.right / c.n, 4) for name, c in counts["all"].items() if c.n}
            state.trace.append(
                {"tokens": state.tokens, "stage": state.stage, "loss": round(mean, 4), **figures}
            )
            last = time.monotonic()

    return report


def card(trainer: Trainer, forced: Counts, played: Counts, played_dtype: str) -> dict[str, object]:
    """What was trained, how, and what came out."""
    network: Network = trainer.network
    return {
        "model": "default policy of tooldojo, trained from scratch on a generated corpus",
        "parameters": sum(p.numel() for p in network.parameters()),
        "shape": asdict(network.shape),
        "plan": asdict(trainer.plan),
        "tokens": trainer.state.tokens,
        "steps": trainer.state.step,
        "seconds": round(trainer.state.seconds),
        "teacher_forced_heldout": table(forced),
        "greedy_play_heldout": {"weights": played_dtype, **table(played)},
        "seeds": {"probe": PROBE_SEED, "teacher_forced": FINAL_SEED, "play": PLAY_SEED},
        "trace": trainer.state.trace,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers", "tokenizers")},
        },
    }


def main(
    out: Annotated[Path, typer.Option(help="folder for checkpoint and model")],
    tokens: Annotated[int, typer.Option(help="budget in padded tokens")] = Plan.tokens,
    minutes: Annotated[
        float | None, typer.Option(help="stop after this time at the latest")
    ] = None,
    seed: Annotated[int, typer.Option(help="seed of corpus, start and order")] = Plan.seed,
    threads: Annotated[int, typer.Option(help="cores to use")] = 2,
) -> None:
    """Train the default policy and write it to OUT/model."""
    torch.set_num_threads(threads)
    keep_memory()
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = tokenizer_for(out, seed)
    shape = Shape(vocab=-(-tokenizer.get_vocab_size() // 64) * 64)
    trainer = Trainer(shape, Plan(tokens=tokens, minutes=minutes, seed=seed), tokenizer, out)
    if trainer.checkpoint.exists():
        trainer.load()
        console.print(f"going on from {trainer.state.tokens / 1e6:.2f}M tokens")
    if has_compiler():
        trainer.network.compile()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        trainer.run(reporter(trainer, progress))
    console.print("figures on held-out names ...")
    forced = teacher_forced(
        trainer.network, tokenizer, corpus_documents(FINAL_SEED, 1500, heldout=True)
    )
    model = as_transformers(trainer.network, tokenizer, torch.bfloat16).float()
    played = play(model, wrap(tokenizer), corpus_documents(PLAY_SEED, 200, heldout=True))
    size = export(trainer.network, tokenizer, card(trainer, forced, played, "bf16"), out / "model")
    console.print(f"teacher-forced  {line(forced)}\ngreedy play     {line(played)}")
    console.print(f"wrote {out / 'model'} ({size / 1e6:.1f} MB)")


if __name__ == "__main__":
    typer.run(main)
