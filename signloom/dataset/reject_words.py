"""What the manifest says of rejects that other stages look for."""

BAD_ROW = "bad_row"  # the reason of a row whose cells cannot be used as they are
SAME_ID = "same_id"  # the reason of a clip whose id another clip has
REVIEWED = "reviewed"  # the reason of a clip that people set aside
TWIN = "has the same content and times as "  # the detail of a duplicate under another name
