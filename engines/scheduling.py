"""How Snakemake plans jobs: the memory that they ask for, and sleep until one ends."""

from collections.abc import Callable

from snakemake.settings.types import MaxJobsPerTimespan

_DEFAULT = (100, 1)  # jobs, seconds: the limit of every call that names none


def memory(mb: int, per_thread: int = 0) -> Callable[..., int]:
    """Return `mem_mb` of a rule, in MiB; each further try of a job asks for as much more.

    A cluster ends a job that takes more than it asked for, and would end it again.
    """
    return lambda wildcards, threads, attempt: (mb + per_thread * threads) * attempt


def sleep_between_jobs() -> None:
    """Make Snakemake take its default `--max-jobs-per-timespan` for none; others hold as they are given.

    With a limit, Snakemake 9 looks at all waiting jobs again a second after each look, and each job that ends
    starts one more such chain. So the main process takes the more of a core, the more jobs have ended
    (https://github.com/snakemake/snakemake/issues/2967).
    """
    MaxJobsPerTimespan.__bool__ = _is_limit


def _is_limit(limit: MaxJobsPerTimespan) -> bool:
    return (limit.max_jobs, limit.timespan) != _DEFAULT
