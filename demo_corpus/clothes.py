"""Dress a rest mesh: skin, shirt, trousers and hair as separate meshes cut along smooth lines."""

from typing import Any

import numpy as np
from scipy import sparse

from demo_corpus.body import Array, Ints, Part, RestMesh, rest_mesh, vertex_normals
from demo_corpus.signers import Signer

SHIRT_THICKNESS = 0.009  # metres
HAIR_THICKNESS = {"short": 0.016, "bun": 0.014, "long": 0.018, "cap": 0.012}
HIDDEN_BELOW = -0.34  # metres under the hips: never in the picture


class Body:
    """A dressed figure that can be posed."""

    def __init__(self, signer: Signer) -> None:
        self.rest = rest_mesh(signer.shape)
        self.skeleton = self.rest.skeleton
        self.parts: list[Part] = dress(self.rest, signer)

    def pose(self, deltas: Array, heads: Array, face: Array) -> list[tuple[Array, Array]]:
        """Return points and normals of every part for one frame.

        ``deltas`` (bones, 3, 3), ``heads`` (bones, 3) posed, ``face`` (actions,) in 0..1.
        """
        shift = heads - np.einsum("bij,bj->bi", deltas, self.skeleton.heads)
        transforms = np.concatenate([deltas.reshape(-1, 9), shift], axis=1)
        posed = []
        for part in self.parts:
            blend = part.weights @ transforms
            matrices = blend[:, :9].reshape(-1, 3, 3)
            points = part.points if part.face is None else part.points + np.tensordot(face, part.face, 1)
            moved = np.einsum("nij,nj->ni", matrices, points) + blend[:, 9:]
            posed.append((moved, np.einsum("nij,nj->ni", matrices, part.normals)))
        return posed


def dress(rest: RestMesh, signer: Signer) -> list[Part]:
    """Return the parts of a clothed figure, skin first."""
    shirt, trousers = _shirt_field(rest, signer.sleeve), _trouser_field(rest)
    hair = _hair_field(rest, signer.hair_style)
    normals = vertex_normals(rest.points, rest.triangles)
    covered = (np.maximum(shirt, trousers) > 0.02)[rest.triangles].all(1)
    unseen = (rest.points[:, 2] < HIDDEN_BELOW)[rest.triangles].any(1)
    parts = [_skin(rest, normals, ~(covered | unseen))]
    visible = rest.triangles[~unseen]
    parts.append(_layer("trousers", rest, normals, visible, trousers, 0.006))
    parts.append(_layer("shirt", rest, normals, visible, shirt, SHIRT_THICKNESS))
    thickness = HAIR_THICKNESS[signer.hair_style] * np.clip(0.25 + hair / 0.03, 0.25, 1.0)
    parts.append(_layer("hair", rest, normals, visible, hair, thickness))
    parts.extend(_extra_hair(rest, signer.hair_style))
    return parts


def _skin(rest: RestMesh, normals: Array, kept: Any) -> Part:
    """Return the uncovered skin, with vertices split along texture seams."""
    corners = np.stack([rest.triangles[kept].ravel(), rest.uv_triangles[kept].ravel()], axis=1)
    pairs, inverse = np.unique(corners, axis=0, return_inverse=True)
    vertex = pairs[:, 0]
    return Part(
        "skin",
        rest.points[vertex],
        normals[vertex],
        rest.uv[pairs[:, 1]],
        inverse.reshape(-1, 3),
        sparse.csr_matrix(rest.weights[vertex]),
        rest.face[:, vertex],
    )


def _layer(
    name: str, rest: RestMesh, normals: Array, triangles: Ints, field: Array, thickness: Array | float
) -> Part:
    """Return the region where ``field`` (V,) is positive, moved outwards by ``thickness`` metres."""
    lifted = rest.points + normals * np.broadcast_to(thickness, field.shape)[:, None]
    data = np.concatenate([lifted, normals, rest.weights], axis=1)
    data, cut = clip(data, triangles, field)
    used, inverse = np.unique(cut, return_inverse=True)
    data, cut = data[used], inverse.reshape(-1, 3)
    return Part(
        name,
        data[:, :3],
        vertex_normals(data[:, :3], cut),
        np.zeros((len(data), 2)),
        cut,
        sparse.csr_matrix(data[:, 6:]),
    )


def clip(data: Array, triangles: Ints, field: Array) -> tuple[Array, Ints]:
    """Cut a mesh along ``field`` = 0 and keep the positive side; ``data`` (V, D) is interpolated."""
    inside = field[triangles] > 0
    count = inside.sum(1)
    kept = [triangles[count == 3]]
    fresh: list[Array] = []
    total = len(data)
    for wanted in (1, 2):
        rows = triangles[count == wanted]
        odd = np.argmax(inside[count == wanted] == (wanted == 1), axis=1)
        a, b, c = (rows[np.arange(len(rows)), (odd + k) % 3] for k in range(3))
        ids = []
        for other in (b, c):
            share = (field[a] / (field[a] - field[other]))[:, None]
            fresh.append(data[a] + share * (data[other] - data[a]))
            ids.append(np.arange(total, total + len(rows)))
            total += len(rows)
        if wanted == 1:
            kept.append(np.stack([a, ids[0], ids[1]], axis=1))
        else:
            kept += [np.stack([ids[0], b, c], axis=1), np.stack([ids[0], c, ids[1]], axis=1)]
    return np.concatenate([data, *fresh]), np.concatenate(kept)


def _along_arm(rest: RestMesh) -> Array:
    """Return the position (V,) along an arm: shoulder 0, elbow 1, wrist 2; -1 outside the arms."""
    result = np.full(len(rest.points), -1.0)
    names = rest.skeleton.names
    for side in "LR":
        joints = [rest.skeleton.head(f"{b}.{side}") for b in ("upperarm01", "lowerarm01", "wrist")]
        own = {name: bone for bone, name in enumerate(names) if name.endswith(f".{side}")}
        arm = [bone for name, bone in own.items() if name.startswith(("upperarm", "lowerarm"))]
        hand = [bone for name, bone in own.items() if name.startswith(("wrist", "finger", "metacarpal"))]
        share = [
            (rest.points - joints[k]) @ (joints[k + 1] - joints[k]) / ((joints[k + 1] - joints[k]) ** 2).sum()
            for k in range(2)
        ]
        along = np.where(share[1] > 0, 1 + share[1], np.minimum(share[0], 1.0))
        result = np.where(rest.weights[:, arm].sum(1) > 0.5, along, result)
        result = np.where(rest.weights[:, hand].sum(1) > 0.5, np.maximum(along, 2.0), result)
    return result


def _shirt_field(rest: RestMesh, sleeve: float) -> Array:
    """Return a field in metres, positive under the shirt: torso, sleeves, round collar, hem on the hips."""
    skeleton = rest.skeleton
    neck = skeleton.head("neck01")
    local = rest.points - (neck + np.array([0.0, -0.02, -0.005]))
    collar = np.sqrt(local[:, 0] ** 2 + (0.9 * local[:, 1]) ** 2 + local[:, 2] ** 2) - 0.086
    collar = np.minimum.reduce([collar, 0.045 - local[:, 2], 0.5 - _bone_share(rest, ("head",))])
    hem = rest.points[:, 2] + 0.075
    arm = _along_arm(rest)
    sleeves = (sleeve - arm) * 0.25
    legs = _bone_share(rest, ("upperleg", "lowerleg", "foot", "toe"))
    on_arm = np.where(arm >= 0, sleeves, np.minimum(hem, 0.1))
    return np.asarray(np.minimum.reduce([collar, on_arm, np.where(legs > 0.6, hem, 0.1)]))


def _trouser_field(rest: RestMesh) -> Array:
    """Return a field in metres, positive below the waist."""
    torso = np.where(_along_arm(rest) >= 0, -0.1, 0.1)
    hands = _bone_share(rest, ("wrist", "finger", "metacarpal"))
    return np.asarray(np.minimum.reduce([-0.045 - rest.points[:, 2], torso, 0.5 - hands]))


def _bone_share(rest: RestMesh, prefixes: tuple[str, ...]) -> Array:
    """Return the skin weight (V,) of the bones whose names start with one of ``prefixes``."""
    bones = [i for i, name in enumerate(rest.skeleton.names) if name.startswith(prefixes)]
    return np.asarray(rest.weights[:, bones].sum(1))


def eye_centre(rest: RestMesh) -> Array:
    """Return the point (3,) midway between the eyes."""
    return (rest.skeleton.head("eye.L") + rest.skeleton.head("eye.R")) / 2


def _hair_field(rest: RestMesh, style: str) -> Array:
    """Return a field in metres, positive on the scalp: behind a line from forehead past ears to nape."""
    centre = eye_centre(rest)
    side, back, up = (rest.points - centre).T
    back = back - 0.02
    line = up + 0.62 * back - 0.052 - 0.25 * np.maximum(np.abs(side) - 0.045, 0)
    nape = up + 0.075 + (0.06 if style == "long" else 0.0)
    field = np.minimum(line, nape)
    if style == "cap":
        field = np.minimum(up + 0.18 * back - 0.055, 0.1)
    outside = _bone_share(rest, ("head", "neck"))
    inner = np.where(back < 0.01, np.where(up < 0.02, -0.1, 0.1), 0.1)
    return np.asarray(np.minimum.reduce([field, inner, outside - 0.5]))


def _extra_hair(rest: RestMesh, style: str) -> list[Part]:
    """Return a bun, hair falling behind the neck, or the peak of a cap; all are rigid on the head."""
    ellipsoids = {
        "bun": ((0.0, 0.155, 0.128), (0.046, 0.044, 0.042)),
        "long": ((0.0, 0.145, -0.055), (0.088, 0.062, 0.135)),
        "cap": ((0.0, -0.015, 0.068), (0.072, 0.088, 0.010)),
    }
    if style not in ellipsoids:
        return []
    offset, radii = ellipsoids[style]
    points, triangles = _ball()
    weights = np.zeros((len(points), len(rest.skeleton.names)))
    weights[:, rest.skeleton.index("head")] = 1.0
    placed = points * np.array(radii) + eye_centre(rest) + np.array(offset)
    normals, uv = vertex_normals(placed, triangles), np.zeros((len(points), 2))
    return [Part("hair", placed, normals, uv, triangles, sparse.csr_matrix(weights))]


def _ball(around: int = 40, down: int = 24) -> tuple[Array, Ints]:
    """Return points and triangles of a unit sphere."""
    theta, phi = np.meshgrid(
        np.linspace(0, np.pi, down), np.linspace(0, 2 * np.pi, around, endpoint=False), indexing="ij"
    )
    points = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1).reshape(
        -1, 3
    )
    row, column = np.meshgrid(np.arange(down - 1), np.arange(around), indexing="ij")
    a, b = row * around + column, row * around + (column + 1) % around
    c, d = a + around, b + around
    return points, np.concatenate([np.stack([a, c, b], -1), np.stack([b, c, d], -1)]).reshape(-1, 3)
