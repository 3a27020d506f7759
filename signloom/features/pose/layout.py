"""The columns of landmark and feature rows, and the bones that join landmarks."""

POSE_POINTS = 33
HAND_POINTS = 21
FACE_POINTS = 468

# columns of a row of raw landmarks: pose (x, y, z, visibility), hands and face (x, y, z)
RAW_PARTS = {
    "pose": slice(0, 132),
    "left_hand": slice(132, 195),
    "right_hand": slice(195, 258),
    "face": slice(258, 1662),
}
RAW_DIM = 1662

# columns of a row of features; the face keeps every fifth landmark
FACE_STEP = 5
FEATURE_PARTS = RAW_PARTS | {"face": slice(258, 540)}
FEATURE_DIM = 540
PARTS = tuple(FEATURE_PARTS)

# pose landmarks by number; left and right are the person's own
NOSE = 0
SHOULDERS = (11, 12)
WRISTS = {"left_hand": 15, "right_hand": 16}
HIPS = (23, 24)
ARM_JOINTS = (11, 12, 13, 14, 15, 16)
# head, arms, shoulders and hips; legs are often outside the picture
UPPER_BODY = slice(0, 25)

POSE_BONES = (
    *((11, 12), (11, 13), (13, 15), (12, 14), (14, 16), (11, 23), (12, 24), (23, 24)),
    *((23, 25), (25, 27), (24, 26), (26, 28)),
)
# each finger has four points in a row, the first of them joined to the wrist
HAND_BONES = tuple((0 if point % 4 == 1 else point - 1, point) for point in range(1, HAND_POINTS))
