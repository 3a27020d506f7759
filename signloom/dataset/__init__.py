"""From annotation tables and videos to the manifest, shards and splits."""
