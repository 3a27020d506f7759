"""What leaves the building: networks, gallery, texts and numbers in formats that others read."""
