"""What jobs wrote: each leaves the SHA-256 of its outputs in a small file in `build/records/`.

Both engines run the same jobs, so both leave the same records. Snakemake's own say what a job read, but not
what it wrote, and DVC's say what it was last asked to record.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from signloom.errors import SignloomError
from signloom.files import file_sha256, write_text


class Record(BaseModel):
    """The stage of a job, and the hex SHA-256 of each file that it wrote, by path."""

    stage: str
    sha256: dict[str, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]]


def write_record(folder: Path, stage: str, outputs: Iterable[Path]) -> None:
    """Record in `folder` what a job of `stage` wrote; outputs outside the working folder are no products."""
    products = [path for path in outputs if not path.is_absolute()]
    if products:
        # the job's next run has the same first output, and replaces this record
        place = hashlib.sha256(products[0].as_posix().encode()).hexdigest()[:16]
        record = Record(stage=stage, sha256={path.as_posix(): file_sha256(path) for path in products})
        write_text(folder / f"{stage}-{place}.json", record.model_dump_json(indent=2) + "\n")


def read_records(folder: Path) -> list[Record]:
    """Return the records in `folder`; raises SignloomError with the name of one that is cut or no record."""
    records = []
    for path in sorted(folder.glob("*.json")):
        try:
            records.append(Record.model_validate_json(path.read_bytes()))
        except ValidationError as error:
            raise SignloomError(
                f"{path} is damaged: it is no record of what a job wrote; delete it and run its stage again"
            ) from error
    return records
