"""Taking signers and clips out of a project, and searching it for what is left of them."""
