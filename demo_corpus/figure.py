"""Pose the skeleton for a motion: spine, head, arms by inverse kinematics, hands and fingers."""

from dataclasses import dataclass

import numpy as np

from demo_corpus import ik
from demo_corpus.body import Array
from demo_corpus.clothes import Body, eye_centre
from demo_corpus.hands import finger_rotations, rest_frame
from demo_corpus.motion import HandTrack, Motion
from demo_corpus.signers import Signer

REFERENCE_ARM = 0.53  # metres from shoulder to wrist; the places in the lexicon are for this arm length
SIDE_SIGN = {"R": -1.0, "L": 1.0}
SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
NECK = ("neck01", "neck02", "neck03", "head")
MIDDLE_JOINTS = {"head": "head", "neck": "neck01", "chest": "spine01"}
SIDE_JOINTS = dict(eye="eye", shoulder="upperarm01", elbow="lowerarm01", wrist="wrist", hip="upperleg01")
FINGER_NAMES = ("thumb", "index", "middle", "ring", "little")


@dataclass(frozen=True)
class Posed:
    """Bone rotations ``(T, bones, 3, 3)``, heads and tails ``(T, bones, 3)`` of a whole clip."""

    deltas: Array
    heads: Array
    tails: Array


class Figure:
    """A body that can be posed, with its rest hand axes, finger tips and scale of the signing space."""

    def __init__(self, body: Body, signer: Signer) -> None:
        self.body, self.signer, self.skeleton = body, signer, body.skeleton
        self.dominant = "L" if signer.left_handed else "R"
        self.tips = _finger_tips(body)
        joints = [self.skeleton.head(f"{b}.R") for b in ("upperarm01", "lowerarm01", "wrist")]
        self.upper, self.lower = (float(np.linalg.norm(joints[k + 1] - joints[k])) for k in range(2))
        self.scale = (self.upper + self.lower) / REFERENCE_ARM * signer.amplitude
        self.chest = (self.skeleton.head("upperarm01.R") + self.skeleton.head("upperarm01.L")) / 2
        eyes = eye_centre(body.rest) - self.chest
        self.face_from_chest = np.array([0.0, -eyes[1], eyes[2]]) / self.scale

    def side(self, which: str) -> str:
        """Return L or R for ``dominant`` or ``other``."""
        return self.dominant if which == "dominant" else {"L": "R", "R": "L"}[self.dominant]

    def pose(self, motion: Motion) -> Posed:
        """Return joint rotations and positions for every frame."""
        skeleton = self.skeleton
        deltas = np.tile(np.eye(3), (motion.frames, len(skeleton.names), 1, 1))
        lean = _angles(motion.sway, SIDE_SIGN[self.dominant])
        nod = _angles(motion.head, SIDE_SIGN[self.dominant])
        turned: dict[str, Array] = {}
        for which, track in motion.hands.items():
            side = self.side(which)
            turned[f"clavicle.{side}"] = self._collar_bone(side, track)
        for bone, (name, parent) in enumerate(zip(skeleton.names, skeleton.parents, strict=True)):
            above = deltas[:, parent] if parent >= 0 else deltas[:, bone]
            if name in SPINE:
                deltas[:, bone] = ik.turn(lean[0], lean[1] / len(SPINE)) @ above
            elif name in NECK:
                deltas[:, bone] = ik.turn(nod[0], nod[1] / len(NECK)) @ above
            elif name.startswith("clavicle"):
                deltas[:, bone] = turned[name] @ above
            else:
                deltas[:, bone] = above
        heads = skeleton.place(deltas, np.zeros((motion.frames, 3)))
        for which, track in motion.hands.items():
            self._arm(self.side(which), track, deltas, heads)
        heads = skeleton.place(deltas, np.zeros((motion.frames, 3)))
        tails = heads.copy()
        for name, tip in self.tips.items():
            bone = skeleton.index(name)
            tails[:, bone] += deltas[:, bone] @ (tip - skeleton.head(name))
        return Posed(deltas, heads, tails)

    def _collar_bone(self, side: str, track: HandTrack) -> Array:
        """Return the rotation (T, 3, 3) of the collar bone, which lifts and comes forward with the hand."""
        lift = np.radians(np.clip(28 * (track.place[:, 2] + 0.1), 0, 11))
        reach = np.radians(np.clip(14 * (track.place[:, 1] - 0.24) - 10 * track.place[:, 0] + 1.5, -3, 6))
        up = ik.turn(np.array([0.0, 1.0, 0.0]), -SIDE_SIGN[side] * lift)
        forward = ik.turn(np.array([0.0, 0.0, 1.0]), -SIDE_SIGN[side] * reach)
        return np.asarray(forward @ up)

    def _arm(self, side: str, track: HandTrack, deltas: Array, heads: Array) -> None:
        """Write the rotations of one arm and its hand into ``deltas``."""
        skeleton = self.skeleton
        index = skeleton.index
        mirror = np.array([SIDE_SIGN[side], -1.0, 1.0])
        axes_at_rest = rest_frame(skeleton, side)
        hand = ik.frame(track.axes[..., 0] * mirror, track.axes[..., 1] * mirror) @ axes_at_rest.T
        to_knuckle = skeleton.head(f"finger3-1.{side}") - skeleton.head(f"wrist.{side}")
        wrist = self.chest + track.place * self.scale * mirror - hand @ to_knuckle
        shoulder = heads[:, index(f"upperarm01.{side}")]
        fingers = hand @ axes_at_rest[:, 0]
        pole = ik.pole_direction(shoulder, wrist, fingers, SIDE_SIGN[side], self.lower)
        elbow, wrist = ik.elbow(shoulder, wrist, self.upper, self.lower, pole)
        rest = [skeleton.head(f"{b}.{side}") for b in ("upperarm01", "lowerarm01", "wrist")]
        hinge_rest = np.cross(rest[1] - rest[0], rest[2] - rest[1])
        hinge = np.cross(elbow - shoulder, wrist - elbow)
        upper = ik.frame(elbow - shoulder, hinge) @ ik.frame(rest[1] - rest[0], hinge_rest).T
        lower = ik.frame(wrist - elbow, hinge) @ ik.frame(rest[2] - rest[1], hinge_rest).T
        above = deltas[:, index(f"shoulder01.{side}")]
        swung = ik.swing(ik.unit(above @ (rest[1] - rest[0])), ik.unit(elbow - shoulder)) @ above
        _share_twist(deltas, index(f"upperarm01.{side}"), swung, upper, ik.unit(elbow - shoulder), 0.5)
        deltas[:, index(f"upperarm02.{side}")] = upper
        along = ik.unit(wrist - elbow)
        _share_twist(deltas, index(f"lowerarm01.{side}"), lower, hand, along, 0.3)
        _share_twist(deltas, index(f"lowerarm02.{side}"), lower, hand, along, 0.75)
        for name in skeleton.names:
            if name.endswith(f".{side}") and name.startswith(("wrist", "metacarpal")):
                deltas[:, index(name)] = hand
        for name, bend in finger_rotations(skeleton, self.tips, side, track.shape).items():
            deltas[:, index(name)] = hand @ bend

    def joints(self, posed: Posed) -> tuple[list[str], Array]:
        """Return names and world positions ``(T, joints, 3)`` of the ground-truth joints."""
        index = self.skeleton.index
        joints = {name: posed.heads[:, index(bone)] for name, bone in MIDDLE_JOINTS.items()}
        for side, word in (("L", "left"), ("R", "right")):
            for name, bone in SIDE_JOINTS.items():
                joints[f"{word}_{name}"] = posed.heads[:, index(f"{bone}.{side}")]
            for finger, label in enumerate(FINGER_NAMES, start=1):
                for joint in (1, 2, 3):
                    bone = f"finger{finger}-{joint}.{side}"
                    joints[f"{word}_{label}_{joint}"] = posed.heads[:, index(bone)]
                joints[f"{word}_{label}_tip"] = posed.tails[:, index(bone)]
        return list(joints), np.stack([*joints.values()], axis=1)


def _share_twist(deltas: Array, bone: int, base: Array, end: Array, axis: Array, share: float) -> None:
    """Set the rotation of ``bone`` to ``base`` plus a share of the twist from ``base`` to ``end``."""
    twist = ik.twist_angle(end @ np.swapaxes(base, -1, -2), axis)
    deltas[:, bone] = ik.turn(axis, share * twist) @ base


def _angles(degrees: Array, outward: float) -> tuple[Array, Array]:
    """Convert nod, turn and tilt ``(T, 3)`` in degrees to axis ``(T, 3)`` and angle (T,) in radians."""
    vector = np.radians(degrees) * np.array([1.0, -outward, outward])
    vector = np.stack([vector[:, 0], vector[:, 2], vector[:, 1]], axis=1)
    return ik.unit(vector), np.linalg.norm(vector, axis=1)


def _finger_tips(body: Body) -> dict[str, Array]:
    """Return the rest positions of the finger tips: the farthest vertex along each finger."""
    skeleton, tips = body.skeleton, {}
    for side in "LR":
        for finger in range(1, 6):
            name, before = f"finger{finger}-3.{side}", f"finger{finger}-2.{side}"
            head = skeleton.head(name)
            along = ik.unit(head - skeleton.head(before))
            own = body.rest.points[body.rest.weights[:, skeleton.index(name)] > 0.5]
            far = own[np.argsort((own - head) @ along)[-6:]].mean(0)
            tips[name] = far
    return tips
