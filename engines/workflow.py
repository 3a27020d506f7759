"""Read the Snakemake workflow from Python: its rules and the jobs of a full build."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    OutputSettings,
    Quietness,
    ResourceSettings,
    StorageSettings,
    WorkflowSettings,
)

from engines.restored import read_only


@contextmanager
def workflow(
    root: Path,
    preset: str | None = None,
    dag: bool = False,
    target: str | None = None,
    over: Mapping[str, Any] | None = None,
) -> Iterator[Any]:
    """Yield the parsed workflow in `root`; with `dag`, the jobs of a full build are in `.dag.jobs`.

    `target` is the rule to build (None: the default target). `over` has sections of parameters that win over
    those of the files.
    """
    here = Path.cwd()
    os.chdir(root)
    try:
        with read_only(), SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
            opened = api.workflow(
                resource_settings=ResourceSettings(cores=1),
                config_settings=ConfigSettings(
                    config={**({"preset": preset} if preset else {}), **(over or {})}
                ),
                storage_settings=StorageSettings(),
                workflow_settings=WorkflowSettings(),
                snakefile=Path("Snakefile"),
            )
            opened.dag(DAGSettings(targets={target} if target else set(), forceall=dag))
            flow = opened._workflow
            if dag:
                flow._prepare_dag(forceall=True, ignore_incomplete=True, lock_warn_only=True, nolock=True)
                flow._build_dag()
            yield flow
    finally:
        os.chdir(here)
