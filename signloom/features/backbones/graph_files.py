"""The names of the files of a converted network; the module that writes them loads PyTorch."""

GRAPH_FILES = ("network.xml", "network.bin")
DIGEST_FILE = "network.sha256"
