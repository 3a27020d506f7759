"""What the manifest says of rejects that other stages look for."""

REVIEWED = "reviewed"  # the reason of a clip that people set aside
TWIN = "has the same content and times as "  # the detail of a duplicate under another name
