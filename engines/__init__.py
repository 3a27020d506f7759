"""What ties the rules to Snakemake and DVC; the library never imports it."""
