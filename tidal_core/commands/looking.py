"""``projects`` and ``status``: what there is and how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from tidal_core.commands.console import called_as, out
from tidal_core.commands.opening import WhereOption, owner_in_words
from tidal_core.errors import ProjectInUse, TidalError

if TYPE_CHECKING:
    from tidal_core.ownership import Owner


def projects() -> None:
    """List all projects."""
    from tidal_core.projects import home, project_slugs

    slugs = project_slugs()
    if not slugs:
        out.print(f"No projects yet. Create one with: {called_as()} import FOLDER --name NAME")
        return
    table = Table("project", "images", "labels", "rounds", "open in", box=None, header_style="bold")
    for slug in slugs:
        try:
            facts, owner = _summary_of(slug)
        except ProjectInUse as error:
            table.add_row(slug, "", "", "", f"process {error.pid}")
            continue
        except TidalError as error:
            table.add_row(slug, "", "", "", escape(str(error)))
            continue
        n_images = facts["images"] + facts["test_images"]
        where = f"process {owner.pid}, {owner.address}" if owner else ""
        table.add_row(slug, f"{n_images:,}", f"{facts['labels']:,}", str(facts["rounds_done"]), where)
    out.print(table)
    out.print(f"They are in {escape(str(home() / 'projects'))}", soft_wrap=True)


def status(
    project: Annotated[str, typer.Argument(help="The project's name; `projects` lists them.")],
    where: WhereOption = "",
) -> None:
    """Show how far a project is. Images, labels of each class, queue, rounds, and which process has it open."""
    from tidal_core.projects import slugify

    facts, owner = _summary_of(slugify(project), where)
    out.print(f"[bold]{escape(facts['title'])}[/] in {escape(facts['folder'])}", soft_wrap=True)
    out.print(
        f"Open in a running studio: {owner_in_words(owner)}" if owner else "Not open in any process", soft_wrap=True
    )
    out.print(f"{facts['images']:,} images to label, {facts['test_images']:,} to test with")
    labelled_classes = sum(count > 0 for _, count in facts["classes"])
    out.print(f"{facts['labels']:,} labels in {labelled_classes} of {len(facts['classes'])} classes")
    for name, count in facts["classes"]:
        out.print(f"  {count:>8,}  {escape(name)}")
    if by_model := facts.get("model_labels"):  # a running studio of before does not say
        out.print(f"{by_model:,} images have the model's class, accepted on the page Finish; they are no labels")
    out.print(escape(f"{facts['queue']:,} images wait in the queue. {facts['due']}"), soft_wrap=True)
    if facts["chosen"] is not None:
        for line in _chosen(where, facts["chosen"]):
            out.print(escape(line), soft_wrap=True)
    for line in _rounds(facts):
        out.print(escape(line), soft_wrap=True)


def _summary_of(slug: str, where: str = "") -> tuple[dict[str, Any], Owner | None]:
    """The project's ``summary``, and the studio that gave it; None if no process has the project open."""
    from tidal_core.projects import open_project
    from tidal_core.server.owner_client import ask_status, owner_of
    from tidal_core.server.summary import summary

    try:
        opened = open_project(slug)
    except ProjectInUse as refusal:
        owner = owner_of(slug, refusal)
        return ask_status(slug, owner, where), owner
    try:
        return summary(opened, where=where), None
    finally:
        opened.close()


def _chosen(where: str, chosen: dict[str, Any]) -> list[str]:
    lines = [f"{chosen['images']:,} images fulfil {where.strip()}"]
    for title, name in (("state", "states"), ("label", "labels"), ("predicted", "predicted")):
        if chosen[name]:
            lines.append(f"  {title}: " + ", ".join(f"{word} {n:,}" for word, n in chosen[name]))
    return lines


def _rounds(facts: dict[str, Any]) -> list[str]:
    active, last = facts["round"], facts["last_round"]
    if active is not None:
        progress = ""
        if active["epoch"]:
            progress = f": epoch {active['epoch']} of {active['epochs']}, {active['seconds_left']:.0f} s left"
        return [f"round {active['id']} is {active['state']}{progress}"]
    if last is None:
        return ["no rounds yet"]
    reason = f": {last['error']}" if last["error"] else ""
    return [f"last round: {last['id']}, {last['state']}, {last['labels']:,} labels{reason}"]
