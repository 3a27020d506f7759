"""A clothed figure from the parametric body model ``anny``: rest mesh, skeleton, skinning.

Frame of reference: metres, x to the figure's left, y backwards (the figure looks to -y), z up, the
origin at the root of the spine (hip height).
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from signloom.params.load import read_yaml

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

FACE_ACTIONS: list[str] = read_yaml(Path(__file__).with_suffix(".yaml"))["face_actions"]


@dataclass(frozen=True)
class Part:
    """One mesh of the figure: rest points, normals, texture coordinates, triangles, skin weights."""

    name: str
    points: Array  # (N, 3) metres
    normals: Array  # (N, 3)
    uv: Array  # (N, 2)
    triangles: Ints  # (M, 3)
    weights: sparse.csr_matrix  # (N, bones)
    face: Array | None = None  # (actions, N, 3) shift for a full facial action


@dataclass(frozen=True)
class Skeleton:
    """Bones at rest: ``heads`` (bones, 3) in metres, parents before children."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    heads: Array

    def index(self, name: str) -> int:
        """Return the index of a bone."""
        return self.names.index(name)

    def head(self, name: str) -> Array:
        """Return the rest position (3,) of a bone's head."""
        return np.asarray(self.heads[self.index(name)])

    def place(self, deltas: Array, root: Array) -> Array:
        """Return heads ``(T, bones, 3)`` for world rotations ``(T, bones, 3, 3)``, root shift ``(T, 3)``."""
        heads = np.empty((*deltas.shape[:2], 3))
        for bone, parent in enumerate(self.parents):
            if parent < 0:
                heads[:, bone] = self.heads[bone] + root
            else:
                offset = self.heads[bone] - self.heads[parent]
                heads[:, bone] = heads[:, parent] + deltas[:, parent] @ offset
        return heads


@dataclass(frozen=True)
class RestMesh:
    """The data of one body shape from ``anny``."""

    skeleton: Skeleton
    points: Array  # (V, 3)
    weights: Array  # (V, bones)
    triangles: Ints  # (M, 3)
    uv: Array  # (U, 2)
    uv_triangles: Ints  # (M, 3)
    face: Array  # (actions, V, 3)


@lru_cache(maxsize=1)
def _model() -> Any:
    import anny
    import torch

    torch.set_num_threads(1)
    return anny.Anny(facial_actions="all", skinning_method="lbs").to(dtype=torch.float32)


def rest_mesh(shape: dict[str, float]) -> RestMesh:
    """Return the unposed body of one shape (``anny`` phenotypes in 0..1)."""
    import torch

    model = _model()
    labels = [label.split("/")[-1] for label in model.facial_action_labels]
    count = 1 + len(FACE_ACTIONS)
    actions = torch.zeros(count, len(labels))
    for row, action in enumerate(FACE_ACTIONS, start=1):
        actions[row, labels.index(action)] = 1.0
    phenotype = {k: torch.full((count,), shape.get(k, 0.5)) for k in model.phenotype_labels}
    pose = torch.eye(4)[None, None].repeat(count, model.bone_count, 1, 1)
    with torch.no_grad():
        out = model(
            pose_parameters=pose,
            phenotype_kwargs=phenotype,
            facial_actions={k: actions[:, i] for i, k in enumerate(labels)},
        )
    rest = out["rest_vertices"].numpy().astype(float)
    heads = out["rest_bone_poses"][0, :, :3, 3].numpy().astype(float)
    origin = heads[0].copy()
    weights = np.zeros((rest.shape[1], model.bone_count))
    rows = np.arange(rest.shape[1])[:, None]
    np.add.at(weights, (rows, model.vertex_bone_indices.numpy()), model.vertex_bone_weights.numpy())
    return RestMesh(
        skeleton=Skeleton(
            tuple(model.bone_labels), tuple(int(p) for p in model.bone_parents), heads - origin
        ),
        points=rest[0] - origin,
        weights=weights / weights.sum(1, keepdims=True),
        triangles=model.faces.numpy().astype(np.int64),
        uv=model.texture_coordinates.numpy().astype(float),
        uv_triangles=model.face_texture_coordinate_indices.numpy().astype(np.int64),
        face=rest[1:] - rest[:1],
    )


def vertex_normals(points: Array, triangles: Ints) -> Array:
    """Return area-weighted normals ``(N, 3)`` of a triangle mesh."""
    a, b, c = (points[triangles[:, k]] for k in range(3))
    normals = np.zeros_like(points)
    faces = np.cross(b - a, c - a)
    for k in range(3):
        np.add.at(normals, triangles[:, k], faces)
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12))
