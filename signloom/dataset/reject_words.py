"""What the manifest says of rejects that other stages look for."""

BAD_ROW = "bad_row"  # the reason of a row whose cells cannot be used as they are
SAME_ID = "same_id"  # the reason of a clip whose id another clip has
REVIEWED = "reviewed"  # the reason of a clip that people set aside
TWIN = "has the same content and times as "  # the detail of a duplicate under another name


def place_of(row: object) -> str:
    """Return where a reject stands in words: the row of a table, or the file of a folder without one."""
    return f"row {row}" if str(row).isdecimal() else str(row)
