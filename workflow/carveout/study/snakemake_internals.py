# SPDX-License-Identifier: GPL-2.0-only
"""What the rules ask of Snakemake without a documented way to do so: it is all in here.

A test runs each of these against the installed Snakemake, to tell when an upgrade moves them.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from carveout.common import schemas
from carveout.common.errors import CarveoutError


def config_files(workflow: Any) -> list[str]:
    """Return the config files that the command line names."""
    return [str(path) for path in workflow.config_settings.configfiles]


def read_numbers(workflow: Any, config: dict[str, Any]) -> None:
    """Change numbers within values of the command line to what they are in a config file.

    Snakemake reads ``results=a limits={job_s: 20}`` as YAML whose every word is text.
    """
    for key, given in workflow.config_settings.config.items():
        if not isinstance(given, str):
            config[key] = _reread(config[key], given)


def _reread(value: Any, given: Any) -> Any:
    """Return a value of a config in which all that was given by the command line is read anew."""
    match given:
        case Mapping():
            return value | {key: _reread(value[key], inner) for key, inner in given.items()}
        case list():
            return [_reread(*both) for both in zip(value, given, strict=True)]
        case str():
            try:
                read = schemas.parse_yaml(given, "the command line")
            except CarveoutError:
                return given
            return read if isinstance(read, bool | int | float) else given
        case _:
            return given


def targets(workflow: Any) -> set[str]:
    """Return the targets that the command line names."""
    return set(workflow.dag_settings.targets)


def words_of_the_command() -> list[str]:
    """Return the words of the command line: while rules are read, no targets are known yet.

    A job that runs elsewhere is told which rule it is to run, in a word like ``rule:``.
    """
    return sys.argv[1:]


def is_a_queues_job(workflow: Any) -> bool:
    """Return whether this is no run but one of the jobs that a run has handed to a queue."""
    return bool(workflow.remote_exec)


def jobs_run_elsewhere(workflow: Any) -> bool:
    """Return whether a run hands its jobs to a queue, or is one of these jobs."""
    return is_a_queues_job(workflow) or workflow.global_resources["_nodes"].value is not None


def name_groups(workflow: Any, parent: str, names: Iterable[str]) -> None:
    """Let a profile name many groups by one name, as Snakemake does with those of one wildcard."""
    for name in names:
        workflow.parent_groupids[name] = parent


def run_here(workflow: Any, but: Sequence[str]) -> None:
    """Keep jobs off a queue.

    Args:
        workflow: Snakemake's.
        but: how names of rules begin whose jobs are for a queue.
    """
    workflow.localrules(
        *(rule.name for rule in workflow.rules if not rule.name.startswith(tuple(but)))
    )


def bound_local_resources(workflow: Any, room: Mapping[str, int]) -> None:
    """Let a run on this machine start no more jobs than there is room for.

    Args:
        workflow: Snakemake's.
        room: the machine's resources by name; those of the command line are taken before them.
    """
    if jobs_run_elsewhere(workflow):
        return
    for name in room.keys() - workflow.global_resources.keys():
        workflow.register_resource(name, room[name])


def cores_at_once(workflow: Any) -> int:
    """Return on how many cores jobs run at a time, of jobs that run elsewhere one core each."""
    settings = workflow.resource_settings
    return int(settings.nodes or settings.cores or 1)


def jobs_to_run(dag: Any, beginning: str) -> list[Any]:
    """Return the wildcards of all jobs that a run is to make of rules of such names."""
    return [job.wildcards for job in dag.needrun_jobs() if job.rule.name.startswith(beginning)]
